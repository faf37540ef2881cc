package pki

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sign is what an authority elsewhere does: it takes over what the request has.
func sign(t *testing.T, request []byte, ca Pair, at time.Time) []byte {
	t.Helper()
	block, _ := pem.Decode(request)
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := csr.CheckSignature(); err != nil {
		t.Fatal(err)
	}
	parent, signer, err := ca.parse()
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(42), Subject: csr.Subject, NotBefore: at.Add(-time.Hour), NotAfter: at.Add(year),
		ExtraExtensions: csr.Extensions}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, csr.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestSignedElsewhere(t *testing.T) {
	have, _ := complete(t, rows(), Bundle{}, now)
	other, _ := complete(t, rows(), Bundle{}, now)
	waiting := map[string][]byte{}
	certs := map[string][]byte{}
	for _, row := range rows()[3:] {
		key, err := NewKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		request, err := SigningRequest(row, key, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		waiting[row.Name], certs[row.Name] = key, sign(t, request, have.Pairs[row.CA], now)
		name, pair, err := Signed(rows(), have, waiting, certs[row.Name], now)
		if err != nil || name != row.Name {
			t.Errorf("%s: %s, %v", row.Name, name, err)
		}
		if diff := cmp.Diff(Pair{Cert: certs[row.Name], Key: key}, pair); diff != "" {
			t.Errorf("%s: %s", row.Name, diff)
		}
	}
	for name, test := range map[string]struct {
		cert []byte
		at   time.Time
		err  string
	}{
		"not PEM":        {[]byte("x"), now, "certificate is not PEM"},
		"no request":     {have.Pairs[Admin].Cert, now, "it belongs to no key that waits for a signature: it is of CN=kubernetes-admin"},
		"ended":          {certs[APIServer], now.Add(2 * year), "it is not as certificate apiserver has to be: ended on"},
		"an authority's": {have.Pairs[CA].Cert, now, "it belongs to no key"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := Signed(rows(), have, waiting, test.cert, test.at); err == nil || !strings.HasPrefix(err.Error(), test.err) {
				t.Errorf("%v", err)
			}
		})
	}
	request, err := SigningRequest(rows()[3], waiting[APIServer], rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Signed(rows(), have, waiting, sign(t, request, other.Pairs[CA], now), now); err == nil || !strings.Contains(err.Error(), "certificate apiserver") {
		t.Errorf("signed by another authority: %v", err)
	}
	narrow := rows()[3]
	narrow.DNSNames = narrow.DNSNames[1:]
	request, err = SigningRequest(narrow, waiting[APIServer], rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Signed(rows(), have, waiting, sign(t, request, have.Pairs[CA], now), now); err == nil || !strings.Contains(err.Error(), "DNS names are") {
		t.Errorf("without a name: %v", err)
	}
}
