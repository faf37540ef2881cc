package apply

import (
	"crypto/rand"
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/phase"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
)

// What was published of an authority is taken out when no API server has it in memory any more: one that has would add it again.
func TestUnpublishWaitsForEachAPIServer(t *testing.T) {
	now := of(three...)
	w := newWorld(t, now)
	next, err := pki.Next(w.keys, pki.Catalogue(now), pki.CA, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	kept := string(w.keys.Pairs[pki.CA].Cert)
	w.api.published, w.api.stale = kept+string(next.Cert), map[string]string{"cp-2": string(next.Cert)}
	r := w.runner(now)
	r.Rotation = &Rotation{Name: pki.RotateCA, Next: next}
	var waited []string
	r.Waiting = func(_, what string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if what == "" || slices.Contains(waited, what) {
			return
		}
		waited = append(waited, what)
		if !strings.Contains(w.api.published, string(next.Cert)) {
			t.Error("it was taken out before cp-2 had read its files again")
		}
		delete(w.api.stale, "cp-2") // it reads them
	}
	r.Report = func(phase.Event) {}
	if err := r.Run(t.Context(), &change.Change{Steps: []change.Step{{ID: "unpublish", Verb: change.Unpublish}}}); err != nil {
		t.Fatal(err)
	}
	if w.api.published != kept {
		t.Errorf("published is\n%s", w.api.published)
	}
	if want := "cp-2: API server accepts clients of CN=kubernetes-2 still"; !slices.Equal(waited, []string{want}) {
		t.Errorf("waited for %q, want %s", waited, want)
	}
}

// What servers show in each phase is asked of them by TLS: a leaf alone is good for nobody who trusts the old authority alone, and when that was
// dropped nothing of it is left.
func TestServersAreAskedWhatTheyShow(t *testing.T) {
	w := newWorld(t, of(three...))
	next, err := pki.Next(w.keys, pki.Catalogue(of(three...)), pki.CA, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	old := w.keys.Pairs[pki.CA]
	cross, err := pki.Cross(old, next, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	during := w.keys.During(pki.Switch, pki.CA, next)
	during.Beside.Cross = cross
	during, err = pki.Issue(pki.Catalogue(of(three...)), during, []pki.Reissue{{Name: pki.APIServer}}, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pair := during.Pairs[pki.APIServer]
	both, alone := serving(t, during.FileOf(pki.APIServer), pair.Key), serving(t, pair.Cert, pair.Key)
	r := w.runner(of(three...))
	r.Rotation = &Rotation{Name: pki.RotateCA, Old: old, Next: next, Cross: cross}
	for name, servers := range map[string]map[tlsServer][]topology.Node{"with it": both, "alone": alone} {
		if err := r.serve(t.Context(), servers); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := r.lead(t.Context(), both); err != nil {
		t.Error(err)
	}
	if err := r.lead(t.Context(), alone); err == nil || !strings.Contains(err.Error(), "cp-1: server serves what nobody takes who trusts the old authority alone") {
		t.Errorf("a leaf alone: %v", err)
	}
	if err := r.alone(t.Context(), alone); err != nil {
		t.Error(err)
	}
	if err := r.alone(t.Context(), both); err == nil || err.Error() != "cp-1: server serves a certificate of CN=kubernetes still" {
		t.Errorf("with it: %v", err)
	}
	r.Rotation.Cross = nil // of a rotation that an older haplane began
	if err := r.lead(t.Context(), alone); err != nil {
		t.Error(err)
	}
}

// serving serves a certificate until the test ends.
func serving(t *testing.T, cert, key []byte) map[tlsServer][]topology.Node {
	t.Helper()
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.(*tls.Conn).Handshake()
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
	})
	at := listener.Addr().(*net.TCPAddr)
	return map[tlsServer][]topology.Node{{"server", topology.KubernetesName, uint16(at.Port)}: {{Name: "cp-1", Address: netip.MustParseAddr("127.0.0.1")}}}
}

// Before the old authority goes, CoreDNS and whoever else reads the next one by himself is given the time for that; who began before and may not, is named.
func TestPodsReadTheNextAuthority(t *testing.T) {
	trusted := time.Now().Add(time.Second - Reread)
	asks := func(namespace, name string, began time.Time) corev1.Pod {
		p := pod(name, "")
		p.Namespace = namespace
		p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"}}}}}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(began)}}}}
		return p
	}
	before, since := trusted.Add(-time.Hour), trusted.Add(time.Minute)
	dns := asks("kube-system", "coredns", before)
	dns.Labels = map[string]string{"k8s-app": "kube-dns"}
	for name, test := range map[string]struct {
		pods   []corev1.Pod
		change func(*Rotation)
		waits  bool
		named  string
	}{
		"CoreDNS from before": {[]corev1.Pod{dns, asks("team", "new", since)}, func(*Rotation) {}, true, ""},
		"a pod from before":   {[]corev1.Pod{asks("team", "web", before)}, func(*Rotation) {}, true, "pod team/web began before"},
		"all began since":     {[]corev1.Pod{asks("team", "new", since)}, func(*Rotation) {}, false, ""},
		"long ago":            {[]corev1.Pod{dns}, func(r *Rotation) { r.Trusted = r.Trusted.Add(-time.Minute) }, false, ""},
		"of etcd":             {[]corev1.Pod{dns}, func(r *Rotation) { r.Name = pki.RotateEtcdCA }, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, of(three...))
			w.api.pods = test.pods
			r := w.runner(of(three...))
			r.Rotation = &Rotation{Name: pki.RotateCA, Trusted: trusted}
			test.change(r.Rotation)
			waited := false
			r.Waiting = func(_, what string) { waited = waited || strings.Contains(what, "reads the next authority by") }
			until := time.Now().Add(time.Second)
			r.Rotation.Trusted = r.Rotation.Trusted.Add(until.Sub(trusted.Add(Reread)))
			if err := r.untilRead(t.Context()); err != nil {
				t.Fatal(err)
			}
			if waited != test.waits || waited && time.Now().Before(until) {
				t.Errorf("waited: %v", waited)
			}
			err := r.Unread(t.Context(), trusted)
			if (err != nil) != (test.named != "") || err != nil && !strings.HasPrefix(err.Error(), test.named) {
				t.Errorf("error %v", err)
			}
		})
	}
}
