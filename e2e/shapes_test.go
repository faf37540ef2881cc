//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// TestShapes brings up the small ones of the examples.
func TestShapes(t *testing.T) {
	r := newRig(t)
	for _, name := range []string{"hard-way", "shared-certificate", "shared-lease", "external-etcd", "dual-stack", "ipv6", "no-kubelet", "small"} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, r, name, 0)
			data, err := os.ReadFile(filepath.Join(r.Root, "examples", name+".yaml"))
			if err != nil {
				t.Fatal(err)
			}
			var after func(*topology.Topology)
			switch name {
			case "external-etcd":
				after = func(topo *topology.Topology) { c.checkStopAndStart(t, topo) }
			case "dual-stack", "ipv6":
				after = func(topo *topology.Topology) { c.checkOneBecomesTwo(t, topo) }
			}
			c.checkWholeShape(t, string(data), after)
		})
	}
}

// checkWholeShape brings the cluster of a file up: the four checks of its identity
// hold on every node, a second run changes nothing, a pod reaches the API, an x-ray
// finds nothing wrong.
func (c *cluster) checkWholeShape(t *testing.T, file string, then func(*topology.Topology)) {
	t.Helper()
	before := lookAtHost(c.Rig)
	topo := c.use(t, file)
	up := must(t, 0, c.Up(background(t)))
	t.Logf("up took %s", up.Elapsed.Round(100*time.Millisecond))
	c.checkShape(t, topo)
	contains(t, "what a second up says", must(t, 0, c.Up(background(t))).Stdout, "nothing changed")
	c.checkPodInShape(t, topo.KubeletNodes())
	c.xrayShape(t, topo)
	if then != nil {
		then(topo)
	}
	must(t, 0, c.Down(background(t)))
	before.left(t, lookAtHost(c.Rig))
}

// use takes a cluster file, with the way out closed.
func (c *cluster) use(t *testing.T, text string) *topology.Topology {
	t.Helper()
	parsed, err := spec.Parse(c.File(), []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	parsed.Spec.Network.NAT = new(false)
	data, err := yaml.Marshal(parsed)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.File(), data, 0o600); err != nil {
		t.Fatal(err)
	}
	return topology.New(parsed)
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

// checkOneBecomesTwo adds a load balancer to the one of a cluster with IPv6, whose address the two move from then on, and has the first one lose it.
func (c *cluster) checkOneBecomesTwo(t *testing.T, topo *topology.Topology) {
	t.Helper()
	unnoticed(t, c.change(t, "node", "add", "--role", "load-balancer"))
	want(t, "who has the address", c.holder(t), "lb-1")
	moves := topo.LBAddresses[len(topo.LBAddresses)-1] // of IPv6
	if own := c.on(t, "lb-1", "ip -6 -brief address show eth0"); !strings.Contains(own, " "+moves.String()+"/128") || strings.Contains(own, " "+moves.String()+"/64") {
		t.Errorf("addresses of lb-1: %s", own)
	}
	c.on(t, "lb-1", "systemctl kill --signal KILL haproxy")
	t.Logf("the address moved after %s", ms(c.moved(t, "lb-1")))
	for node, has := range map[string]string{"lb-1": "0", "lb-2": "1"} {
		want(t, "on "+node+" the address is", c.on(t, node, "ip -6 -oneline address show dev eth0 to "+moves.String()+" | wc -l"), has)
	}
	c.standsBy(t, "lb-1")
	unnoticed(t, c.change(t, "node", "remove", "lb-1"))
	if api := must(t, 0, c.Kubectl(background(t), "get", "--raw", "/readyz")); api.Stdout != "ok" {
		t.Errorf("/readyz: %s", api.Stdout)
	}
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
