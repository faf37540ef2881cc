//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haplane/haplane/e2e/rig"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/topology"
)

// A certificate is what scripts may rely on in the output of `haplane certs list -o json`.
type certificate struct {
	Name, Node, Serial, Issuer, Reload, Path, Part, Note, Error string
	NotAfter                                                    time.Time
}

// TestChangeCerts renews all certificates of a cluster that serves, is killed at it, and repairs
// one in which every certificate has ended: while its machines run, and after they were off.
func TestChangeCerts(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-certs", 24)
	must(t, 0, c.Up(background(t)))
	d := &day{cluster: c, controlPlane: slices.Clone(controlPlane), workers: []string{"worker-1"}}
	for _, part := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"list", d.listsAll},
		{"renew-all", d.renewsAll},
		{"killed", d.killedRenewing},
		{"imported", d.imported},
		{"ended", func(t *testing.T) { d.ended(t, d.restartAll) }},
		{"ended-and-off", func(t *testing.T) {
			d.ended(t, func(t *testing.T) { must(t, 0, d.Run(background(t), "stop", "--cluster", d.Name)) })
		}},
	} {
		if !t.Run(part.name, part.run) {
			return
		}
	}
}

func (c *cluster) certificates(t *testing.T) []certificate {
	t.Helper()
	out := must(t, 0, c.Run(background(t), "certs", "list", "--cluster", c.Name, "-o", "json"))
	var list []certificate
	if err := json.Unmarshal([]byte(out.Stdout), &list); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	return list
}

func (d *day) listsAll(t *testing.T) {
	list := d.certificates(t)
	have := map[string]bool{}
	for _, c := range list {
		have[c.Name+" "+c.Node] = true
		if c.Error != "" || c.Note != "" || c.Serial == "" || c.Issuer == "" || c.Reload == "" || time.Until(c.NotAfter) < 300*24*time.Hour {
			t.Errorf("%+v", c)
		}
	}
	for _, want := range []string{"ca ", "super-admin ", "apiserver cp-2", "etcd/peer@cp-3 cp-3", "kubelet@worker-1 worker-1", "kubelet-client@worker-1 worker-1", "scheduler cp-1", "ca lb-1"} {
		if !have[want] {
			t.Errorf("no %q among %d certificates", want, len(list))
		}
	}
	t.Logf("%d certificates", len(list))
	for _, node := range kubeNodes { // a kubelet begins with haplane's, and asks for its own at once
		wait(t, 30*time.Second, "the kubelet of "+node+" to have a certificate of its own", func(ctx context.Context) error {
			var given, own certificate
			for _, c := range d.certificates(t) {
				switch {
				case c.Name == "kubelet-client@"+node && c.Node == "":
					given = c
				case c.Name == "kubelet-client@"+node && strings.HasSuffix(c.Path, "/kubelet-client-current.pem"):
					own = c
				}
			}
			if own.Serial == "" || own.Serial == given.Serial || !strings.Contains(own.Reload, "renews it") || own.Issuer != "CN=kubernetes" {
				return fmt.Errorf("given %+v, its own %+v", given, own)
			}
			return nil
		})
	}
}

// leaves are the serials of all certificates that are no authorities', by place.
func leaves(list []certificate) map[string]string {
	out := map[string]string{}
	for _, c := range list {
		if !slices.Contains([]string{pki.CA, pki.EtcdCA, pki.FrontProxyCA}, c.Name) {
			out[c.Node+":"+c.Path+" "+c.Part] = c.Serial
		}
	}
	return out
}

// rereads are the programs that are not restarted for a certificate.
var rereads = []string{"etcd", "kube-apiserver", "containerd"}

func (d *day) renewsAll(t *testing.T) {
	before, runs := leaves(d.certificates(t)), ""
	for _, unit := range rereads {
		runs += d.invocations(t, unit)
	}
	unnoticed(t, d.change(t, "certs", "renew"))
	after, again := leaves(d.certificates(t)), ""
	for _, unit := range rereads {
		again += d.invocations(t, unit)
	}
	want(t, "runs of etcd, API servers and containerd", again, runs)
	want(t, "number of certificates", len(after), len(before))
	for place, serial := range before {
		if after[place] == serial {
			t.Errorf("%s has serial %s still", place, serial)
		}
	}
	t.Logf("%d certificates renewed", len(after))
	d.wellAgain(t)
}

func (d *day) killedRenewing(t *testing.T) {
	d.killedAt(t, "certs", "renew", "apiserver", "scheduler", "kube-proxy")
	d.wellAgain(t)
}

// imported has certificates signed by somebody else, who has the authority's key: haplane does not.
func (d *day) imported(t *testing.T) {
	dir, key := t.TempDir(), filepath.Join(d.Store(), "pki", "ca.key")
	away := filepath.Join(dir, "ca.key")
	if err := os.Rename(key, away); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Rename(away, key) }() // where the test ends before
	refused := must(t, 1, d.Run(background(t), "certs", "renew", "scheduler", "--cluster", d.Name, "--yes"))
	contains(t, "renewal without the key", refused.Stderr, "pki/ca.key: missing", "haplane certs csr")
	must(t, 0, d.Run(background(t), "certs", "csr", "scheduler", "apiserver", "kubelet@worker-1", "--cluster", d.Name, "-o", dir))
	for _, name := range []string{"scheduler", "apiserver", "kubelet@worker-1"} {
		file := filepath.Join(dir, name)
		out, err := exec.CommandContext(background(t), "openssl", "x509", "-req", "-in", file+".csr", "-CA", filepath.Join(d.Store(), "pki", "ca.crt"), "-CAkey", away,
			"-copy_extensions", "copyall", "-days", "365", "-out", file+".crt").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	runs := d.invocations(t, "kube-apiserver")
	unnoticed(t, d.change(t, "certs", "import", dir))
	want(t, "runs of the API servers", d.invocations(t, "kube-apiserver"), runs)
	for _, node := range controlPlane {
		served := d.on(t, node, "openssl s_client -connect 127.0.0.1:6443 </dev/null 2>/dev/null | openssl x509")
		file, err := os.ReadFile(filepath.Join(dir, "apiserver.crt"))
		if err != nil || strings.TrimSpace(string(file)) != served {
			t.Errorf("%s serves another certificate than was imported: %v", node, err)
		}
		want(t, node+": lines of ca.key", d.on(t, node, "grep -c . /etc/kubernetes/pki/ca.key"), "5")
	}
	if err := os.Rename(away, key); err != nil {
		t.Fatal(err)
	}
	d.wellAgain(t)
}

