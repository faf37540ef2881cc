package cluster

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// external is a cluster that is whole, whose CA's key went elsewhere, with that key.
func external(t *testing.T) (store.Store, []byte) {
	t.Helper()
	s := certified(t)
	file := filepath.Join(s.Dir, "pki", "ca.key")
	key := must[[]byte](t)(os.ReadFile(file))
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	return s, key
}

// without asks for a cluster without the key of its CA, after a change of the file.
func withoutKey(t *testing.T, change func(*spec.Cluster)) Request {
	t.Helper()
	q := opened(t).Request()
	q.Wanted.Spec.Certificates.ExternalCA = []string{spec.CA}
	change(q.Wanted)
	return q
}

// A key that is declared to be elsewhere is no loss, and one that is not declared is.
func TestAKeyThatIsDeclaredToBeElsewhere(t *testing.T) {
	s, _ := external(t)
	q := opened(t).Request()
	q.Wanted.Spec.ExtraArgs = map[string]map[string]string{"kubelet": {"v": "2"}}
	var lost *store.LostError
	if _, err := newLive(q, testOptions(t, s)); !errors.As(err, &lost) {
		t.Errorf("not declared: %v", err)
	}
	l := must[*live](t)(newLive(withoutKey(t, func(*spec.Cluster) {}), testOptions(t, s)))
	if len(l.issues) > 0 {
		t.Errorf("it would make %v", reissued(l.issues))
	}
	cp, worker := l.rendered["cp-1"].Files, l.rendered["worker-1"].Files
	if _, has := cp["/etc/kubernetes/pki/ca.key"]; has {
		t.Error("control-plane nodes have the key")
	}
	if unit := string(cp["/etc/systemd/system/kube-controller-manager.service"].Data); strings.Contains(unit, "cluster-signing") {
		t.Errorf("it signs:\n%s", unit)
	}
	if config := string(worker["/var/lib/kubelet/config.yaml"].Data); !strings.Contains(config, "rotateCertificates: false") || !strings.Contains(config, "serverTLSBootstrap: false") {
		t.Errorf("kubelets ask somebody who is not there:\n%s", config)
	}
	// One that lies there all the same is told of, and not used.
	if err := os.WriteFile(filepath.Join(s.Dir, "pki", "ca.key"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l = must[*live](t)(newLive(withoutKey(t, func(*spec.Cluster) {}), testOptions(t, s))); len(l.keysLeft()) != 1 || len(l.keys.Pairs[pki.CA].Key) > 0 {
		t.Errorf("told of: %v", l.keysLeft())
	}
}

// What a node needs that is added has to be signed first; nothing is touched, and the same command goes on then.
func TestANodeIsAddedWithoutTheKey(t *testing.T) {
	s, key := external(t)
	add := func(c *spec.Cluster) {
		c.Spec.Nodes = append(c.Spec.Nodes, spec.Node{Name: "worker-9", Role: spec.RoleWorker, Address: "10.10.10.99"})
	}
	before := content(t, s)
	_, err := newLive(withoutKey(t, add), testOptions(t, s))
	var unsigned *UnsignedError
	want := []string{pki.KubeletClient("worker-9"), pki.Kubelet("worker-9")}
	if !errors.As(err, &unsigned) || !slices.Equal(unsigned.Names, want) {
		t.Fatalf("%v", err)
	}
	if diff := cmp.Diff(before, content(t, s)); diff != "" {
		t.Errorf("a plan has written\n%s", diff)
	}
	_, err = Apply(t.Context(), withoutKey(t, add), testOptions(t, s))
	var hinted *HintedError
	if !errors.As(err, &unsigned) || !errors.As(err, &hinted) || !strings.Contains(hinted.Hint, "haplane certs import") || len(unsigned.Requests) != 2 {
		t.Fatalf("%v", err)
	}
	files := map[string][]byte{}
	for _, r := range unsigned.Requests {
		if info, err := os.Stat(strings.TrimSuffix(r.File, ".csr") + ".key"); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the key of %s: %v, %v", r.Name, info, err)
		}
		if !strings.Contains(err.Error(), r.File) {
			t.Errorf("the error does not name %s", r.File)
		}
		files[r.Name] = signedWith(t, s, key, must[[]byte](t)(os.ReadFile(r.File)))
	}
	_, err = Apply(t.Context(), withoutKey(t, add), testOptions(t, s)) // again: what is being signed stays what it is
	if !errors.As(err, &unsigned) || string(must[[]byte](t)(os.ReadFile(unsigned.Requests[0].File))) == "" {
		t.Fatalf("%v", err)
	}
	run(s).whole(t, "cp-1")
	q, later, err := opened(t).ImportCertificates(files)
	if err != nil || len(q.Renew) > 0 || len(later) != 2 {
		t.Fatalf("renews %v, kept %v, %v", q.Renew, later, err)
	}
	l := must[*live](t)(newLive(withoutKey(t, add), testOptions(t, s)))
	if diff := cmp.Diff(want, reissued(l.issues)); diff != "" {
		t.Error(diff)
	}
	if got := string(l.keys.Pairs[want[0]].Cert); got != string(files[want[0]]) {
		t.Errorf("the node would have\n%s", got)
	}
	if err := errors.Join(l.begin(), (&journal{live: l}).Issue()); err != nil {
		t.Fatal(err)
	}
	if requests, keys, unread, err := s.Requests(); err != nil || len(requests)+len(keys)+len(unread) > 0 {
		t.Errorf("there waits %v still: %v", len(requests)+len(keys), err)
	}
}

// Renewal asks for signatures of just what is to be renewed; what only ends soon holds no other change up.
func TestRenewalWithoutTheKey(t *testing.T) {
	s := broughtUp(t, time.Now().Add(-300*24*time.Hour)) // a third is left, and less
	components := must[string](t)(filepath.Abs("../../components"))
	t.Setenv("HAPLANE_COMPONENTS", components)
	if err := os.Remove(filepath.Join(s.Dir, "pki", "ca.key")); err != nil {
		t.Fatal(err)
	}
	l := must[*live](t)(newLive(withoutKey(t, func(*spec.Cluster) {}), testOptions(t, s)))
	for _, r := range l.issues {
		if pki.Elsewhere(l.rows, r.Name) {
			t.Errorf("%s would be made without the key", r.Name)
		}
	}
	q := withoutKey(t, func(*spec.Cluster) {})
	q.Renew = map[string]string{pki.Scheduler: pki.Serial(l.keys, pki.Scheduler)}
	var unsigned *UnsignedError
	if _, err := newLive(q, testOptions(t, s)); !errors.As(err, &unsigned) || !slices.Equal(unsigned.Names, []string{pki.Scheduler}) {
		t.Errorf("%v", err)
	}
	if err := asked(t, s, func() Request { q := withoutKey(t, func(*spec.Cluster) {}); q.Rotate = "ca"; return q }()).rotate(); err == nil || !strings.Contains(err.Error(), "spec.certificates.externalCA") {
		t.Errorf("a rotation: %v", err)
	}
}

// A cluster comes up without the key: its CA's certificate is given, and all that it signs.
func TestUpWithoutTheKey(t *testing.T) {
	t.Setenv("HAPLANE_HOME", t.TempDir())
	components := must[string](t)(filepath.Abs("../../components"))
	t.Setenv("HAPLANE_COMPONENTS", components)
	s := must[store.Store](t)(store.Open("demo"))
	c := spec.Default("demo")
	c.Spec.Certificates.ExternalCA = []string{spec.CA}
	o := testOptions(t, s)
	_, err := newBringUp(Request{Wanted: c}, o)
	if err == nil || !strings.Contains(err.Error(), "pki/ca.crt: missing") || !strings.Contains(err.Error(), "spec.certificates.externalCA") {
		t.Fatalf("without a certificate: %v", err)
	}
	rows := pki.Catalogue(newEnv(spec.Default("demo"), o).topology)
	plan, _ := pki.Plan(rows, pki.Bundle{}, time.Now(), false)
	keys := must[pki.Bundle](t)(pki.Issue(rows, pki.Bundle{}, plan, time.Now(), rand.Reader))
	if err := s.SaveKeys(pki.Bundle{Pairs: map[string]pki.Pair{pki.CA: {Cert: keys.Pairs[pki.CA].Cert}}}, []string{pki.CA}); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(filepath.Join(s.Dir, "pki", "ca.key"))
	_, err = bringUp(context.Background(), Request{Wanted: c}, o)
	var unsigned *UnsignedError
	if !errors.As(err, &unsigned) {
		t.Fatalf("%v", err)
	}
	files := map[string][]byte{}
	for _, r := range unsigned.Requests {
		if r.Authority != pki.CA {
			t.Errorf("%s is to be signed by %s, whose key is here", r.Name, r.Authority)
		}
		files[r.Name] = signedWith(t, s, keys.Pairs[pki.CA].Key, r.Request)
	}
	if names, err := KeepSigned(s, files); err != nil || len(names) != len(files) || len(files) < 10 {
		t.Fatalf("%v, %v", names, err)
	}
	l := must[*live](t)(newBringUp(Request{Wanted: c}, o))
	if got := string(l.keys.Pairs[pki.APIServer].Cert); got != string(files[pki.APIServer]) {
		t.Errorf("it would come up with\n%s", got)
	}
	if len(l.keys.Pairs[pki.EtcdCA].Key) == 0 || len(l.keys.Pairs[pki.EtcdServer("cp-1")].Cert) == 0 {
		t.Error("what is not elsewhere is not made")
	}
	// What somebody signed that was not asked for is refused.
	forged := signedWith(t, s, keys.Pairs[pki.CA].Key, unsigned.Requests[0].Request)
	if _, err := KeepSigned(s, map[string][]byte{"x.crt": forged[:len(forged)/2]}); err == nil {
		t.Error("half a certificate was kept")
	}
}

// A certificate with a name that nobody asked for is used, and said; one with a name of a node is asked for anew, with the reason.
func TestANameMoreThanWasAskedFor(t *testing.T) {
	s, key := external(t)
	h := opened(t)
	for name, names := range map[string][]string{"a name of theirs": {"api.corp.example"}, "a node's": {"worker-1"}} {
		t.Run(name, func(t *testing.T) {
			request := must[[]SigningRequest](t)(h.SigningRequests([]string{pki.APIServer}))[0]
			waiting, _ := s.Pending(h.env.rows)
			pair := pki.Pair{Key: waiting[pki.APIServer].Key, Cert: signedAs(t, s, pki.CA, key, request.Request, names...)}
			if err := s.SaveKeys(pki.Bundle{Pairs: map[string]pki.Pair{pki.APIServer: pair}}, []string{pki.APIServer}); err != nil {
				t.Fatal(err)
			}
			l, err := newLive(withoutKey(t, func(*spec.Cluster) {}), testOptions(t, s))
			var unsigned *UnsignedError
			if names[0] == "worker-1" {
				if !errors.As(err, &unsigned) || !slices.Equal(unsigned.Names, []string{pki.APIServer}) || !strings.Contains(err.Error(), "apiserver, by ca (it is good for worker-1 as well") {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || len(l.issues) > 0 {
				t.Fatalf("it is no good: %v", err)
			}
			if said := strings.Join(l.namesBeyond(), "\n"); !strings.Contains(said, "certificate apiserver, signed elsewhere, is good for api.corp.example as well") {
				t.Errorf("said %q", said)
			}
		})
	}
}

// All files that are not as they have to be are named at once with all that is wrong, and none of the others is kept.
func TestWhatIsNotImported(t *testing.T) {
	s, key := external(t)
	run(s).whole(t, "cp-1")
	keys := must[pki.Bundle](t)(s.Keys(run(s).rows))
	h := opened(t)
	asked := map[string][]byte{}
	for _, r := range must[[]SigningRequest](t)(h.SigningRequests([]string{pki.Scheduler, pki.Flannel, pki.APIServer, pki.KubeProxy, pki.EtcdPeer("cp-1")})) {
		asked[r.Name] = r.Request
	}
	before := content(t, s)
	good := signedWith(t, s, key, asked[pki.Scheduler])
	wrong := signedAs(t, s, pki.EtcdCA, keys.Pairs[pki.EtcdCA].Key, asked[pki.Flannel])
	_, _, err := h.ImportCertificates(map[string][]byte{
		"1.crt": good, "2.crt": good, // twice the same is one
		"flannel.crt": wrong, "flannel2.crt": wrong,
		"apiserver.crt": signedAs(t, s, pki.FrontProxyCA, keys.Pairs[pki.FrontProxyCA].Key, asked[pki.APIServer], "cp-1"),
		"proxy.crt":     signedWith(t, s, key, asked[pki.KubeProxy]), "proxy2.crt": signedWith(t, s, key, asked[pki.KubeProxy]),
		"peer.crt":  signedWith(t, s, key, asked[pki.EtcdPeer("cp-1")]),
		"alien.crt": selfSigned(t), "x.pem": []byte("x"),
	})
	var hinted *HintedError
	if !errors.As(err, &hinted) || !strings.Contains(hinted.Hint, "haplane certs csr") {
		t.Errorf("%v", err)
	}
	for _, says := range []string{
		"flannel.crt: it is not as certificate flannel was requested: ca (CN=kubernetes) has not signed it: its issuer is CN=etcd-ca",
		"flannel2.crt: it is not as certificate flannel was requested: ca (CN=kubernetes) has not signed it",
		"; sign " + filepath.Join(s.Dir, "pki", "pending", "flannel.csr") + " again with the key of ca",
		"apiserver.crt: it is not as certificate apiserver was requested: it is good for cp-1 as well, which others in the cluster are; ca (CN=kubernetes) has not signed it: its issuer is CN=front-proxy-ca",
		"peer.crt: it is not as certificate etcd/peer@cp-1 was requested: etcd/ca (CN=etcd-ca) has not signed it: its issuer is CN=kubernetes",
		"proxy2.crt: proxy.crt has a certificate kube-proxy too, and another one",
		"alien.crt: it belongs to no key that waits for a signature: it is of CN=somebody",
		"x.pem: certificate is not PEM",
	} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v\ndoes not say %q", err, says)
		}
	}
	if diff := cmp.Diff(before, content(t, s)); diff != "" {
		t.Errorf("something was kept:\n%s", diff)
	}
	// The same of a cluster that is not there yet: the authority of each name is known without the cluster.
	if _, err := KeepSigned(s, map[string][]byte{"flannel.crt": signedAs(t, s, pki.EtcdCA, keys.Pairs[pki.EtcdCA].Key, asked[pki.Flannel]), "1.crt": good}); err == nil || !strings.Contains(err.Error(), "flannel.crt: ") {
		t.Errorf("kept for later: %v", err)
	}
	if diff := cmp.Diff(before, content(t, s)); diff != "" {
		t.Errorf("something was kept:\n%s", diff)
	}
	q, later, err := h.ImportCertificates(map[string][]byte{"1.crt": good, "2.crt": good})
	if err != nil || len(later) > 0 || len(q.Renew) != 1 || q.Renew[pki.Scheduler] == "" {
		t.Errorf("what is good: %v, %v, %v", q.Renew, later, err)
	}
}

// A request that cannot be read is in the way of its own certificate alone: nobody knows any more as what that was asked for.
func TestARequestThatCannotBeRead(t *testing.T) {
	s, key := external(t)
	run(s).whole(t, "cp-1")
	h := opened(t)
	signed := map[string][]byte{}
	for _, r := range must[[]SigningRequest](t)(h.SigningRequests([]string{pki.Scheduler, pki.Flannel, pki.KubeProxy})) {
		signed[r.Name] = signedWith(t, s, key, r.Request)
	}
	pending := func(name string) string { return filepath.Join(s.Dir, "pki", "pending", name) }
	nowhere := errors.Join(os.Remove(pending("kube-proxy.csr")), os.Symlink("nowhere", pending("kube-proxy.csr")))
	if err := errors.Join(nowhere, os.WriteFile(pending("flannel.csr"), []byte("half a request"), 0o644)); err != nil {
		t.Fatal(err)
	}
	q, _, err := h.ImportCertificates(map[string][]byte{"scheduler.crt": signed[pki.Scheduler]})
	if err != nil || len(q.Renew) != 1 || q.Renew[pki.Scheduler] == "" {
		t.Errorf("another one: %v, %v", q.Renew, err)
	}
	for name, says := range map[string]string{
		pki.Flannel:   "flannel.crt: nobody knows as what certificate flannel was requested: " + pending("flannel.csr") + ": the request is not PEM",
		pki.KubeProxy: "kube-proxy.crt: nobody knows as what certificate kube-proxy was requested: " + pending("kube-proxy.csr") + ": open ",
	} {
		_, _, err := h.ImportCertificates(map[string][]byte{name + ".crt": signed[name], name + "2.crt": signed[name]})
		var hinted *HintedError
		if !errors.As(err, &hinted) || !strings.Contains(hinted.Hint, "haplane certs csr") || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "another one") {
			t.Errorf("%v\ndoes not say %q, or of twice the same that they are two", err, says)
		}
	}
	if _, err := h.SigningRequests([]string{pki.Flannel}); err != nil { // as the hint has it
		t.Fatal(err)
	}
	if q, _, err := h.ImportCertificates(map[string][]byte{"flannel.crt": signed[pki.Flannel]}); err != nil || q.Renew[pki.Flannel] == "" {
		t.Errorf("with a request that can be read again: %v, %v", q.Renew, err)
	}
}

