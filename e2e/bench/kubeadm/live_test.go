package kubeadm

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// One node after another, the first with apply; kubelet changes while the node is drained.
func TestUpgradeInTurn(t *testing.T) {
	c := &Cluster{newSequence(), programs{version: "v1.3.0"}}
	var got []string
	for _, n := range c.inTurn() {
		for _, a := range c.upgradeOf(n) {
			script := strings.NewReplacer("ln -sfn "+nextProgram+" /usr/local/bin/", "link ", kubectl, "kubectl ").Replace(a.script)
			got = append(got, a.on.Name+": "+script)
			if a.leaving != strings.Contains(script, "drain "+n.Name) {
				t.Errorf("leaving is %v of %s", a.leaving, script)
			}
		}
	}
	rest := func(node string) []string {
		return []string{"cp-1: kubectl drain " + node + " --ignore-daemonsets", node + ": link kubelet; link kubectl; systemctl daemon-reload; systemctl restart kubelet", "cp-1: kubectl uncordon " + node}
	}
	want := append([]string{"cp-1: link kubeadm; kubeadm upgrade apply v1.3.0 --yes --ignore-preflight-errors=all"}, rest("cp-1")...)
	for _, node := range []string{"cp-2", "cp-3", "worker-1"} {
		want = append(append(want, node+": link kubeadm; kubeadm upgrade node --ignore-preflight-errors=all"), rest(node)...)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error("-want +got\n" + d)
	}
}

// The load balancer of a cluster that is changed is the one of the guide, where that is given.
func TestLoadBalancerOfTheGuide(t *testing.T) {
	s := newSequence()
	s.Rendered, s.HAProxy = t.TempDir(), []byte("guide")
	set, err := s.filesOf(s.Topology.LoadBalancers()[0])
	if err != nil || string(set["/etc/haproxy/haproxy.cfg"].Data) != "guide" {
		t.Errorf("%v, %v", set, err)
	}
}
