package collect

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/xray/evidence"
)

// A tokenKey is a pair in the forms that kube-apiserver takes.
type tokenKey struct{ private, pkcs8, public, digest string }

func newTokenKey(t *testing.T, rsaKey bool) tokenKey {
	t.Helper()
	armored := func(kind string, der []byte, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	var out tokenKey
	var key, half any
	if rsaKey {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		out.private = armored("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k), err)
		key, half = k, k.Public()
	} else {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalECPrivateKey(k)
		out.private = armored("EC PRIVATE KEY", der, err)
		key, half = k, k.Public()
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	out.pkcs8 = armored("PRIVATE KEY", der, err)
	der, err = x509.MarshalPKIXPublicKey(half)
	out.public = armored("PUBLIC KEY", der, err)
	out.digest = fmt.Sprintf("%x", sha256.Sum256(der))
	return out
}

// asMachine runs the script over a file and interprets what came; the answer is beside.
func asMachine(t *testing.T, name, text string) (evidence.File, []evidence.Missing, string) {
	t.Helper()
	f := newTree(t)
	f.write("proc/sys/kernel/hostname", 0o644, "x\n")
	f.write(name, 0o600, text)
	s := newScript(f.dir, filepath.Join(f.dir, "proc"))
	shelf := newRemote()
	for _, how := range []kind{asStat, asPEM, asKey} {
		s.look(shelf.ask([]want{{how, name}}))
	}
	s.call("files")
	result, err := (&shell{name: "x", bin: t.TempDir()}).Run(t.Context(), machine.Command{Argv: []string{"sh", "-s"}, Stdin: strings.NewReader(s.round())})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range s.sections(result.Stdout) {
		shelf.take(part)
	}
	h := newHost("x", evidence.Machines, shelf)
	h.tokenKeys(onHost, name)
	return h.machine.Files[name], h.missing, result.Stdout
}

// All keys of a file are seen, whatever their form; what is private stays on the machine.
func TestKeysOfServiceAccounts(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	one, two := newTokenKey(t, true), newTokenKey(t, false)
	params := "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
	for _, test := range []struct {
		name, text string
		want       []string
		private    bool
		sealed     bool
	}{
		{"a public key", one.public, []string{one.digest}, false, false},
		{"two public keys", one.public + two.public, []string{one.digest, two.digest}, false, false},
		{"RSA", one.private, []string{one.digest}, true, false},
		{"RSA in PKCS8", one.pkcs8, []string{one.digest}, true, false},
		{"EC with its parameters", params + two.private, []string{two.digest}, true, false},
		{"EC in PKCS8", two.pkcs8, []string{two.digest}, true, false},
		{"a certificate", certificateText(), []string{fmt.Sprintf("%x", sha256.Sum256(certificateOf(t).RawSubjectPublicKeyInfo))}, false, false},
		{"a public and a private key", one.public + two.private, []string{one.digest, two.digest}, true, false},
		{"two private keys", one.private + two.private, nil, true, true},
		{"a private key that is none", keyText(), nil, true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, missing, answer := asMachine(t, "/sa.pem", test.text)
			if diff := cmp.Diff(test.want, f.PublicKeys); diff != "" || f.Private != test.private || f.Sealed != test.sealed || len(missing) > 0 {
				t.Errorf("%+v, %+v\n%s", f, missing, diff)
			}
			for line := range strings.Lines(one.private + one.pkcs8 + two.private + two.pkcs8) {
				secret := !strings.HasPrefix(line, "-----") && !strings.Contains(one.public+two.public, line)
				if secret && strings.Contains(answer, line) {
					t.Fatalf("a line of a private key left the machine: %q", line)
				}
			}
		})
	}
	if _, missing, _ := asMachine(t, "/sa.pem", "nothing\n"); len(missing) != 1 || missing[0].Err != "no key in it" {
		t.Errorf("%+v", missing)
	}
}

func certificateOf(t *testing.T) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(certificateText()))
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// In a folder no private key is read; that there is one is seen, and nobody is told to put
// a certificate in its place.
func TestPrivateKeyOfServiceAccountsInAFolder(t *testing.T) {
	key := newTokenKey(t, true)
	f := newTree(t)
	f.write("/etc/systemd/system/kube-apiserver.service", 0o644, "[Service]\nExecStart=/usr/bin/kube-apiserver --client-ca-file=/k/ca.pem \\\n"+
		"  --service-account-key-file=/k/ca-key.pem --tls-sni-cert-key=/k/sni.pem,/k/sni-key.pem:api.example.org,x\n")
	f.write("/k/ca.pem", 0o644, certificateText())
	f.write("/k/ca-key.pem", 0o600, key.private)
	f.write("/k/sni.pem", 0o644, certificateText())
	f.write("/k/sni-key.pem", 0o644, keyText())
	m, missing := folderOf(t, f)
	if got := m.Files["/k/ca-key.pem"]; !got.Private || !got.Sealed || got.PublicKeys != nil || len(missing) > 0 {
		t.Errorf("%+v, %+v", got, missing)
	}
	if c := m.Certificates["/k/ca-key.pem"]; c != nil {
		t.Errorf("a key is looked at as a certificate: %+v", c)
	}
	if c := m.Certificate("/k/sni.pem"); c == nil || c.Err != "" || m.Files["/k/sni-key.pem"].Mode != 0o644 {
		t.Errorf("the certificate for other names is %+v, its key %+v", c, m.Files["/k/sni-key.pem"])
	}
	if c := m.Programs[0].NamedCertificates(); len(c) != 1 || !slices.Equal(c[0].Names, []string{"api.example.org", "x"}) {
		t.Errorf("%+v", c)
	}
}
