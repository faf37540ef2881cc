package cluster

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/store"
)

// certified is a cluster that was brought up, with its certificates.
func certified(t *testing.T) store.Store {
	t.Helper()
	components, err := filepath.Abs("../../components")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HAPLANE_COMPONENTS", components)
	return broughtUp(t, time.Now())
}

func reissued(plan []pki.Reissue) []string {
	var out []string
	for _, r := range plan {
		out = append(out, r.Name)
	}
	return out
}

// A renewal that is cut off goes on with what it has not made yet, whichever command goes on.
func TestARenewalThatWasCutOffGoesOn(t *testing.T) {
	s := certified(t)
	asked := []string{pki.APIServer, pki.Scheduler}
	q := must[Request](t)(opened(t).RenewCertificates(asked))
	l := must[*live](t)(newLive(q, testOptions(t, s)))
	if diff := cmp.Diff(asked, reissued(l.issues)); diff != "" {
		t.Fatal(diff)
	}
	if err := l.begin(); err != nil {
		t.Fatal(err)
	}
	// It had written one of the two.
	if err := s.SaveKeys(l.keys, []string{pki.APIServer}); err != nil {
		t.Fatal(err)
	}
	for name, q := range map[string]Request{"apply": opened(t).Request(), "certs renew": must[Request](t)(opened(t).RenewCertificates(asked))} {
		again := must[*live](t)(newLive(q, testOptions(t, s)))
		if diff := cmp.Diff([]string{pki.Scheduler}, reissued(again.issues)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	_, err := AbortRequest("demo")
	if !errors.Is(err, errIssued) {
		t.Errorf("going back: %v", err)
	}
	var refused *change.Refused
	if _, err := newLive(must[Request](t)(opened(t).RenewCertificates([]string{pki.APIServer, pki.Flannel})), testOptions(t, s)); !errors.As(err, &refused) {
		t.Errorf("one more beside them: %v", err)
	}
}

func TestARenewalThatMadeNothingYetIsTakenBack(t *testing.T) {
	s := certified(t)
	l := must[*live](t)(newLive(must[Request](t)(opened(t).RenewCertificates([]string{pki.Admin})), testOptions(t, s)))
	if err := l.begin(); err != nil {
		t.Fatal(err)
	}
	back := must[*live](t)(newLive(must[Request](t)(AbortRequest("demo")), testOptions(t, s)))
	if len(back.issues) > 0 {
		t.Errorf("it would make %v", reissued(back.issues))
	}
}

// Authorities that have ended are made anew by certs renew alone, with the keys that they have and all that they signed; cut off, it goes on.
func TestAuthoritiesThatHaveEndedAreMadeAnew(t *testing.T) {
	certified(t)
	const year = 365 * 24 * time.Hour
	s := broughtUp(t, time.Now().Add(-10*year-24*time.Hour))
	before := must[pki.Bundle](t)(s.Keys(opened(t).env.rows))
	_, err := newLive(opened(t).Request(), testOptions(t, s))
	var lost *store.LostError
	if !errors.As(err, &lost) || strings.Count(err.Error(), "haplane certs renew --cluster demo makes it anew with the key that it has") != 3 {
		t.Fatalf("any other change: %v", err)
	}
	q := must[Request](t)(opened(t).RenewCertificates([]string{pki.Scheduler}))
	l := must[*live](t)(newLive(q, testOptions(t, s)))
	made := reissued(l.issues)
	if len(made) != len(l.rows) || made[0] != pki.Scheduler && !slices.Contains(made, pki.CA) {
		t.Fatalf("made anew are %v", made)
	}
	if err := l.begin(); err != nil {
		t.Fatal(err)
	}
	again := must[*live](t)(newLive(opened(t).Request(), testOptions(t, s))) // cut off before anything was written
	if len(again.issues) != len(made) {
		t.Errorf("it goes on with %v", reissued(again.issues))
	}
	if err := s.SaveKeys(again.keys, []string{pki.CA}); err != nil { // and after this
		t.Fatal(err)
	}
	last := must[*live](t)(newLive(opened(t).Request(), testOptions(t, s)))
	if len(last.issues) != len(made)-1 || slices.Contains(reissued(last.issues), pki.CA) {
		t.Errorf("it goes on with %v", reissued(last.issues))
	}
	if err := errors.Join((&journal{live: last}).Issue(), last.settle()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{pki.CA, pki.EtcdCA, pki.FrontProxyCA} {
		after := must[pki.Bundle](t)(s.Keys(opened(t).env.rows)).Pairs[name]
		if string(after.Key) != string(before.Pairs[name].Key) || string(after.Cert) == string(before.Pairs[name].Cert) {
			t.Errorf("%s: another key, or the certificate of before", name)
		}
	}
	if done := must[*live](t)(newLive(opened(t).Request(), testOptions(t, s))); len(done.issues) > 0 {
		t.Errorf("afterwards it would make %v", reissued(done.issues))
	}
}

// Of two generations it is not known which one is to go on.
func TestAnAuthorityThatEndedWhileItWasRotated(t *testing.T) {
	certified(t)
	s := broughtUp(t, time.Now().Add(-11*365*24*time.Hour))
	if err := s.Update(func(r *store.Record) error {
		r.Rotation = &store.Rotation{Name: pki.RotateEncryption, Phase: pki.Trust}
		return s.SaveNext(pki.RotateEncryption, pki.Pair{Cert: []byte("key2"), Key: make([]byte, 32)})
	}); err != nil {
		t.Fatal(err)
	}
	q := must[Request](t)(opened(t).RenewCertificates([]string{pki.Scheduler}))
	if len(q.Renew) != 1 {
		t.Errorf("asked for are %v", q.Renew)
	}
	if _, err := newLive(q, testOptions(t, s)); err == nil || !strings.Contains(err.Error(), "while the rotation of encryption is under way it is not made anew") {
		t.Errorf("error %v", err)
	}
}

func TestForeignCertificatesAreNotReplaced(t *testing.T) {
	s := broughtUp(t, time.Now())
	e := run(s)
	plan, _ := pki.Plan(e.rows, pki.Bundle{}, time.Now(), false)
	other := must[pki.Bundle](t)(pki.Issue(e.rows, pki.Bundle{}, plan, time.Now(), rand.Reader))
	if err := s.SaveKeys(other, []string{pki.APIServer}); err != nil {
		t.Fatal(err)
	}
	before := content(t, s)
	_, err := opened(t).RenewCertificates([]string{pki.Scheduler})
	var hinted *HintedError
	if !errors.As(err, &hinted) || !strings.Contains(err.Error(), "pki/apiserver.crt") {
		t.Errorf("%v", err)
	}
	if diff := cmp.Diff(before, content(t, s)); diff != "" {
		t.Error(diff)
	}
}

// Certificates that somebody else signs are brought to the nodes without the authority's key;
// whatever else has to be signed is refused.
func TestCertificatesAreImportedWithoutTheAuthoritysKey(t *testing.T) {
	s := certified(t)
	caKey := filepath.Join(s.Dir, "pki", "ca.key")
	away := must[[]byte](t)(os.ReadFile(caKey))
	if err := os.Remove(caKey); err != nil {
		t.Fatal(err)
	}
	requests := must[[]SigningRequest](t)(opened(t).SigningRequests([]string{pki.Scheduler, pki.Flannel}))
	if len(requests) != 2 || requests[0].Name != pki.Scheduler || requests[0].Authority != pki.CA {
		t.Fatalf("%+v", requests)
	}
	signed := signedWith(t, s, away, requests[0].Request)
	run(s).whole(t, "cp-1")
	q, _, err := opened(t).ImportCertificates(map[string][]byte{"scheduler.crt": signed})
	if err != nil {
		t.Fatal(err)
	}
	l := must[*live](t)(newLive(q, testOptions(t, s)))
	if len(l.issues) != 1 || l.issues[0].Name != pki.Scheduler || l.issues[0].NewSerial != "2a" || l.issues[0].OldSerial == "" {
		t.Fatalf("%+v", l.issues)
	}
	if file := l.rendered["cp-1"].Files["/etc/kubernetes/pki/ca.key"]; !file.Keep {
		t.Error("the authority's key of the nodes would be written over")
	}
	if err := errors.Join(l.begin(), (&journal{live: l}).Issue()); err != nil {
		t.Fatal(err)
	}
	if got := content(t, s)[filepath.Join(s.Dir, "pki", "scheduler.crt")]; got != string(signed) {
		t.Errorf("the record has\n%s", got)
	}
	if left := must[map[string]pki.Pair](t)(s.Pending(run(s).rows)); len(left) != 1 || len(left[pki.Flannel].Key) == 0 {
		t.Errorf("there waits %v", len(left))
	}
	if err := s.Update(func(r *store.Record) error { r.Change = nil; return nil }); err != nil { // it has ended
		t.Fatal(err)
	}
	var lost *store.LostError
	renew := must[Request](t)(opened(t).RenewCertificates([]string{pki.Admin}))
	var hinted *HintedError
	if _, err := newLive(renew, testOptions(t, s)); !errors.As(err, &lost) || !errors.As(err, &hinted) || !strings.Contains(hinted.Hint, "haplane certs csr") {
		t.Errorf("what has to be signed: %v", err)
	}
}

// signedWith is what somebody signs who has the authority's key.
func signedWith(t *testing.T, s store.Store, caKey, request []byte) []byte {
	t.Helper()
	return signedAs(t, s, pki.CA, caKey, request)
}

// signedAs is what an authority of the cluster signs, with names beside those that it is asked for.
func signedAs(t *testing.T, s store.Store, authority string, caKey, request []byte, names ...string) []byte {
	t.Helper()
	ca := must[*x509.Certificate](t)(pki.ParseCertificate([]byte(content(t, s)[filepath.Join(s.Dir, "pki", authority+".crt")])))
	block, _ := pem.Decode(request)
	csr := must[*x509.CertificateRequest](t)(x509.ParseCertificateRequest(block.Bytes))
	block, _ = pem.Decode(caKey)
	key := must[*ecdsa.PrivateKey](t)(x509.ParseECPrivateKey(block.Bytes))
	usages := slices.DeleteFunc(csr.Extensions, func(e pkix.Extension) bool { return e.Id.String() == "2.5.29.17" }) // names, which are below
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(42), Subject: csr.Subject,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour), ExtraExtensions: usages,
		DNSNames: append(csr.DNSNames, names...), IPAddresses: csr.IPAddresses}, ca, csr.PublicKey, key))
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestListedCertificates(t *testing.T) {
	now := time.Now()
	s := broughtUp(t, now.Add(-330*24*time.Hour))
	if err := os.Remove(filepath.Join(s.Dir, "pki", "flannel.crt")); err != nil {
		t.Fatal(err)
	}
	e := run(s)
	if err := e.loadKeys(); err != nil {
		t.Fatal(err)
	}
	for _, c := range e.recorded(now) {
		switch c.Name {
		case pki.Flannel:
			if c.Error == "" {
				t.Errorf("%+v", c)
			}
		case pki.APIServer:
			if c.Serial == "" || c.Issuer != "CN=kubernetes" || !strings.HasPrefix(c.Note, "ends in 34 days") && !strings.HasPrefix(c.Note, "ends in 35 days") {
				t.Errorf("%+v", c)
			}
		}
	}
	m := render.Render(e.input())["cp-1"]
	for file, want := range map[string]string{
		"/etc/kubernetes/pki/apiserver.crt":   "kube-apiserver: by itself",
		"/etc/kubernetes/pki/etcd/peer.crt":   "etcd: by itself",
		"/etc/kubernetes/scheduler.conf":      "kube-scheduler: restart",
		"/etc/kubernetes/admin.conf":          "no program that goes on running reads it",
		"/etc/kubernetes/pki/etcd/ca.crt":     "etcd: restart, kube-apiserver: restart",
		"/var/lib/kubelet/pki/kubelet.crt":    "kubelet: restart",
		"/etc/kubernetes/pki/front-proxy.crt": "no program that goes on running reads it",
	} {
		if got := reload(m, file); got != want {
			t.Errorf("%s: %s, want %s", file, got, want)
		}
	}
	if got := reload(render.Render(e.input())["lb-1"], "/etc/haproxy/kubernetes-ca.crt"); got != "haproxy: reload" {
		t.Errorf("load balancer's: %s", got)
	}
	list := []ListedCertificate{{Name: "ca", Serial: "2a"}, {Name: "kubelet@n", Serial: "1"}, {Name: "kubelet@n", Serial: "2a"}}
	if markServed(list, "n", []*x509.Certificate{{SerialNumber: big.NewInt(42)}}, nil); list[0].Served || list[1].Served || !list[2].Served {
		t.Errorf("%+v", list)
	}
	if markServed(list, "n", []*x509.Certificate{{SerialNumber: big.NewInt(43)}}, nil); list[2].Note != "the kubelet serves another: serial 2b" {
		t.Errorf("%+v", list)
	}
	// Each file with a certificate is known by its row.
	for node, m := range render.Render(e.input()) {
		for file, row := range m.Certificates {
			if !slices.ContainsFunc(e.rows, func(r pki.Row) bool { return r.Name == row }) {
				t.Errorf("%s:%s is %q", node, file, row)
			}
		}
		for file := range m.Files {
			if strings.HasSuffix(file, ".crt") && m.Certificates[file] == "" {
				t.Errorf("%s:%s has no name", node, file)
			}
		}
	}
}