// A request is not written for an authority that nothing could be held against, nor with a key that cannot be used.
func TestWhatIsNotRequested(t *testing.T) {
	s, _ := external(t)
	pending := filepath.Join(s.Dir, "pki", "pending", "scheduler.key")
	if err := errors.Join(s.SavePending(pki.Scheduler, pki.Pair{Key: []byte("half a key")}), os.Remove(filepath.Join(s.Dir, "pki", "etcd", "ca.crt"))); err != nil {
		t.Fatal(err)
	}
	unlock, err := s.Lock() // the file of it stays
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	before := content(t, s)
	_, err = opened(t).SigningRequests([]string{pki.Admin, pki.Scheduler, pki.EtcdPeer("cp-1")})
	if err == nil || !strings.Contains(err.Error(), pending+": private key is not PEM") || !strings.Contains(err.Error(), filepath.Join("pki", "etcd", "ca.crt")+": missing") || strings.Contains(err.Error(), "half") {
		t.Errorf("%v", err)
	}
	if diff := cmp.Diff(before, content(t, s)); diff != "" {
		t.Errorf("something was written:\n%s", diff)
	}
}

// Where no machine is there, as after the record came out of a snapshot, what was signed is kept for the restore, and no change is planned.
func TestImportBeforeARestore(t *testing.T) {
	s, key := external(t)
	if err := s.Update(func(r *store.Record) error {
		r.Applied.Spec.Certificates.ExternalCA = []string{spec.CA}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(filepath.Join(s.Dir, "pki", "scheduler.crt")), os.Remove(filepath.Join(s.Dir, "pki", "scheduler.key"))); err != nil {
		t.Fatal(err)
	}
	var unsigned *UnsignedError
	if err := writeRequests(func() error { _, err := newLive(opened(t).Request(), testOptions(t, s)); return err }()); !errors.As(err, &unsigned) {
		t.Fatalf("%v", err)
	}
	files := map[string][]byte{"scheduler.crt": signedWith(t, s, key, unsigned.Requests[0].Request)}
	q, later, err := opened(t).ImportCertificates(files)
	if err != nil || len(q.Renew) > 0 || !slices.Equal(later, []string{pki.Scheduler}) {
		t.Errorf("renews %v, kept %v, %v", q.Renew, later, err)
	}
	l := must[*live](t)(newLive(opened(t).Request(), testOptions(t, s)))
	if got := string(l.keys.Pairs[pki.Scheduler].Cert); got != string(files["scheduler.crt"]) {
		t.Errorf("the restore goes on with\n%s", got)
	}
	run(s).whole(t, "cp-1")
	if q, later, err = opened(t).ImportCertificates(files); err != nil || len(q.Renew) != 1 || len(later) > 0 {
		t.Errorf("with machines it renews %v, kept %v, %v", q.Renew, later, err)
	}
	if err := s.Update(func(r *store.Record) error { r.Change = &store.Change{Command: "haplane node add"}; return nil }); err != nil {
		t.Fatal(err)
	}
	if q, later, err = opened(t).ImportCertificates(files); err != nil || len(q.Renew) > 0 || !slices.Equal(later, []string{pki.Scheduler}) {
		t.Errorf("for a change that was cut off it renews %v, kept %v, %v", q.Renew, later, err)
	}
}

// A plan that needs what is not signed names the commands that lead on; where the cluster is to be another one, haplane certs csr does not know of it.
func TestAPlanNamesTheWayToASignature(t *testing.T) {
	s, _ := external(t)
	if err := s.Update(func(r *store.Record) error {
		r.Applied.Spec.Certificates.ExternalCA = []string{spec.CA}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(filepath.Join(s.Dir, "pki", "scheduler.crt")), os.Remove(filepath.Join(s.Dir, "pki", "admin.key"))); err != nil {
		t.Fatal(err)
	}
	before := content(t, s)
	more := func(c *spec.Cluster) {
		c.Spec.Nodes = append(c.Spec.Nodes, spec.Node{Name: "worker-9", Role: spec.RoleWorker, Address: "10.10.10.99"})
	}
	for name, test := range map[string]struct {
		q    Request
		says string
	}{
		"as it is":    {opened(t).Request(), "haplane certs csr --cluster demo admin scheduler -o requests writes what has to be signed, with names and usages in it; then haplane certs import --cluster demo FILE..."},
		"a node more": {withoutKey(t, more), "haplane apply -f FILE writes what has to be signed to " + filepath.Join(s.Dir, "pki", "pending")},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := PlanFor(t.Context(), test.q, testOptions(t, s))
			var hinted *HintedError
			if !errors.As(err, &hinted) || !strings.Contains(hinted.Hint, test.says) || !strings.Contains(err.Error(), "scheduler, by ca (its certificate is missing)") {
				t.Errorf("%v\nhint: %+v", err, hinted)
			}
		})
	}
	if diff := cmp.Diff(before, content(t, s)); diff != "" {
		t.Errorf("a plan has written\n%s", diff)
	}
}

