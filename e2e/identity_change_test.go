//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haplane/haplane/e2e/rig"
)

// TestChangeIdentity takes one cluster through all three identities and back, by all six ways between two of
// them, and has API servers keep the endpoints themselves in the identity shared, and haplane agent again. Clients notice none of it, and a pod's
// token is never refused.
func TestChangeIdentity(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-identity", 18)
	must(t, 0, c.Up(background(t)))
	d := &day{cluster: c, controlPlane: slices.Clone(controlPlane), workers: []string{"worker-1"}}
	_, token := c.podToken(t)
	defer c.withToken(token).never401(t)
	for _, identity := range []string{"perNode", "sharedCertificate", "perNode", "shared", "sharedCertificate", "shared"} {
		if !t.Run(identity, func(t *testing.T) { d.becomes(t, identity) }) {
			return
		}
	}
	t.Run("endpointReconciler", d.otherReconciler)
}

// otherReconciler changes who keeps the endpoints, and nothing else, and changes that back. An x-ray finds wrong what is wrong with it where
// API servers share one address, which the change tells as new, and nothing else.
func (d *day) otherReconciler(t *testing.T) {
	d.write(t, "  endpointReconciler: lease\n")
	result := must(t, 1, d.Run(background(t), "apply", "-f", d.File(), "--cluster", d.Name, "--yes", "-o", "json"))
	var o outcome
	if err := json.Unmarshal([]byte(result.Stdout), &o); err != nil {
		t.Fatalf("%v:\n%s", err, result)
	}
	unnoticed(t, o)
	slices.Sort(o.NewFailures)
	for i, node := range d.controlPlane {
		if len(o.NewFailures) != len(d.controlPlane) || !strings.HasPrefix(o.NewFailures[i], "endpoint-reconciler on "+node+": ") {
			t.Fatalf("an x-ray finds that is new: %q", o.NewFailures)
		}
	}
	d.has(t, "shared", "lease")
	contains(t, "apply", must(t, 0, d.Run(background(t), "apply", "--cluster", d.Name, "--yes")).Stdout, "nothing to do")
	d.write(t, "")
	clients := d.startTraffic(t)
	d.killedAtVerbs(t, []string{"endpoints-hold", "endpoints-set", "write-files", "restart", "endpoints-release"}, "apply", "-f", d.File())
	clients.unnoticed(t, "haplane agent keeps the endpoints again, killed")
	d.is(t, "shared")
	d.wellAgain(t)
}

// TestChangeShape takes the kubelets off the control-plane nodes of a cluster and puts them there again, moves its load
// balancer to another port, and to another machine with another address. Clients notice none of it. Then it does all that once more, the
// other way, and is killed at each verb.
func TestChangeShape(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-shape", 20)
	must(t, 0, c.Up(background(t)))
	d := &day{cluster: c, controlPlane: slices.Clone(controlPlane), workers: []string{"worker-1"}}
	for _, part := range []struct {
		name string
		run  func(*testing.T)
	}{{"without-kubelets", d.withoutKubelets}, {"with-kubelets", d.withKubelets},
		{"without-kubelets-killed", d.withoutKubeletsKilled}, {"with-kubelets-killed", d.withKubeletsKilled},
		{"port", d.otherPort}, {"address", d.otherAddress}, {"port-and-address-killed", d.otherPlaceKilled}} {
		if !t.Run(part.name, part.run) {
			return
		}
	}
}

// applies has the cluster become what its file and these lines of its spec say.
func (d *day) applies(t *testing.T, lines string) {
	t.Helper()
	d.write(t, lines)
	unnoticed(t, d.change(t, "apply", "-f", d.File()))
}

