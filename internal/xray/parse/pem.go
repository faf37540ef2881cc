package parse

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// Certificates reads the certificates of a PEM file, in their order. What cannot be
// read is one with Err, and so is a file without any. Keys are passed over.
func Certificates(text string) []evidence.Certificate {
	var out []evidence.Certificate
	for part := range blocks(text) {
		kind, _, _ := strings.Cut(strings.TrimPrefix(part, begin), "-----")
		if kind != "CERTIFICATE" && kind != "TRUSTED CERTIFICATE" {
			continue
		}
		block, _ := pem.Decode([]byte(part))
		if block == nil {
			out = append(out, evidence.Certificate{Err: "a certificate that is not PEM"})
			continue
		}
		out = append(out, certificate(block))
	}
	if len(out) == 0 {
		out = []evidence.Certificate{{Err: "no certificate in it"}}
	}
	return out
}

const begin = "-----BEGIN "

// blocks are the parts of a PEM file from one beginning to the next. pem.Decode would
// pass over what it cannot read, without a word.
func blocks(text string) iter.Seq[string] {
	return func(yield func(string) bool) {
		_, rest, found := strings.Cut("\n"+text, "\n"+begin)
		for found {
			var part string
			part, rest, found = strings.Cut(rest, "\n"+begin)
			if !yield(begin + part + "\n") {
				return
			}
		}
	}
}

func certificate(block *pem.Block) evidence.Certificate {
	der := block.Bytes
	if block.Type == "TRUSTED CERTIFICATE" { // OpenSSL's, with what it is trusted for behind it
		var whole asn1.RawValue
		if _, err := asn1.Unmarshal(der, &whole); err == nil {
			der = whole.FullBytes
		}
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return evidence.Certificate{Err: err.Error()}
	}
	return evidence.Certificate{Certificate: c}
}

// PublicKeys returns the SHA-256 in hex of the public keys (PKIX) in a PEM file, in
// their order: of public keys and of certificates. Private keys are passed over.
func PublicKeys(text string) ([]string, error) {
	var out []string
	for rest := []byte(text); ; {
		block, after := pem.Decode(rest)
		if block == nil {
			break
		}
		rest = after
		der, err := publicKey(block)
		if err != nil {
			return out, err
		}
		if der != nil {
			out = append(out, fmt.Sprintf("%x", sha256.Sum256(der)))
		}
	}
	if len(out) == 0 {
		return nil, errors.New("no public key in it")
	}
	return out, nil
}

func publicKey(block *pem.Block) ([]byte, error) {
	switch block.Type {
	case "PUBLIC KEY":
		_, err := x509.ParsePKIXPublicKey(block.Bytes)
		return block.Bytes, err
	case "RSA PUBLIC KEY":
		key, err := x509.ParsePKCS1PublicKey(block.Bytes)
		if err != nil {
			return nil, err
		}
		return x509.MarshalPKIXPublicKey(key)
	case "CERTIFICATE":
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return c.RawSubjectPublicKeyInfo, nil
	}
	return nil, nil
}

// PEM writes certificates as a file has them.
func PEM(certs []evidence.Certificate) string {
	var b strings.Builder
	for _, c := range certs {
		if c.Certificate != nil {
			_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a Builder takes everything
		}
	}
	return b.String()
}
