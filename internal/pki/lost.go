package pki

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"time"
)

// lostAuthority tells which files of an authority cannot be used.
func lostAuthority(name string, pair Pair, now time.Time) []Lost {
	var lost []Lost
	cert, certErr := ParseCertificate(pair.Cert)
	if certErr != nil {
		lost = append(lost, Lost{File: name + ".crt", Reason: missingOr(pair.Cert, certErr)})
	}
	key, keyErr := parseKey(pair.Key)
	if keyErr != nil {
		lost = append(lost, Lost{File: name + ".key", Reason: missingOr(pair.Key, keyErr)})
	}
	if len(lost) > 0 {
		return lost
	}
	switch {
	case !cert.IsCA:
		return []Lost{{File: name + ".crt", Reason: "it is not the certificate of an authority"}}
	case !samePublic(key, cert.PublicKey):
		return []Lost{{File: name + ".key", Reason: "it does not belong to " + name + ".crt"}}
	case now.After(cert.NotAfter):
		return []Lost{{File: name + ".crt", Reason: "it ended on " + cert.NotAfter.Format(time.DateOnly), Ended: true}}
	}
	return nil
}

// lostExternal tells whether the certificate of an authority can be used whose key is elsewhere.
func lostExternal(name string, data []byte, now time.Time) []Lost {
	cert, err := ParseCertificate(data)
	switch {
	case err != nil:
		return []Lost{{File: name + ".crt", Reason: missingOr(data, err), External: true}}
	case !cert.IsCA:
		return []Lost{{File: name + ".crt", Reason: "it is not the certificate of an authority", External: true}}
	case now.After(cert.NotAfter):
		return []Lost{{File: name + ".crt", Reason: "it ended on " + cert.NotAfter.Format(time.DateOnly), Ended: true, External: true}}
	}
	return nil
}

// Unusable says why nothing can be held against the certificate of an authority, in PEM, or nothing.
func Unusable(authority []byte, now time.Time) string {
	for _, l := range lostExternal("", authority, now) {
		return l.Reason
	}
	return ""
}

// Whole reports whether a certificate and its key are there, and belong together.
func (p Pair) Whole() bool {
	cert, key, err := p.parse()
	return err == nil && samePublic(key, cert.PublicKey)
}

// ended reports whether a pair is whole, and its time over.
func (p Pair) ended(now time.Time) bool {
	cert, err := ParseCertificate(p.Cert)
	return err == nil && p.Whole() && now.After(cert.NotAfter)
}

func missingOr(data []byte, err error) string {
	if len(data) == 0 {
		return "missing"
	}
	return err.Error()
}

// parseKey reads a private key of any form that Kubernetes takes. The error does not
// quote it.
func parseKey(data []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("private key is not PEM")
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		if signer, ok := key.(crypto.Signer); ok {
			return signer, nil
		}
	}
	return nil, errors.New("private key cannot be read")
}

func samePublic(key crypto.Signer, public crypto.PublicKey) bool {
	own, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && own.Equal(public)
}

// publicOf reports whether the PEM block is the public key of the private one.
func publicOf(key crypto.Signer, data []byte) bool {
	block, _ := pem.Decode(data)
	if block == nil {
		return false
	}
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	return err == nil && samePublic(key, public)
}
