package kubeadm

import (
	"errors"
	"os"
	"path/filepath"
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
	s.Rendered = t.TempDir()
	balancer := s.Topology.LoadBalancers()[0]
	file := filepath.Join(s.Rendered, balancer.Name, haproxyConfig)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte("haplane's"), 0o644)); err != nil {
		t.Fatal(err)
	}
	for want, given := range map[string][]byte{"haplane's": nil, "guide": []byte("guide")} {
		s.HAProxy = given
		set, err := s.filesOf(balancer)
		if err != nil || string(set[haproxyConfig].Data) != want {
			t.Errorf("%v, %v, want %s", set, err, want)
		}
	}
}
