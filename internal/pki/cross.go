package pki

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Cross has an authority vouch for the next one: a certificate, in PEM, of the next one's name and key that the old one has signed. Behind
// what the next one has signed, it leads those there who trust the old one alone (RFC 5280, 3.2). It ends with the first of the two, and lets no
// other authority come after it. An old one that may not vouch for others, as with a path length of 0, is an error.
func Cross(old, next Pair, now time.Time, random io.Reader) ([]byte, error) {
	by, key, err := old.parse()
	if err != nil {
		return nil, fmt.Errorf("read it: %w", err)
	}
	of, _, err := next.parse()
	if err != nil {
		return nil, fmt.Errorf("read the next one: %w", err)
	}
	if !samePublic(key, by.PublicKey) {
		return nil, errors.New("certificate and key do not belong together")
	}
	c, err := template(Row{Usage: ForSigning}, now, random)
	if err != nil {
		return nil, err
	}
	c.RawSubject, c.SubjectKeyId, c.MaxPathLenZero = of.RawSubject, of.SubjectKeyId, true
	if c.NotAfter = of.NotAfter; by.NotAfter.Before(c.NotAfter) {
		c.NotAfter = by.NotAfter
	}
	der, err := x509.CreateCertificate(random, c, by, of.PublicKey, key)
	if err != nil {
		return nil, err
	}
	cross := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return cross, vouched(old, next, cross, now, random)
}

// vouched tries whether those who trust the old authority alone take what the next one signs.
func vouched(old, next Pair, cross []byte, now time.Time, random io.Reader) error {
	leaf, err := issue(Row{CA: "next", CommonName: "try", Usage: ForServer, Lifetime: time.Hour}, next, now, random)
	if err != nil {
		return err
	}
	return Leads(append(leaf.Cert, cross...), old.Cert, now)
}

// Leads reports whether those who trust an authority take what a server shows, both in PEM: its certificate, and what is behind it.
func Leads(shown, authority []byte, now time.Time) error {
	cert, err := ParseCertificate(shown)
	if err != nil {
		return err
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	for _, block := range Blocks(shown)[1:] {
		between.AppendCertsFromPEM(block)
	}
	_, err = cert.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return err
}

// Text writes certificates in PEM.
func Text(certificates []*x509.Certificate) []byte {
	var out []byte
	for _, c := range certificates {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// Shows reports whether certificates are those of a PEM text, in their order.
func Shows(certificates []*x509.Certificate, text []byte) bool {
	return slices.EqualFunc(Blocks(Text(certificates)), Blocks(text), bytes.Equal)
}

// SHA256 is that of a certificate in PEM, of its DER form and in hexadecimal, as audit logs and openssl have it; "" of what is none.
func SHA256(certificate []byte) string {
	cert, err := ParseCertificate(certificate)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:])
}
