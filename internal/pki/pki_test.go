package pki

import (
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func rows() []Row { return Catalogue(topology.New(spec.Default("demo"))) }

func complete(t *testing.T, rows []Row, have Bundle, at time.Time) (Bundle, []string) {
	t.Helper()
	plan, lost := Plan(rows, have, at, false)
	if len(lost) > 0 {
		t.Fatalf("a new cluster has lost %v", lost)
	}
	b, err := Issue(rows, have, plan, at, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return b, names(plan)
}

func names(plan []Reissue) []string {
	var out []string
	for _, r := range plan {
		out = append(out, r.Name)
	}
	return out
}

func cert(t *testing.T, b Bundle, name string) *x509.Certificate {
	t.Helper()
	c, err := ParseCertificate(b.Pairs[name].Cert)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return c
}

func TestEveryRowIsIssuedAndVerifies(t *testing.T) {
	b, issued := complete(t, rows(), Bundle{}, now)
	if len(issued) != len(rows())+2 {
		t.Errorf("issued %v", issued)
	}
	for _, row := range rows() {
		c := cert(t, b, row.Name)
		if row.CA == "" {
			if !c.IsCA || c.NotAfter.Sub(now) != 10*year {
				t.Errorf("%s: CA %v until %s", row.Name, c.IsCA, c.NotAfter)
			}
			continue
		}
		pool := x509.NewCertPool()
		pool.AddCert(cert(t, b, row.CA))
		_, err := c.Verify(x509.VerifyOptions{Roots: pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
		if err != nil {
			t.Errorf("%s: %v", row.Name, err)
		}
		if c.IsCA || c.NotAfter.Sub(now) != year || c.PublicKeyAlgorithm != x509.ECDSA {
			t.Errorf("%s: CA %v until %s, %s", row.Name, c.IsCA, c.NotAfter, c.PublicKeyAlgorithm)
		}
	}
}

func TestServingCertificateNamesNoNode(t *testing.T) {
	b, _ := complete(t, rows(), Bundle{}, now)
	c := cert(t, b, APIServer)
	if got := fmt.Sprint(c.IPAddresses); got != "[10.10.10.3 127.0.0.1 10.96.0.1]" {
		t.Error(got)
	}
	want := []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"}
	if diff := cmp.Diff(want, c.DNSNames); diff != "" {
		t.Error(diff)
	}
	if !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}) {
		t.Error(c.ExtKeyUsage)
	}
}

func TestWhatFitsIsKept(t *testing.T) {
	first, _ := complete(t, rows(), Bundle{}, now)
	again, issued := complete(t, rows(), first, now.Add(time.Hour))
	if len(issued) > 0 {
		t.Errorf("issued again: %v", issued)
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Error("a key changed")
	}
}

func TestOnlyWhatDoesNotFitIsMade(t *testing.T) {
	other, _ := complete(t, rows(), Bundle{}, now)
	tests := map[string]struct {
		spoil func(*Bundle)
		at    time.Time
		want  []string
	}{
		"missing":          {func(b *Bundle) { delete(b.Pairs, Scheduler) }, now, []string{Scheduler}},
		"garbage":          {func(b *Bundle) { b.Pairs[Admin] = Pair{Cert: []byte("x"), Key: b.Pairs[Admin].Key} }, now, []string{Admin}},
		"garbage key":      {func(b *Bundle) { b.Pairs[Admin] = Pair{Cert: b.Pairs[Admin].Cert, Key: []byte("x")} }, now, []string{Admin}},
		"another's key":    {func(b *Bundle) { b.Pairs[Admin] = Pair{b.Pairs[Admin].Cert, b.Pairs[Scheduler].Key} }, now, []string{Admin}},
		"another's names":  {func(b *Bundle) { b.Pairs[Admin] = b.Pairs[Scheduler] }, now, []string{Admin}},
		"of another CA":    {func(b *Bundle) { b.Pairs[Admin] = other.Pairs[Admin] }, now, []string{Admin}},
		"new front proxy":  {func(b *Bundle) { delete(b.Pairs, FrontProxyCA) }, now, []string{FrontProxyCA, FrontProxyClient}},
		"no encryption":    {func(b *Bundle) { b.EncryptionKey = nil }, now, []string{"encryption"}},
		"no account key":   {func(b *Bundle) { b.ServiceAccountKey = nil }, now, []string{"sa"}},
		"bad account key":  {func(b *Bundle) { b.ServiceAccountKey = []byte("x") }, now, []string{"sa"}},
		"short encryption": {func(b *Bundle) { b.EncryptionKey = []byte("x") }, now, []string{"encryption"}},
		"half an authority": {func(b *Bundle) { b.Pairs[FrontProxyCA] = Pair{Cert: b.Pairs[FrontProxyCA].Cert} }, now,
			[]string{FrontProxyCA, FrontProxyClient}},
		"a year later all": {func(*Bundle) {}, now.Add(year + time.Hour), nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b, _ := complete(t, rows(), Bundle{}, now)
			test.spoil(&b)
			_, issued := complete(t, rows(), b, test.at)
			if test.want == nil {
				if len(issued) != len(rows())-3 { // all but the authorities
					t.Errorf("issued %v", issued)
				}
				return
			}
			if diff := cmp.Diff(test.want, issued); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPerNodeCertificateChangesWithTheNodes(t *testing.T) {
	c := spec.Default("demo")
	c.Spec.Identity, c.Spec.EndpointReconciler = spec.PerNode, spec.ReconcilerLease
	b, _ := complete(t, Catalogue(topology.New(c)), Bundle{}, now)
	if len(cert(t, b, APIServer).IPAddresses) != 6 {
		t.Error(cert(t, b, APIServer).IPAddresses)
	}
	c.Spec.Nodes[0].Address = "10.10.10.44"
	_, issued := complete(t, Catalogue(topology.New(c)), b, now)
	if !slices.Contains(issued, APIServer) {
		t.Errorf("issued %v", issued)
	}
}
