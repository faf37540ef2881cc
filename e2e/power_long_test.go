//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestLongStopAndStart shuts the machines of a whole cluster down and starts them
// again, all at once and one by one in several orders, and once one of the control plane has lost its disk. Its data and its pods are there each time.
func TestLongStopAndStart(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-power", 7)
	before := lookAtHost(r)
	must(t, 0, c.Up(background(t)))
	c.applyWorkload(t)
	order := slices.Clone(allNodes)
	seeded(t).Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	t.Run("all-at-once", c.checkStopAll)
	t.Run("one-by-one-and-back", func(t *testing.T) { c.checkStopEach(t, order) })
	t.Run("restart-backwards", func(t *testing.T) { c.checkRestarts(t, allNodes) })
	t.Run("one-disk-lost", func(t *testing.T) { c.checkDiskLost(t, "cp-2") })
	must(t, 0, c.Down(background(t)))
	before.left(t, lookAtHost(r))
}

// checkStopAll uses stop and start. When start has ended, what the API says of
// nodes and DNS is of the time after it began.
func (c *cluster) checkStopAll(t *testing.T) {
	c.keeps(t, "stopped", func() {
		boots := c.boots(t)
		stopped := must(t, 0, c.Run(background(t), "stop", "--cluster", c.Name))
		began := time.Now().Truncate(time.Second) // as the API has times
		started := must(t, 0, c.Run(background(t), "start", "--cluster", c.Name))
		for node, boot := range c.boots(t) {
			if boot == boots[node] {
				t.Errorf("start has ended, and the API has node %s as it was before the stop", node)
			}
		}
		for pod, since := range c.dnsSince(t) {
			if since.Before(began) {
				t.Errorf("start has ended, and the API has pod %s as it was before the stop: ready since %s, start began at %s", pod, since, began)
			}
		}
		t.Logf("stop took %s, start %s", ms(stopped.Elapsed), ms(started.Elapsed))
	})
}

// boots are the machines' boots as the API knows them, by node.
func (c *cluster) boots(t *testing.T) map[string]string {
	t.Helper()
	list, err := c.client(t).CoreV1().Nodes().List(background(t), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, n := range list.Items {
		out[n.Name] = n.Status.NodeInfo.BootID
	}
	if got := slices.Sorted(maps.Keys(out)); !same(got, kubeNodes) {
		t.Errorf("nodes are %v", got)
	}
	return out
}

// dnsSince tells since when CoreDNS' containers have run, by pod.
func (c *cluster) dnsSince(t *testing.T) map[string]time.Time {
	t.Helper()
	list, err := c.client(t).CoreV1().Pods("kube-system").List(background(t), metav1.ListOptions{LabelSelector: "k8s-app=kube-dns"})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]time.Time{}
	for _, p := range list.Items {
		out[p.Name] = time.Time{}
		for _, s := range p.Status.ContainerStatuses {
			if s.State.Running != nil {
				out[p.Name] = s.State.Running.StartedAt.Time
			}
		}
	}
	want(t, "number of pods of CoreDNS", len(out), 2)
	return out
}

// checkStopEach shuts one machine down after another, and starts them the other way round.
func (c *cluster) checkStopEach(t *testing.T, order []string) {
	c.keeps(t, strings.Join(order, " ")+" stopped one by one and started the other way round", func() {
		for _, node := range order {
			if err := c.Provider().Stop(background(t), node); err != nil {
				t.Fatal(err)
			}
		}
		contains(t, "status of a cluster that is off", must(t, 0, c.Run(background(t), "status", "--cluster", c.Name)).Stdout, "not ready")
		for _, node := range slices.Backward(order) {
			if err := c.Provider().Start(background(t), node); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// checkRestarts restarts one machine after another, from the last to the first.
func (c *cluster) checkRestarts(t *testing.T, nodes []string) {
	const boot = "cat /proc/sys/kernel/random/boot_id"
	c.keeps(t, "restarted backwards", func() {
		for _, node := range slices.Backward(nodes) {
			before := c.on(t, node, boot)
			if err := c.Provider().Stop(background(t), node); err != nil {
				t.Fatal(err)
			}
			must(t, 0, c.Run(background(t), "start", "--cluster", c.Name))
			if c.on(t, node, boot) == before {
				t.Errorf("%s was not restarted", node)
			}
			c.waitHealthy(t)
		}
	})
}

// checkDiskLost has a machine gone with its disk when all that were shut down are started. The others serve what was written, and
// the node is made anew among them.
func (c *cluster) checkDiskLost(t *testing.T, node string) {
	c.keeps(t, "stopped, and "+node+" lost with its disk", func() {
		must(t, 0, c.Run(background(t), "stop", "--cluster", c.Name))
		if _, err := c.Provider().Remove(background(t), node); err != nil {
			t.Fatal(err)
		}
		contains(t, "start", must(t, 1, c.Run(background(t), "start", "--cluster", c.Name)).Stderr, "was started; gone are the machines of "+node, "haplane node replace "+node)
		must(t, 0, c.Kubectl(background(t), "get", "configmap", "kept"))
		must(t, 0, c.Run(background(t), "node", "replace", node, "--cluster", c.Name, "--yes", "--no-probe"))
	})
}

// keeps writes something, does what may lose it, and finds the cluster whole again.
func (c *cluster) keeps(t *testing.T, what string, do func()) {
	t.Helper()
	must(t, 0, c.Kubectl(background(t), "create", "configmap", "kept", "--from-literal=by="+what))
	start := time.Now()
	do()
	c.waitHealthy(t)
	c.waitForWorkload(t)
	t.Logf("%s; all well again after %s", what, time.Since(start).Round(100*time.Millisecond))
	for _, node := range controlPlane {
		value := c.on(t, node, etcdctl+"get --consistency=s --print-value-only /registry/configmaps/default/kept | tr -dc '[:print:]'")
		contains(t, "what the member of "+node+" kept", value, what)
	}
	must(t, 0, c.Kubectl(background(t), "delete", "configmap", "kept"))
	contains(t, "what up says then", must(t, 0, c.Up(background(t))).Stdout, fmt.Sprintf("cluster %s is up; nothing changed", c.Name))
}
