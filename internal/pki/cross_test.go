package pki

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"
)

// reissuedAuthority is an authority with its name and key, and otherwise another certificate.
func reissuedAuthority(t *testing.T, p Pair, change func(*x509.Certificate)) Pair {
	t.Helper()
	c, key, err := p.parse()
	if err != nil {
		t.Fatal(err)
	}
	change(c)
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return Pair{Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), Key: p.Key}
}

// Who trusts the old authority alone takes what servers show while it is rotated, and not what clients show, or what they serve alone.
func TestTheOldAuthorityVouchesForTheNextOne(t *testing.T) {
	for _, name := range []string{CA, EtcdCA} {
		before, _ := complete(t, rows(), Bundle{}, now)
		next, err := Next(before, rows(), name, now, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		old := before.Pairs[name]
		cross, err := Cross(old, next, now, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c, of, by := parsed(t, cross), parsed(t, next.Cert), parsed(t, old.Cert)
		if !bytes.Equal(c.RawSubject, of.RawSubject) || !bytes.Equal(c.RawIssuer, by.RawSubject) || !bytes.Equal(c.SubjectKeyId, of.SubjectKeyId) || !bytes.Equal(c.AuthorityKeyId, by.SubjectKeyId) {
			t.Errorf("%s: of %s by %s, keys %x by %x", name, c.Subject, c.Issuer, c.SubjectKeyId, c.AuthorityKeyId)
		}
		if !c.IsCA || c.MaxPathLen != 0 || !c.MaxPathLenZero || c.CheckSignatureFrom(by) != nil || c.SerialNumber.Cmp(of.SerialNumber) == 0 {
			t.Errorf("%s: authority %v, path length %d", name, c.IsCA, c.MaxPathLen)
		}
		during := before.During(Switch, name, next)
		during.Beside.Cross = cross
		plan, _ := Plan(rows(), during, now, true)
		during, err = Issue(rows(), during, plan, now, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows() {
			text := during.FileOf(row.Name)
			shown := row.Name == APIServer && name == CA || strings.HasPrefix(row.Name, "etcd/server@") && name == EtcdCA
			if row.CA == "" {
				if !bytes.Equal(text, during.Trusted(row.Name)) {
					t.Errorf("%s: an authority's file is not what is trusted", row.Name)
				}
				continue
			}
			if got := len(Blocks(text)); got != map[bool]int{false: 1, true: 2}[shown] || SHA256(text) != SHA256(during.Pairs[row.Name].Cert) {
				t.Errorf("%s: %d certificates in its file", row.Name, got)
			}
			if row.CA != name || row.Usage == ForClient {
				continue
			}
			if err := Leads(text, old.Cert, now); (err == nil) != shown {
				t.Errorf("%s: who trusts the old one alone: %v", row.Name, err)
			}
			if err := Leads(text, next.Cert, now); err != nil {
				t.Errorf("%s: who trusts the next one alone: %v", row.Name, err)
			}
		}
		if dropped := before.During(Drop, name, next); dropped.Beside != nil {
			t.Error("something is left beside the next one")
		}
	}
}

func parsed(t *testing.T, text []byte) *x509.Certificate {
	t.Helper()
	c, err := ParseCertificate(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// It ends with the first of the two, and is not made where nobody would take it.
func TestWhoCannotVouch(t *testing.T) {
	before, _ := complete(t, rows(), Bundle{}, now)
	next, err := Next(before, rows(), CA, now, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	old, other := before.Pairs[CA], before.Pairs[EtcdCA]
	soon := now.Add(48 * time.Hour).Truncate(time.Second)
	for name, test := range map[string]struct {
		old, next Pair
		ends      time.Time
		err       string
	}{
		"ten years each":         {old, next, parsed(t, old.Cert).NotAfter, ""},
		"the old one ends soon":  {reissuedAuthority(t, old, func(c *x509.Certificate) { c.NotAfter = soon }), next, soon, ""},
		"the next one ends soon": {old, reissuedAuthority(t, next, func(c *x509.Certificate) { c.NotAfter = soon }), soon, ""},
		"path length 1":          {reissuedAuthority(t, old, func(c *x509.Certificate) { c.MaxPathLen = 1 }), next, parsed(t, old.Cert).NotAfter, ""},
		"path length 0":          {reissuedAuthority(t, old, func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true }), next, time.Time{}, "too many intermediates"},
		"for clients":            {reissuedAuthority(t, old, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), next, time.Time{}, "key usage"},
		"it has ended":           {reissuedAuthority(t, old, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Hour) }), next, time.Time{}, "expired"},
		"without its key":        {Pair{Cert: old.Cert}, next, time.Time{}, "read it: private key is not PEM"},
		"with another key":       {Pair{Cert: old.Cert, Key: other.Key}, next, time.Time{}, "do not belong together"},
		"without the next one":   {old, Pair{}, time.Time{}, "read the next one"},
	} {
		cross, err := Cross(test.old, test.next, now, rand.Reader)
		switch {
		case (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err):
			t.Errorf("%s: %v, want %q", name, err, test.err)
		case err == nil && !parsed(t, cross).NotAfter.Equal(test.ends):
			t.Errorf("%s: it ends at %s, want %s", name, parsed(t, cross).NotAfter, test.ends)
		}
	}
}

func TestShows(t *testing.T) {
	b, _ := complete(t, rows(), Bundle{}, now)
	one, two := b.Pairs[APIServer].Cert, b.Pairs[CA].Cert
	both := []*x509.Certificate{parsed(t, one), parsed(t, two)}
	for want, text := range map[bool][]byte{true: slices.Concat(one, two), false: slices.Concat(two, one)} {
		if Shows(both, text) != want {
			t.Errorf("in another order: %v", want)
		}
	}
	if Shows(both, one) || Shows(both[:1], slices.Concat(one, two)) {
		t.Error("one more, or one less, is not told")
	}
}
