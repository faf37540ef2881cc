package evidencetest

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// SetCertificates gives a machine a file with certificates.
func SetCertificates(e *evidence.Evidence, machine, path string, certificates ...evidence.Certificate) {
	m := Machine(e, machine)
	m.Certificates[path] = certificates
	f := m.Files[path]
	f.Path, f.Digest = path, certificates[0].Fingerprint()
	m.Files[path] = f
}

// Garble makes a file of certificates unreadable.
func Garble(e *evidence.Evidence, machine, path, why string) {
	SetCertificates(e, machine, path, evidence.Certificate{Err: why})
}

// SetPublicKey gives a file of a machine the public keys of names, as in Row.Key.
func SetPublicKey(e *evidence.Evidence, machine, path string, keys ...string) {
	m := Machine(e, machine)
	f := m.Files[path]
	f.Path, f.PublicKeys, f.Digest = path, nil, digest([]byte(strings.Join(keys, " ")))
	for _, key := range keys {
		f.PublicKeys = append(f.PublicKeys, PublicKey(key))
	}
	m.Files[path] = f
}

// SetPrivateKey makes a file of a machine one with a private key, whose public half is known
// where its name, as in Row.Key, is not "".
func SetPrivateKey(e *evidence.Evidence, machine, path, key string) {
	m := Machine(e, machine)
	f := m.Files[path]
	f.Path, f.Mode, f.Owner, f.Private, f.Sealed, f.PublicKeys = path, 0o600, "root", true, key == "", nil
	if key != "" {
		f.PublicKeys = []string{PublicKey(key)}
	}
	m.Files[path] = f
}

// SetContent gives a file of a machine other content.
func SetContent(e *evidence.Evidence, machine, path, content string) {
	m := Machine(e, machine)
	f := m.Files[path]
	f.Path, f.Digest = path, digest([]byte(content))
	m.Files[path] = f
}

// SetOwner gives a file of a machine to a user.
func SetOwner(e *evidence.Evidence, machine, path, owner string) {
	m := Machine(e, machine)
	f := m.Files[path]
	f.Owner = owner
	m.Files[path] = f
}

// SetGroup gives a file of a machine to a group.
func SetGroup(e *evidence.Evidence, machine, path, group string) {
	m := Machine(e, machine)
	f := m.Files[path]
	f.Group = group
	m.Files[path] = f
}

// Chain is a root and a CA that it signed, which has the key of the authority of its name.
func Chain(root, name string) (above, below evidence.Certificate) {
	above = Issue(authority(root))
	store.Lock()
	defer store.Unlock()
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: At.Add(-month), NotAfter: At.Add(100 * month),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, above.Certificate, key(authority(name).Key).Public(), key(authority(root).Key))
	must(err)
	c, err := x509.ParseCertificate(der)
	must(err)
	return above, evidence.Certificate{Certificate: c}
}
