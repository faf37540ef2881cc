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
	// EncryptionKey (32 bytes) encrypts Secrets in etcd, under EncryptionName; empty is key1.
	EncryptionKey  []byte
	EncryptionName string
	// Beside is what is trusted beside what signs or writes, while a rotation is under way.
	Beside *Beside
}

// Issue returns what the rows want: that which Plan named is made, all else is kept
// as it is. An authority that has ended keeps its name and its key.
func Issue(rows []Row, have Bundle, plan []Reissue, now time.Time, random io.Reader) (Bundle, error) {
	wanted := map[string]bool{}
	for _, r := range plan {
		wanted[r.Name] = true
	}
	out := have
	out.Pairs = map[string]Pair{}
	for _, row := range rows {
		pair := have.Pairs[row.Name]
		if wanted[row.Name] {
			var err error
			if row.CA == "" && pair.ended(now) {
				pair, err = prolong(row, pair, now, random)
			} else {
				pair, err = issue(row, out.Pairs[row.CA], now, random)
			}
			if err != nil {
				return Bundle{}, fmt.Errorf("issue certificate %s: %w", row.Name, err)
			}
		}
		out.Pairs[row.Name] = pair
	}
	var err error
	if wanted[ServiceAccount] {
		if out.ServiceAccountKey, out.ServiceAccountPub, err = serviceAccountKey(have.ServiceAccountKey, random); err != nil {
			return Bundle{}, fmt.Errorf("make service account key: %w", err)
		}
	}
	if wanted[Encryption] {
		out.EncryptionKey = make([]byte, encryptionKeyLength)
		if _, err := io.ReadFull(random, out.EncryptionKey); err != nil {
			return Bundle{}, fmt.Errorf("make encryption key: %w", err)
		}
	}
	return out, nil
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

// prolong makes the certificate of an authority anew, under the name and with the key that it has: what it has signed is
// verified by the next one too, and whoever trusts it has to get that.
func prolong(row Row, have Pair, now time.Time, random io.Reader) (Pair, error) {
	old, key, err := have.parse()
	if err != nil {
		return Pair{}, err
	}
	c, err := template(row, now, random)
	if err != nil {
		return Pair{}, err
	}
	c.RawSubject, c.SubjectKeyId = old.RawSubject, old.SubjectKeyId
	der, err := x509.CreateCertificate(random, c, c, key.Public(), key)
	return Pair{Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), Key: have.Key}, err
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

// serviceAccountKey keeps a key that can be read, and makes one otherwise.
func serviceAccountKey(have []byte, random io.Reader) (private, public []byte, err error) {
	private = have
	if _, err := parseKey(have); err != nil {
		made, err := ecdsa.GenerateKey(elliptic.P256(), random)
		if err != nil {
			return nil, nil, err
		}
		if private, err = encodeKey(made); err != nil {
			return nil, nil, err
		}
	}
	public, err = PublicOf(private)
	return private, public, err
}

// PublicOf is the public key of a private one, both in PEM.
func PublicOf(private []byte) ([]byte, error) {
	key, err := parseKey(private)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), err
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}