// What came back and cannot be taken is told with the reason when it is asked for again.
func TestWhatCameBackAndIsNotTaken(t *testing.T) {
	s, _ := external(t)
	h := opened(t)
	request := must[[]SigningRequest](t)(h.SigningRequests([]string{pki.Flannel}))[0]
	waiting, _ := s.Pending(h.env.rows)
	keys := must[pki.Bundle](t)(s.Keys(h.env.rows))
	bad := pki.Pair{Key: waiting[pki.Flannel].Key, Cert: signedAs(t, s, pki.EtcdCA, keys.Pairs[pki.EtcdCA].Key, request.Request)}
	if err := errors.Join(s.SavePending(pki.Flannel, bad), os.Remove(filepath.Join(s.Dir, "pki", "flannel.crt"))); err != nil {
		t.Fatal(err)
	}
	_, err := newLive(withoutKey(t, func(*spec.Cluster) {}), testOptions(t, s))
	if err == nil || !strings.Contains(err.Error(), "flannel, by ca (its certificate is missing; the one that came back cannot be taken: ca (CN=kubernetes) has not signed it") {
		t.Errorf("%v", err)
	}
}

// The last copies of the CA's key do not go from machines without a word: it is said whether there is another one, and where.
func TestTheLastCopiesOfAKey(t *testing.T) {
	s, key := external(t)
	q := withoutKey(t, func(*spec.Cluster) {})
	file := filepath.Join(s.Dir, "pki", "ca.key")
	for name, test := range map[string]struct {
		here    []byte
		settled bool
		seen    observed.Machine
		other   observed.Machine // cp-2
		last    bool
		says    string // "": nothing
	}{
		"the key is here":    {here: key, seen: observed.Machine{Made: true, Reachable: true, Manifest: caKey + "\n"}, says: caKey + " goes from cp-1; " + file + " is then the last copy"},
		"it is nowhere else": {seen: observed.Machine{Made: true, Reachable: true, Manifest: "/etc/x\n" + caKey + "\n"}, last: true, says: file + " is no other copy: if nobody has one elsewhere, the key is lost for good. haplane ssh --cluster demo cp-1 cat " + caKey + " | install"},
		"it is another's":    {here: otherKey(t), seen: observed.Machine{Made: true, Reachable: true, Manifest: caKey + "\n"}, last: true, says: "is no other copy"},
		"nobody can ask":     {seen: observed.Machine{Made: true}, last: true, says: caKey + " goes from cp-1 (not answering"},
		"another one has it": {seen: observed.Machine{Made: true}, other: observed.Machine{Made: true, Reachable: true, Manifest: caKey + "\n"}, last: true,
			says: caKey + " goes from cp-2 and cp-1 (not answering: nobody knows whether it is there), and " + file + " is no other copy: if nobody has one elsewhere, the key is lost for good. haplane ssh --cluster demo cp-2 cat "},
		"gone since long":      {settled: true, seen: observed.Machine{Made: true, Reachable: true, Manifest: "/etc/x\n"}},
		"off, gone since long": {settled: true, seen: observed.Machine{Made: true}},
	} {
		t.Run(name, func(t *testing.T) {
			_ = os.Remove(file)
			if test.here != nil {
				if err := os.WriteFile(file, test.here, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			l := must[*live](t)(newLive(q, testOptions(t, s)))
			if test.settled {
				l.was = []*topology.Topology{l.topology}
			}
			l.seen.Machines = map[string]observed.Machine{"cp-1": test.seen, "cp-2": test.other}
			warning, last, err := l.lastCopies()
			if err != nil || last != test.last || !strings.Contains(warning, test.says) || (warning == "") != (test.says == "") {
				t.Errorf("%q, %v, %v", warning, last, err)
			}
		})
	}
	undeclared := opened(t).Request()
	if err := os.WriteFile(file, key, 0o600); err != nil {
		t.Fatal(err)
	}
	l := must[*live](t)(newLive(undeclared, testOptions(t, s)))
	l.seen.Machines = map[string]observed.Machine{"cp-1": {Made: true, Reachable: true, Manifest: caKey + "\n"}}
	if warning, last, err := l.lastCopies(); warning != "" || last || err != nil {
		t.Errorf("not declared: %q, %v, %v", warning, last, err)
	}
}

func otherKey(t *testing.T) []byte { return must[[]byte](t)(pki.NewKey(rand.Reader)) }
