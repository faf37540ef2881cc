package pki

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Check tells why a pair is not, or is no longer, what the row wants; nil when
// it is. ca is the certificate of the row's authority in PEM.
func Check(row Row, pair Pair, ca []byte, now time.Time) error {
	cert, key, err := pair.parse()
	if err != nil {
		return err
	}
	switch {
	case !samePublic(key, cert.PublicKey):
		return errors.New("certificate and key do not belong together")
	case now.After(cert.NotAfter):
		return fmt.Errorf("ended on %s", cert.NotAfter.Format(time.DateOnly))
	case now.Before(cert.NotBefore):
		return fmt.Errorf("valid only from %s on", cert.NotBefore.Format(time.RFC3339))
	case cert.Subject.CommonName != row.CommonName || !slices.Equal(cert.Subject.Organization, row.Organization):
		return fmt.Errorf("subject is %s", cert.Subject)
	case !slices.Equal(cert.ExtKeyUsage, row.Usage.extended()) || cert.IsCA != (row.Usage == ForSigning):
		return errors.New("key usage differs")
	case !slices.Equal(cert.DNSNames, row.DNSNames):
		return fmt.Errorf("DNS names are %v", cert.DNSNames)
	case !slices.Equal(Addresses(cert), row.Addresses):
		return fmt.Errorf("IP addresses are %v", cert.IPAddresses)
	}
	if row.CA == "" {
		return cert.CheckSignatureFrom(cert)
	}
	authority, err := ParseCertificate(ca)
	if err != nil {
		return fmt.Errorf("authority %s: %w", row.CA, err)
	}
	return cert.CheckSignatureFrom(authority)
}

func (p Pair) parse() (*x509.Certificate, crypto.Signer, error) {
	cert, err := ParseCertificate(p.Cert)
	if err != nil {
		return nil, nil, err
	}
	key, err := parseKey(p.Key)
	return cert, key, err
}

// Addresses are the IP addresses in a certificate.
func Addresses(cert *x509.Certificate) []netip.Addr {
	var out []netip.Addr
	for _, ip := range cert.IPAddresses {
		a, _ := netip.AddrFromSlice(ip)
		out = append(out, a.Unmap())
	}
	return out
}

// ParseCertificate reads the first certificate of a PEM text.
func ParseCertificate(data []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("certificate is not PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}
