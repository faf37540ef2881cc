//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
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
	Served                                                      bool
}

// TestChangeCerts renews all certificates of a cluster that serves, is killed at it, and repairs
// one in which every certificate has ended: while its machines run, after they were off, and with all authorities.
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
		{"kubelet-serving", d.kubeletServing},
		{"renew-all", d.renewsAll},
		{"killed", d.killedRenewing},
		{"imported", d.imported},
		{"foreign", d.foreign},
		{"ended", func(t *testing.T) { d.ended(t, false, d.restartAll) }},
		{"ended-and-off", func(t *testing.T) {
			d.ended(t, false, func(t *testing.T) { must(t, 0, d.Run(background(t), "stop", "--cluster", d.Name)) })
		}},
		{"authorities-ended", func(t *testing.T) { d.ended(t, true, d.restartAll) }},
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
	for _, node := range kubeNodes { // a kubelet begins with haplane's, and asks for its own at once
		wait(t, 30*time.Second, "the kubelet of "+node+" to have certificates of its own", func(context.Context) error {
			list := d.certificates(t)
			return errors.Join(ownOf(list, "kubelet-client@"+node, "kubelet-client-current.pem", false), ownOf(list, "kubelet@"+node, "kubelet-server-current.pem", true))
		})
	}
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
}

// ownOf wants a kubelet to have a certificate that it got by itself, beside the one of the record.
func ownOf(list []certificate, name, file string, served bool) error {
	var given, own certificate
	for _, c := range list {
		switch {
		case c.Name == name && c.Node == "":
			given = c
		case c.Name == name && strings.HasSuffix(c.Path, "/"+file):
			own = c
		}
	}
	if own.Serial == "" || own.Serial == given.Serial || !strings.Contains(own.Reload, "renews it") || own.Issuer != "CN=kubernetes" || own.Served != served {
		return fmt.Errorf("given %+v, its own %+v", given, own)
	}
	return nil
}

// kubeletServing gives a kubelet a serving certificate that ends in half a minute, of its authority and with its names: it has the
// next one before that, and API servers reach it all the time. A request for the names of others is left as it is.
func (d *day) kubeletServing(t *testing.T) {
	const node = "worker-1"
	short := d.shortLived(t, node, 100*time.Second, 65*time.Second)
	put := d.Command(background(t), "ssh", "--cluster", d.Name, node, "cd /var/lib/kubelet/pki && umask 077 && cat >kubelet-server-2000-01-01-00-00-00.pem && "+
		"ln -sfn /var/lib/kubelet/pki/kubelet-server-2000-01-01-00-00-00.pem kubelet-server-current.pem && systemctl restart kubelet")
	put.Stdin = bytes.NewReader(append(slices.Clone(short.Cert), short.Key...))
	if result := rig.Finish(put); result.Code != 0 {
		t.Fatal(result)
	}
	first, err := pki.ParseCertificate(short.Cert)
	if err != nil {
		t.Fatal(err)
	}
	serial := func() string {
		return strings.ToLower(strings.TrimPrefix(d.on(t, node, "openssl s_client -connect 127.0.0.1:10250 </dev/null 2>/dev/null | openssl x509 -noout -serial || echo none"), "serial="))
	}
	wait(t, 15*time.Second, "the kubelet to serve the short one", func(context.Context) error {
		if got := serial(); got != first.SerialNumber.Text(16) {
			return fmt.Errorf("it serves %s", got)
		}
		return nil
	})
	d.asksForMore(t, node)
	asked, failed := 0, ""
	wait(t, time.Minute, "the kubelet to serve the next one", func(ctx context.Context) error {
		if out := d.Kubectl(ctx, "get", "--raw", "/api/v1/nodes/"+node+"/proxy/healthz"); out.Code != 0 || strings.TrimSpace(out.Stdout) != "ok" {
			failed += out.String()
		}
		asked++
		return ownIs(d.certificates(t), node, first.SerialNumber.Text(16))
	})
	if left := time.Until(first.NotAfter); left < 0 || failed != "" {
		t.Errorf("renewed %s before its end; of %d requests to the kubelet through API servers failed:\n%s", left, asked, failed)
	}
	t.Logf("renewed %.0f s before its end, %d requests through API servers", time.Until(first.NotAfter).Seconds(), asked)
	name := strings.TrimSpace(must(t, 0, d.Kubectl(background(t), "-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-dns", "-o", "jsonpath={.items[0].metadata.name}")).Stdout)
	must(t, 0, d.Kubectl(background(t), "-n", "kube-system", "logs", "--tail=1", name))
	want(t, "conditions of a request for names of others", must(t, 0, d.Kubectl(background(t), "get", "csr", "for-more", "-o", "jsonpath={.status.conditions}")).Stdout, "")
	must(t, 0, d.Kubectl(background(t), "delete", "csr", "for-more"))
	d.on(t, node, "rm -f /var/lib/kubelet/pki/kubelet-server-2000-01-01-00-00-00.pem")
}