// ended makes every certificate one that ended yesterday, and then what lets all programs meet
// that. Renewing mends it, with the data that was there.
func (d *day) ended(t *testing.T, meet func(*testing.T)) {
	name := strings.ReplaceAll(t.Name()[strings.LastIndex(t.Name(), "/")+1:], "_", "-")
	must(t, 0, d.Kubectl(background(t), "create", "secret", "generic", name, "--from-literal=kept=yes"))
	d.age(t)
	meet(t)
	status, err := d.Status(background(t))
	if err == nil && slices.ContainsFunc(status.APIServers, func(a struct {
		Node  string
		Ready *bool
	}) bool {
		return a.Ready != nil && *a.Ready
	}) {
		t.Fatalf("an API server is ready still: %+v", status.APIServers)
	}
	began := time.Now()
	must(t, 0, d.Run(background(t), "certs", "renew", "--cluster", d.Name, "--yes"))
	t.Logf("repaired in %.1f s", time.Since(began).Seconds())
	kept := must(t, 0, d.Kubectl(background(t), "get", "secret", name, "-o", "jsonpath={.data.kept}"))
	want(t, "Secret of before", kept.Stdout, base64.StdEncoding.EncodeToString([]byte("yes")))
	d.wellAgain(t)
	t.Logf("all well after %.1f s", time.Since(began).Seconds())
}

// restartAll restarts every program of the cluster.
func (d *day) restartAll(t *testing.T) {
	for _, node := range allNodes {
		d.on(t, node, "cd /etc/systemd/system; for u in etcd kube-apiserver kube-controller-manager kube-scheduler haplane-agent kubelet kube-proxy flanneld haproxy; do "+
			"[ ! -e $u.service ] || systemctl --no-block restart $u; done")
	}
	wait(t, time.Minute, "the API to be gone", func(ctx context.Context) error {
		if d.Kubectl(ctx, "get", "nodes", "--request-timeout=2s").Code == 0 {
			return errors.New("it answers")
		}
		return nil
	})
}

// age replaces every certificate of the record and of all nodes by one that was issued 366 days
// ago, and is as its row wants it.
func (d *day) age(t *testing.T) {
	s := store.Store{Dir: d.Store()}
	file, err := s.Cluster()
	if err != nil {
		t.Fatal(err)
	}
	rows := pki.Catalogue(topology.New(file))
	have, err := s.Keys(rows)
	if err != nil {
		t.Fatal(err)
	}
	names, err := pki.Leaves(rows, nil)
	if err != nil {
		t.Fatal(err)
	}
	var plan []pki.Reissue
	for _, name := range names {
		plan = append(plan, pki.Reissue{Name: name})
	}
	old, err := pki.Issue(rows, have, plan, time.Now().Add(-366*24*time.Hour), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var swaps []string
	for _, name := range names {
		for _, swap := range [][2][]byte{{have.Pairs[name].Cert, old.Pairs[name].Cert}, {have.Pairs[name].Key, old.Pairs[name].Key}} {
			swaps = append(swaps, string(swap[0]), string(swap[1]),
				base64.StdEncoding.EncodeToString(swap[0]), base64.StdEncoding.EncodeToString(swap[1]))
		}
	}
	for _, node := range allNodes {
		own := old.Pairs[pki.KubeletClient(node)]
		d.rewrite(t, node, strings.NewReplacer(swaps...), string(own.Cert)+string(own.Key))
	}
	if err := s.SaveKeys(old, names); err != nil {
		t.Fatal(err)
	}
}

// rewrite replaces text in the files on a node that may have certificates in them, and all that its
// kubelet has got by itself.
func (d *day) rewrite(t *testing.T, node string, swap *strings.Replacer, kubelets string) {
	t.Helper()
	get := d.Command(background(t), "ssh", "--cluster", d.Name, node,
		"cd / && find etc/kubernetes etc/haproxy root/.kube var/lib/kubelet/pki -type f 2>/dev/null | tar -cf - --files-from=-")
	packed, err := get.Output()
	if err != nil {
		t.Fatalf("on %s: %v", node, err)
	}
	var out bytes.Buffer
	in, w := tar.NewReader(bytes.NewReader(packed)), tar.NewWriter(&out)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		data, readErr := io.ReadAll(in)
		if err := errors.Join(err, readErr); err != nil {
			t.Fatal(err)
		}
		text := swap.Replace(string(data))
		if name := filepath.Base(h.Name); strings.HasPrefix(name, "kubelet-client-") && filepath.Ext(name) == ".pem" {
			text = kubelets
		}
		if text == string(data) {
			continue
		}
		h.Size = int64(len(text))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	put := d.Command(background(t), "ssh", "--cluster", d.Name, node, "tar -C / --preserve-permissions --same-owner -xf -")
	put.Stdin = &out
	if result := rig.Finish(put); result.Code != 0 {
		t.Fatal(fmt.Errorf("on %s:\n%s", node, result))
	}
}
