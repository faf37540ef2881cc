package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"time"
)

// backdate lets machines whose clock is a little behind accept a new certificate.
const backdate = 5 * time.Minute

// A Pair is a certificate and its private key in PEM.
type Pair struct{ Cert, Key []byte }

// A Bundle holds everything secret of a cluster.
type Bundle struct {
	Pairs map[string]Pair // by Row.Name
	// ServiceAccountKey signs service-account tokens; ServiceAccountPub verifies them.
	ServiceAccountKey, ServiceAccountPub []byte
	// EncryptionKey (32 bytes) encrypts Secrets in etcd.
	EncryptionKey []byte
}

// Complete returns the bundle with every row issued that have lacks or has
// otherwise than the row wants, and the names of those; what fits is kept as it is.
// A certificate whose authority is new is issued anew.
func Complete(rows []Row, have Bundle, now time.Time, random io.Reader) (Bundle, []string, error) {
	out := Bundle{Pairs: map[string]Pair{}, ServiceAccountKey: have.ServiceAccountKey,
		ServiceAccountPub: have.ServiceAccountPub, EncryptionKey: have.EncryptionKey}
	var issued []string
	for _, row := range rows {
		pair, ok := have.Pairs[row.Name]
		if !ok || Check(row, pair, out.Pairs[row.CA].Cert, now) != nil {
			var err error
			if pair, err = issue(row, out.Pairs[row.CA], now, random); err != nil {
				return Bundle{}, nil, fmt.Errorf("issue certificate %s: %w", row.Name, err)
			}
			issued = append(issued, row.Name)
		}
		out.Pairs[row.Name] = pair
	}
	if len(out.ServiceAccountKey) == 0 || len(out.ServiceAccountPub) == 0 {
		var err error
		if out.ServiceAccountKey, out.ServiceAccountPub, err = newServiceAccountKey(random); err != nil {
			return Bundle{}, nil, fmt.Errorf("make service account key: %w", err)
		}
		issued = append(issued, "sa")
	}
	if len(out.EncryptionKey) == 0 {
		out.EncryptionKey = make([]byte, 32)
		if _, err := io.ReadFull(random, out.EncryptionKey); err != nil {
			return Bundle{}, nil, fmt.Errorf("make encryption key: %w", err)
		}
		issued = append(issued, "encryption")
	}
	return out, issued, nil
}

func issue(row Row, ca Pair, now time.Time, random io.Reader) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return Pair{}, err
	}
	template, err := template(row, now, random)
	if err != nil {
		return Pair{}, err
	}
	parent, signer := template, crypto.Signer(key)
	if row.CA != "" {
		if parent, signer, err = ca.parse(); err != nil {
			return Pair{}, fmt.Errorf("read authority %s: %w", row.CA, err)
		}
	}
	der, err := x509.CreateCertificate(random, template, parent, key.Public(), signer)
	if err != nil {
		return Pair{}, err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return Pair{}, err
	}
	return Pair{Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), Key: keyPEM}, nil
}

func template(row Row, now time.Time, random io.Reader) (*x509.Certificate, error) {
	serial, err := rand.Int(random, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	c := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: row.CommonName, Organization: row.Organization},
		NotBefore:    now.Add(-backdate).UTC(), NotAfter: now.Add(row.Lifetime).UTC(),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: row.Usage.extended(),
		BasicConstraintsValid: true, DNSNames: row.DNSNames,
	}
	for _, a := range row.Addresses {
		c.IPAddresses = append(c.IPAddresses, a.AsSlice())
	}
	if row.Usage == ForSigning {
		c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign|x509.KeyUsageDigitalSignature
	}
	return c, nil
}

func (u Usage) extended() []x509.ExtKeyUsage {
	switch u {
	case ForServer:
		return []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	case ForClient:
		return []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	case ForBoth:
		return []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	return nil
}

func newServiceAccountKey(random io.Reader) (private, public []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, nil, err
	}
	private, err = encodeKey(key)
	return private, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), err
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}