// ownIs wants a kubelet to serve one of its own that is another than before.
func ownIs(list []certificate, node, before string) error {
	for _, c := range list {
		if c.Name == "kubelet@"+node && strings.HasSuffix(c.Path, "kubelet-server-current.pem") && c.Served && c.Serial != before {
			return nil
		}
	}
	return errors.New("it does not yet")
}

// shortLived is a serving certificate of a kubelet, of which a part is over.
func (d *day) shortLived(t *testing.T, node string, lifetime, over time.Duration) pki.Pair {
	t.Helper()
	_, have := d.recorded(t)
	ca, err := tls.X509KeyPair(have.Pairs[pki.CA].Cert, have.Pairs[pki.CA].Key)
	if err != nil {
		t.Fatal(err)
	}
	key, err := pki.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(key)
	private, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now().Add(-over)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(0xabcdef), Subject: pkix.Name{CommonName: "system:node:" + node, Organization: []string{"system:nodes"}},
		NotBefore: began, NotAfter: began.Add(lifetime), KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{node}, IPAddresses: []net.IP{net.ParseIP(d.address(node))}}, ca.Leaf, private.Public(), ca.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return pki.Pair{Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), Key: key}
}

// asksForMore has a node ask, as itself, for the load balancer's address.
func (d *day) asksForMore(t *testing.T, node string) {
	t.Helper()
	d.on(t, node, `cd /tmp && openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout more.key -subj "/O=system:nodes/CN=system:node:`+node+`" -addext "subjectAltName=IP:`+d.address("lb-1")+`" -out more.csr 2>/dev/null && `+
		`printf 'apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {name: for-more}\nspec: {signerName: kubernetes.io/kubelet-serving, usages: [digital signature, server auth], request: %s}\n' "$(base64 -w0 more.csr)" >more.yaml && `+
		`kubectl --kubeconfig /etc/kubernetes/kubelet.conf create -f more.yaml && rm -f more.*`)
}

