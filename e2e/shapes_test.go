//go:build e2e

package e2e

import (
	"crypto/x509"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// TestShapes brings up the small ones of the examples. Of each, the four checks
// of its identity hold on every node, and a second run changes nothing.
func TestShapes(t *testing.T) {
	r := newRig(t)
	for _, name := range []string{"hard-way", "shared-certificate", "shared-lease", "external-etcd", "dual-stack", "ipv6", "no-kubelet", "small"} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, r, name, 0)
			before := lookAtHost(r)
			topo := c.useExample(t)
			up := must(t, 0, c.Up(background(t)))
			t.Logf("up took %s", up.Elapsed.Round(100*time.Millisecond))
			c.checkShape(t, topo)
			contains(t, "what a second up says", must(t, 0, c.Up(background(t))).Stdout, "nothing changed")
			c.checkPodInShape(t, topo.KubeletNodes())
			if name == "external-etcd" {
				c.checkStopAndStart(t, topo)
			}
			must(t, 0, c.Down(background(t)))
			before.left(t, lookAtHost(r))
		})
	}
}

// useExample takes the cluster file from the examples, with the way out closed.
func (c *cluster) useExample(t *testing.T) *topology.Topology {
	t.Helper()
	file := filepath.Join(c.Root, "examples", c.Name+".yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := spec.Parse(file, data)
	if err != nil {
		t.Fatal(err)
	}
	parsed.Spec.Network.NAT = new(false)
	if data, err = yaml.Marshal(parsed); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.File(), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return topology.New(parsed)
}

func (c *cluster) checkShape(t *testing.T, topo *topology.Topology) {
	t.Helper()
	roots := c.roots(t)
	for _, n := range topo.ControlPlane() {
		cert := presented(t, netip.AddrPortFrom(n.Address, topology.APIServerPort).String(), roots)
		if got, want := addressesOf(cert), texts(topo.ServingAddresses()); !same(got, want) {
			t.Errorf("%s: addresses in the certificate are %v, want %v", n.Name, got, want)
		}
		args := c.arguments(t, n.Name, "kube-apiserver")
		reconciler := "--endpoint-reconciler-type=" + string(topo.Reconciler)
		for _, arg := range []string{"--advertise-address=" + topo.AdvertiseAddress(n).String(), reconciler} {
			if !slices.Contains(args, arg) {
				t.Errorf("%s: the API server runs without %s: %v", n.Name, arg, args)
			}
		}
		for _, unit := range []string{"kube-scheduler", "kube-controller-manager"} {
			if args := c.arguments(t, n.Name, unit); !slices.Contains(args, "--leader-elect=true") {
				t.Errorf("%s: %s runs without --leader-elect=true: %v", n.Name, unit, args)
			}
		}
	}
	status, err := c.Status(background(t))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := status.KubernetesServiceEndpoints, texts(topo.KubernetesEndpoints()); !same(got, want) {
		t.Errorf("endpoints of default/kubernetes are %v, want %v", got, want)
	}
	var members []string
	for _, m := range status.Etcd.Members {
		members = append(members, m.Name)
		want(t, "etcd member "+m.Name+" is healthy", is(m.Healthy, true), true)
	}
	var wantMembers []string
	for _, n := range topo.EtcdMembers() {
		wantMembers = append(wantMembers, n.Name)
	}
	if !same(members, wantMembers) {
		t.Errorf("etcd members are %v, want %v", members, wantMembers)
	}
}

func addressesOf(cert *x509.Certificate) []string {
	var out []string
	for _, ip := range cert.IPAddresses {
		a, _ := netip.AddrFromSlice(ip)
		out = append(out, a.Unmap().String())
	}
	return out
}

func texts[T interface{ String() string }](values []T) []string {
	var out []string
	for _, v := range values {
		out = append(out, v.String())
	}
	return out
}

// checkPodInShape runs a pod that finds the API by name and reaches it.
func (c *cluster) checkPodInShape(t *testing.T, nodes []topology.Node) {
	t.Helper()
	registered := strings.Fields(must(t, 0, c.Kubectl(background(t), "get", "nodes", "-o", "jsonpath={.items[*].metadata.name}")).Stdout)
	var want []string
	for _, n := range nodes {
		want = append(want, n.Name)
	}
	if !same(registered, want) {
		t.Errorf("nodes are %v, want %v", registered, want)
	}
	ctx := background(t)
	must(t, 0, c.Kubectl(ctx, "run", "probe", "--image="+c.on(t, nodes[0].Name, "ctr --namespace k8s.io images list --quiet | grep ^haplane.local/web:"), "--image-pull-policy=Never",
		`--overrides={"spec":{"tolerations":[{"operator":"Exists"}]}}`))
	must(t, 0, c.Kubectl(ctx, "wait", "--for=condition=Ready", "--timeout=90s", "pod/probe"))
	resolved := must(t, 0, c.Kubectl(ctx, "exec", "probe", "--", "/web", "resolve", "kubernetes.default.svc.cluster.local"))
	if resolved.Stdout == "" {
		t.Error("kubernetes.default.svc.cluster.local has no address")
	}
	contains(t, "what the API tells a pod", must(t, 0, c.Kubectl(ctx, "exec", "probe", "--", "/web", "get", "http://127.0.0.1:8080/kube")).Stdout, `"gitVersion": "v1.`)
}

// checkStopAndStart shuts all machines down and starts them: data and pods are there.
func (c *cluster) checkStopAndStart(t *testing.T, topo *topology.Topology) {
	t.Helper()
	ctx := background(t)
	must(t, 0, c.Kubectl(ctx, "create", "configmap", "kept", "--from-literal=a=b"))
	stopped := must(t, 0, c.Run(ctx, "stop", "--cluster", c.Name))
	contains(t, "what a second stop says", must(t, 0, c.Run(ctx, "stop", "--cluster", c.Name)).Stdout, "nothing changed")
	started := must(t, 0, c.Run(ctx, "start", "--cluster", c.Name))
	t.Logf("stop took %s, start %s", stopped.Elapsed.Round(100*time.Millisecond), started.Elapsed.Round(100*time.Millisecond))
	contains(t, "what was kept", must(t, 0, c.Kubectl(ctx, "get", "configmap", "kept", "-o", "jsonpath={.data.a}")).Stdout, "b")
	c.checkShape(t, topo)
	contains(t, "what up says then", must(t, 0, c.Up(ctx)).Stdout, "nothing changed")
}
