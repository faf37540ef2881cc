package parse

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// issued is a certificate of a name and its key, in DER.
func issued(t testing.TB, name string) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}}
	if cert, err = x509.CreateCertificate(rand.Reader, template, template, private.Public(), private); err != nil {
		t.Fatal(err)
	}
	if key, err = x509.MarshalPKCS8PrivateKey(private); err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// armored is a block of a PEM file.
func armored(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// named are the names of certificates, or why they could not be read.
func named(certs []evidence.Certificate) []string {
	var out []string
	for _, c := range certs {
		if c.Certificate == nil {
			out = append(out, "error")
			continue
		}
		out = append(out, c.Subject.CommonName)
	}
	return out
}

func TestCertificates(t *testing.T) {
	der, key := issued(t, "a")
	other, _ := issued(t, "b")
	a, b := armored("CERTIFICATE", der), armored("CERTIFICATE", other)
	const garbage = "-----BEGIN CERTIFICATE-----\nZZZ*\n-----END CERTIFICATE-----\n"
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", "", []string{"error"}},
		{"text", "hello", []string{"error"}},
		{"one", a, []string{"a"}},
		{"a chain", a + b, []string{"a", "b"}},
		{"text around", "subject=a\n" + a + "issuer=b\n" + b + "# end", []string{"a", "b"}},
		{"CR LF", strings.ReplaceAll(a+b, "\n", "\r\n"), []string{"a", "b"}},
		{"without a last line", strings.TrimSpace(a), []string{"a"}},
		{"a key", armored("PRIVATE KEY", key), []string{"error"}},
		{"a key between", a + armored("PRIVATE KEY", key) + b, []string{"a", "b"}},
		{"garbage first", garbage + a, []string{"error", "a"}},
		{"garbage between", a + garbage + b, []string{"a", "error", "b"}},
		{"no DER", a + armored("CERTIFICATE", []byte("x")), []string{"a", "error"}},
		{"cut off", a + b[:len(b)/2], []string{"a", "error"}},
		{"cut off before another", a[:len(a)/2] + "\n" + b, []string{"error", "b"}},
		{"a comment", "# " + a, []string{"error"}},
		{"OpenSSL's trusted", armored("TRUSTED CERTIFICATE", append(append([]byte{}, der...), 0x30, 0)), []string{"a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			certs := Certificates(tt.text)
			if diff := cmp.Diff(tt.want, named(certs)); diff != "" {
				t.Error(diff)
			}
			for _, c := range certs {
				if (c.Certificate == nil) != (c.Err != "") {
					t.Errorf("%+v", c)
				}
			}
		})
	}
	if got := PEM(Certificates(a + garbage + b)); got != a+b {
		t.Errorf("written again: %s", got)
	}
}

func TestPublicKeys(t *testing.T) {
	der, key := issued(t, "a")
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkixRSA, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	ec, ofRSA := fmt.Sprintf("%x", sha256.Sum256(cert.RawSubjectPublicKeyInfo)), fmt.Sprintf("%x", sha256.Sum256(pkixRSA))
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"PKIX", armored("PUBLIC KEY", cert.RawSubjectPublicKeyInfo), []string{ec}},
		{"a certificate", armored("CERTIFICATE", der), []string{ec}},
		{"two forms of one", armored("PUBLIC KEY", pkixRSA) + armored("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&private.PublicKey)), []string{ofRSA, ofRSA}},
		{"beside a private key", armored("PRIVATE KEY", key) + armored("PUBLIC KEY", cert.RawSubjectPublicKeyInfo), []string{ec}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := PublicKeys(tt.text)
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Error(diff, err)
			}
		})
	}
	for name, text := range map[string]string{"nothing": "", "a private key": armored("PRIVATE KEY", key), "garbage": armored("PUBLIC KEY", []byte("x")),
		"garbage of RSA": armored("RSA PUBLIC KEY", []byte("x")), "a garbage certificate": armored("CERTIFICATE", []byte("x"))} {
		if got, err := PublicKeys(text); err == nil || len(got) != 0 {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func FuzzCertificates(f *testing.F) {
	der, key := issued(f, "a")
	f.Add(armored("CERTIFICATE", der) + armored("PRIVATE KEY", key))
	f.Add(armored("TRUSTED CERTIFICATE", der) + "-----BEGIN CERTIFICATE-----\n-----BEGIN PUBLIC KEY-----\n\x00\xff")
	f.Add("-----BEGIN RSA PUBLIC KEY-----\nMAA=\n-----END RSA PUBLIC KEY-----")
	f.Fuzz(func(t *testing.T, text string) {
		certs := Certificates(text)
		if len(certs) == 0 {
			t.Error("neither a certificate nor an error")
		}
		valid := 0
		for _, c := range certs {
			if (c.Certificate == nil) != (c.Err != "") {
				t.Errorf("%+v", c)
			}
			if c.Certificate != nil {
				valid++
			}
		}
		if again := Certificates(PEM(certs)); valid > 0 && len(again) != valid {
			t.Errorf("%d certificates of %d", len(again), valid)
		}
		if keys, err := PublicKeys(text); err == nil && len(keys) == 0 {
			t.Error("neither a key nor an error")
		}
	})
}