// write has these lines of its spec, and no others, in the cluster's file.
func (d *day) write(t *testing.T, lines string) {
	t.Helper()
	text := fmt.Sprintf("apiVersion: haplane/v1alpha1\nkind: Cluster\nmetadata: {name: %s}\nspec:\n  network: {machineCIDR: %s, nat: false}\n%s", d.Name, d.Network, lines)
	if err := os.WriteFile(d.File(), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// becomes gives the cluster an identity, and looks whether it has it in all places.
func (d *day) becomes(t *testing.T, identity string) {
	before := d.invocations(t, "kube-apiserver")
	shared := slices.Contains(d.arguments(t, "cp-1", "kube-apiserver"), "--endpoint-reconciler-type=none")
	stays, judge := !shared && identity != "shared", unnoticed
	if stays {
		judge = unharmed
	}
	d.write(t, "  identity: "+identity+"\n")
	judge(t, d.change(t, "apply", "-f", d.File()))
	if stays != (before == d.invocations(t, "kube-apiserver")) {
		t.Errorf("whether API servers go on running: %v", !stays)
	}
	d.is(t, identity)
	d.wellAgain(t)
}

// is looks for an identity, with who keeps the endpoints by default.
func (d *day) is(t *testing.T, identity string) {
	t.Helper()
	d.has(t, identity, map[bool]string{true: "none", false: "lease"}[identity == "shared"])
}

func (d *day) has(t *testing.T, identity, reconciler string) {
	t.Helper()
	var nodes []string
	for _, node := range d.controlPlane {
		nodes = append(nodes, d.address(node)+":6443")
		advertised := d.address(node)
		if identity == "shared" {
			advertised = d.address("lb-1")
		}
		args := d.arguments(t, node, "kube-apiserver")
		if !slices.Contains(args, "--advertise-address="+advertised) || !slices.Contains(args, "--endpoint-reconciler-type="+reconciler) {
			t.Errorf("the API server of %s runs with %v", node, args)
		}
		if got, keeps := d.on(t, node, "systemctl is-active haplane-agent || true"), d.arguments(t, node, "haplane-agent"); got != "active" ||
			slices.ContainsFunc(keeps, func(a string) bool { return strings.HasPrefix(a, "--endpoint=") }) != (reconciler == "none") {
			t.Errorf("haplane agent of %s is %s, with %v", node, got, keeps)
		}
		names := d.on(t, node, "openssl s_client -connect 127.0.0.1:6443 </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName")
		if has := strings.Contains(names, d.address("cp-2")); has != (identity == "perNode") {
			t.Errorf("the certificate that %s serves has a node's address: %v", node, has)
		}
	}
	want := nodes
	if identity == "shared" {
		want = []string{d.endpoint()}
	}
	if held := d.Kubectl(background(t), "get", "validatingadmissionpolicies", "-o", "name").Stdout; held != "" {
		t.Errorf("left over: %s", held)
	}
	for range 3 { // as long as an API server takes to write them again
		d.waitStatus(t, "endpoints of the kubernetes Service", func(s rig.Status) error {
			if !same(s.KubernetesServiceEndpoints, want) {
				return fmt.Errorf("they are %v, want %v", s.KubernetesServiceEndpoints, want)
			}
			return nil
		})
	}
}

func (d *day) withoutKubelets(t *testing.T) {
	before := d.invocations(t, "kube-apiserver")
	d.applies(t, "  controlPlane: {kubelet: false}\n")
	want(t, "runs of the API servers", d.invocations(t, "kube-apiserver"), before)
	d.hasNoKubelets(t)
}

// withoutKubeletsKilled does that again, killed on the way.
func (d *day) withoutKubeletsKilled(t *testing.T) {
	clients := d.startTraffic(t)
	d.write(t, "  controlPlane: {kubelet: false}\n")
	d.killedAtVerbs(t, []string{"node-drain", "kubelet-remove", "write-files", "node-delete"}, "apply", "-f", d.File())
	clients.unnoticed(t, "without kubelets, killed")
	d.hasNoKubelets(t)
}

// hasNoKubelets looks for what may be left of them on control-plane nodes.
func (d *day) hasNoKubelets(t *testing.T) {
	t.Helper()
	names := strings.Fields(must(t, 0, d.Kubectl(background(t), "get", "nodes", "-o", "jsonpath={.items[*].metadata.name}")).Stdout)
	if !same(names, d.workers) {
		t.Errorf("Kubernetes has nodes %v", names)
	}
	for _, node := range d.controlPlane {
		left := d.on(t, node, `ls /etc/systemd/system | grep -E 'kubelet|kube-proxy|flanneld|containerd' || true
pgrep -la 'kubelet|kube-proxy|flanneld|containerd' || true
iptables-save | grep KUBE-SVC || true
grep /var/lib/kubelet/pods /proc/mounts || true
ip -br link | grep -E 'cni0|flannel' || true
ls /etc/kubernetes/kubelet.conf /etc/kubernetes/flannel.conf /etc/kubernetes/kube-proxy.conf 2>/dev/null || true`)
		want(t, "what is left on "+node, left, "")
	}
	must(t, 0, d.Kubectl(background(t), "rollout", "status", "deployment/coredns", "-n", "kube-system", "--timeout=60s"))
}

func (d *day) withKubelets(t *testing.T) {
	d.applies(t, "")
	d.hasKubelets(t)
}

// withKubeletsKilled does that again, killed on the way.
func (d *day) withKubeletsKilled(t *testing.T) {
	clients := d.startTraffic(t)
	d.write(t, "")
	d.killedAtVerbs(t, []string{"write-files", "start", "node-ready"}, "apply", "-f", d.File())
	clients.unnoticed(t, "with kubelets, killed")
	d.hasKubelets(t)
}

func (d *day) hasKubelets(t *testing.T) {
	t.Helper()
	tainted := strings.TrimSpace(strings.Repeat("node-role.kubernetes.io/control-plane ", 3))
	wait(t, 20*time.Second, "the taints of control-plane nodes, and no others", func(ctx context.Context) error { // not-ready is taken away later
		got := d.Kubectl(ctx, "get", "nodes", "-l", "node-role.kubernetes.io/control-plane", "-o", "jsonpath={.items[*].spec.taints[*].key}")
		if got.Stdout != tainted {
			return fmt.Errorf("they are %s", got)
		}
		return nil
	})
	d.wellAgain(t)
}

// otherPort moves the load balancer to another port, and gives it a name.
func (d *day) otherPort(t *testing.T) {
	d.applies(t, "  loadBalancer: {port: 8443, dnsNames: [api.example.com]}\n")
	place := d.address("lb-1") + ":8443"
	d.moved(t, d.endpoint(), place)
	names := d.on(t, "worker-1", "openssl s_client -connect "+place+" </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName")
	contains(t, "certificate", names, "DNS:api.example.com")
	d.wellAgain(t)
}

// otherAddress has another load balancer with another address take its place.
func (d *day) otherAddress(t *testing.T) {
	address := strings.TrimSuffix(d.address("lb-1"), "3") + "4"
	d.applies(t, "  loadBalancer: {address: "+address+"}\n  nodes:\n  - {role: control-plane}\n  - {role: control-plane}\n  - {role: control-plane}\n"+
		"  - {role: worker}\n  - {role: load-balancer, name: lb-2}\n")
	d.moved(t, d.address("lb-1")+":8443", address+":6443")
	names := d.on(t, "worker-1", "openssl s_client -connect "+address+":6443 </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName")
	contains(t, "certificate", names, "IP Address:"+address)
	if strings.Contains(names, "IP Address:"+d.address("lb-1")+",") {
		t.Errorf("the certificate has the old address still: %s", names)
	}
}

// otherPlaceKilled has the first load balancer take the place of that one, at another port, killed on the way.
func (d *day) otherPlaceKilled(t *testing.T) {
	here := d.address("lb-1")
	d.write(t, "  loadBalancer: {address: "+here+", port: 8443}\n  nodes:\n  - {role: control-plane}\n  - {role: control-plane}\n  - {role: control-plane}\n"+
		"  - {role: worker}\n  - {role: load-balancer, name: lb-1}\n")
	d.killedAtVerbs(t, []string{"issue-certificates", "create-machine", "clients-moved", "kubeconfig-move", "clients-gone", "remove-machine"}, "apply", "-f", d.File())
	d.moved(t, strings.TrimSuffix(here, "3")+"4:6443", here+":8443")
	d.wellAgain(t)
}

// moved fails the test unless all that went to the old place of the load balancer goes to the new one, the
// user's kubeconfig too, and nothing is served at the old one.
func (d *day) moved(t *testing.T, old, place string) {
	t.Helper()
	d.waitStatus(t, "endpoints of the kubernetes Service", func(s rig.Status) error {
		if !same(s.KubernetesServiceEndpoints, []string{place}) {
			return fmt.Errorf("they are %v", s.KubernetesServiceEndpoints)
		}
		return nil
	})
	kubeconfig, err := os.ReadFile(d.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	contains(t, "the user's kubeconfig", string(kubeconfig), "https://"+place)
	for _, node := range append(slices.Clone(d.controlPlane), d.workers...) {
		want(t, "what leads to the old place on "+node, d.on(t, node, "grep -l "+old+" /etc/kubernetes/*.conf || true"), "")
	}
	served := d.on(t, "worker-1", "timeout 3 bash -c '</dev/tcp/"+strings.Replace(old, ":", "/", 1)+"' 2>/dev/null && echo served || true")
	want(t, "the old place", served, "")
}

// TestChangeIdentityKilled kills haplane at every step on the way from one identity to another, and goes back
// from the middle of the way. Clients notice none of it.
func TestChangeIdentityKilled(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-idkill", 19)
	must(t, 0, c.Up(background(t)))
	d := &day{cluster: c, controlPlane: slices.Clone(controlPlane), workers: []string{"worker-1"}}
	clients := d.startTraffic(t)
	c.append(t, "  identity: perNode\n")
	c.killedAt(t, "apply", "-f", c.File())
	d.is(t, "perNode")

	file, err := os.ReadFile(c.File())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.File(), []byte(strings.Replace(string(file), "identity: perNode", "identity: shared", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd, _ := c.start(t, "apply", "-f", c.File(), "--cluster", c.Name, "--yes", "--no-probe")
	d.waitStep(t, cmd, "restart@cp-2/kube-apiserver")
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	contains(t, "status", c.Run(background(t), "status", "--cluster", c.Name).Stdout, "cut off")
	must(t, 0, c.Run(background(t), "apply", "--abort", "--cluster", c.Name, "--yes", "--no-probe"))
	d.is(t, "perNode")
	clients.unnoticed(t, "killed at every step")
	wait(t, 30*time.Second, "x-ray to be clean", func(ctx context.Context) error {
		if xray := c.Run(ctx, "xray", "--cluster", c.Name); xray.Code != 0 {
			return fmt.Errorf("%s", xray)
		}
		return nil
	})
}
