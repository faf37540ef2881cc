// Package look sees what is on the machines of a cluster. It takes public things
// only: private keys never leave the machine that they are on.
package look

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/machine"
)

//go:embed certificates.sh
var certificatesScript string

// A Certificate is one that lies on a node. Node, Path and Part are where.
type Certificate struct {
	Node string `json:"-"`
	Path string `json:"-"`
	// Part is empty for a file's first certificate, and client-certificate-data or
	// certificate-authority-data in a kubeconfig; those that follow the first one of
	// these end in their number: "2", "client-certificate-data 2".
	Part        string    `json:"-"`
	Fingerprint string    `json:"fingerprint"` // SHA-256 of the DER form, in hexadecimal
	Serial      string    `json:"serial"`      // in hexadecimal
	Subject     string    `json:"subject"`
	Issuer      string    `json:"issuer"`
	NotAfter    time.Time `json:"notAfter"`
	// Authority is the identifier of the key that signed it, in hexadecimal; empty where it does not tell.
	Authority string `json:"-"`
}

// An UnreadableError has the files of a node that ought to have certificates, and have parts that are none.
type UnreadableError struct {
	Node  string
	Files []UnreadableFile
}

// An UnreadableFile is one of them.
type UnreadableFile struct {
	Path   string
	Reason string // in one line
}

func (e *UnreadableError) Error() string {
	var files []string
	for _, f := range e.Files {
		files = append(files, f.Path+": "+f.Reason)
	}
	return fmt.Sprintf("look at certificates of %s: %s", e.Node, strings.Join(files, "; "))
}

// Certificates returns every certificate on a node that Kubernetes, etcd or HAProxy
// may use, in one session. What cannot be read is an error: a proof has no gaps. An
// *UnreadableError comes with all that could be read.
func Certificates(ctx context.Context, m machine.Machine) ([]Certificate, error) {
	return certificatesBelow(ctx, m, "")
}

// certificatesBelow has root put before all paths; those of the result are without it.
func certificatesBelow(ctx context.Context, m machine.Machine, root string) ([]Certificate, error) {
	cmd := machine.Cmd("sh", "-s", "--", root)
	cmd.Stdin = strings.NewReader(certificatesScript)
	result, err := m.Run(ctx, cmd)
	if err != nil {
		return nil, fmt.Errorf("look at certificates of %s: %w", m.Name(), err)
	}
	certificates, unreadable := parseCertificates(m.Name(), root, result.Stdout)
	if len(unreadable) > 0 {
		return certificates, &UnreadableError{Node: m.Name(), Files: unreadable}
	}
	return certificates, nil
}

// parseCertificates reads what the script prints.
func parseCertificates(node, root, text string) (all []Certificate, unreadable []UnreadableFile) {
	for section := range strings.SplitSeq("\n"+text, "\n@ ") {
		path, body, _ := strings.Cut(section, "\n")
		if path = strings.TrimPrefix(path, root); path == "" {
			continue
		}
		found, err := parseFile(body)
		if err != nil {
			unreadable = append(unreadable, UnreadableFile{path, strings.ReplaceAll(err.Error(), "\n", ", ")})
		}
		for _, c := range found {
			c.Node, c.Path = node, path
			all = append(all, c)
		}
	}
	return all, unreadable
}

// parseFile reads the section of one file: PEM, or lines of a kubeconfig.
func parseFile(body string) ([]Certificate, error) {
	if !strings.Contains(body, "-data ") {
		return number("", []byte(body), 0)
	}
	var all []Certificate
	var errs []error
	seen := map[string]int{}
	for line := range strings.Lines(body) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		text, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
			continue
		}
		found, err := number(name, text, seen[name])
		if err == nil && len(found) == 0 {
			err = errors.New("no certificate in it")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		seen[name] += len(found)
		all = append(all, found...)
	}
	return all, errors.Join(errs...)
}

// number reads the certificates of a bundle, of which so many came before; also those behind one that cannot be read.
func number(name string, bundle []byte, before int) (all []Certificate, err error) {
	begun := bytes.Count(bundle, []byte("-----BEGIN "))
	for {
		var block *pem.Block
		if block, bundle = pem.Decode(bundle); block == nil {
			break
		}
		before++
		begun--
		cert, damaged := x509.ParseCertificate(block.Bytes)
		if damaged != nil {
			err = errors.Join(err, damaged)
			continue
		}
		c := describe(cert)
		if c.Part = name; before > 1 {
			c.Part = strings.TrimSpace(name + " " + strconv.Itoa(before))
		}
		all = append(all, c)
	}
	if begun > 0 || len(bytes.TrimSpace(bundle)) > 0 { // pem leaves out what it cannot read before a whole one
		err = errors.Join(err, errors.New("a certificate that is cut off or not PEM"))
	}
	return all, err
}

func describe(cert *x509.Certificate) Certificate {
	sum := sha256.Sum256(cert.Raw)
	return Certificate{Fingerprint: hex.EncodeToString(sum[:]), Serial: cert.SerialNumber.Text(16),
		Subject: cert.Subject.String(), Issuer: cert.Issuer.String(), NotAfter: cert.NotAfter, Authority: hex.EncodeToString(cert.AuthorityKeyId)}
}