// recorded are the rows of the cluster and its keys.
func (d *day) recorded(t *testing.T) ([]pki.Row, pki.Bundle) {
	t.Helper()
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
	return rows, have
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
	unharmed(t, d.change(t, "certs", "renew"))
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
	unharmed(t, d.change(t, "certs", "import", dir))
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

// foreign has a certificate in the place of the API server's on one node that no authority of the cluster has signed: the plan names it, the
// cluster's own takes its place, what was there is kept beside it, and clients notice nothing.
func (d *day) foreign(t *testing.T) {
	const node, place = "cp-2", "/etc/kubernetes/pki/apiserver.crt"
	served := func() string {
		return d.on(t, node, "openssl s_client -connect 127.0.0.1:6443 </dev/null 2>/dev/null | openssl x509 -noout -serial")
	}
	ours, serial, runs := d.on(t, node, "cat "+place), served(), d.invocations(t, "kube-apiserver")
	theirs := d.on(t, node, "cd /tmp && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout theirs.key -subj /CN=somebody-else -days 30 -out theirs.crt 2>/dev/null && "+
		"cat theirs.crt >"+place+" && rm theirs.key theirs.crt && cat "+place)
	contains(t, "the plan", must(t, 0, d.Run(background(t), "plan", "--cluster", d.Name)).String(), node+":"+place+" has a certificate that no authority of this cluster has signed (issuer CN=somebody-else", "kept as "+place+".foreign")
	unharmed(t, d.change(t, "apply"))
	want(t, "what is kept", d.on(t, node, "cat "+place+".foreign"), theirs)
	want(t, "what is in its place", d.on(t, node, "cat "+place), ours)
	want(t, "serial of what is served", served(), serial)
	want(t, "runs of the API servers", d.invocations(t, "kube-apiserver"), runs)
	d.wellAgain(t)
	d.on(t, node, "rm "+place+".foreign "+strings.TrimSuffix(place, "crt")+"key.foreign")
}

// ended makes every certificate one that ended yesterday, those of authorities too where that is wanted, and then what lets
// all programs meet that. Renewing mends it, with the data that was there.
func (d *day) ended(t *testing.T, authorities bool, meet func(*testing.T)) {
	name := strings.ReplaceAll(t.Name()[strings.LastIndex(t.Name(), "/")+1:], "_", "-")
	must(t, 0, d.Kubectl(background(t), "create", "secret", "generic", name, "--from-literal=kept=yes"))
	old := d.age(t, authorities)
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
	if authorities {
		contains(t, "any other change", must(t, 1, d.Run(background(t), "apply", "--cluster", d.Name, "--yes")).Stderr, "pki/etcd/ca.crt: it ended on ", "haplane certs renew --cluster "+d.Name+" makes it anew")
	}
	began := time.Now()
	must(t, 0, d.Run(background(t), "certs", "renew", "--cluster", d.Name, "--yes"))
	t.Logf("repaired in %.1f s", time.Since(began).Seconds())
	kept := must(t, 0, d.Kubectl(background(t), "get", "secret", name, "-o", "jsonpath={.data.kept}"))
	want(t, "Secret of before", kept.Stdout, base64.StdEncoding.EncodeToString([]byte("yes")))
	_, now := d.recorded(t)
	for _, name := range []string{pki.CA, pki.EtcdCA, pki.FrontProxyCA} {
		want(t, "key of "+name, string(now.Pairs[name].Key) == string(old.Pairs[name].Key), true)
		want(t, "certificate of "+name+" made anew", string(now.Pairs[name].Cert) != string(old.Pairs[name].Cert), authorities)
	}
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
// ago, and is as its row wants it; authorities, where that is wanted, by those of ten years and a day ago. It returns what is there then.
func (d *day) age(t *testing.T, authorities bool) pki.Bundle {
	s := store.Store{Dir: d.Store()}
	rows, have := d.recorded(t)
	names, err := pki.Leaves(rows, nil)
	if err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	old, all := have, []string{pki.CA, pki.EtcdCA, pki.FrontProxyCA}
	if authorities {
		old = issuedAgain(t, rows, old, all, time.Now().Add(-3651*day))
	}
	if old = issuedAgain(t, rows, old, names, time.Now().Add(-366*day)); authorities {
		names = append(names, all...)
	}
	var swaps []string
	for _, name := range names {
		for _, swap := range [][2][]byte{{have.Pairs[name].Cert, old.Pairs[name].Cert}, {have.Pairs[name].Key, old.Pairs[name].Key}} {
			swaps = append(swaps, string(swap[0]), string(swap[1]),
				base64.StdEncoding.EncodeToString(swap[0]), base64.StdEncoding.EncodeToString(swap[1]))
		}
	}
	for _, node := range allNodes {
		client, server := old.Pairs[pki.KubeletClient(node)], old.Pairs[pki.Kubelet(node)]
		d.rewrite(t, node, strings.NewReplacer(swaps...), map[string]string{"kubelet-client-": string(client.Cert) + string(client.Key), "kubelet-server-": string(server.Cert) + string(server.Key)})
	}
	if err := s.SaveKeys(old, names); err != nil {
		t.Fatal(err)
	}
	return old
}

// issuedAgain has others in the place of some certificates, issued at a time.
func issuedAgain(t *testing.T, rows []pki.Row, have pki.Bundle, names []string, at time.Time) pki.Bundle {
	t.Helper()
	var plan []pki.Reissue
	for _, name := range names {
		plan = append(plan, pki.Reissue{Name: name})
	}
	out, err := pki.Issue(rows, have, plan, at, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// rewrite replaces text in the files on a node that may have certificates in them, and all that its
// kubelet has got by itself.
func (d *day) rewrite(t *testing.T, node string, swap *strings.Replacer, kubelets map[string]string) {
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
		for own, pair := range kubelets {
			if name := filepath.Base(h.Name); strings.HasPrefix(name, own) && filepath.Ext(name) == ".pem" {
				text = pair
			}
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
