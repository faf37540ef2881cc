//go:build e2e

package e2e

import (
	"strings"
	"testing"
)

// etcdMachines is a cluster with etcd on machines of its own, IPv4 and IPv6 side by side.
const etcdMachines = `apiVersion: haplane/v1alpha1
kind: Cluster
metadata: {name: e2e-etcd}
spec:
  network: {machineCIDR: "10.75.16.0/24,fd00:10:75:16::/64"}
  nodes:
  - {role: control-plane}
  - {role: control-plane}
  - {role: worker}
  - {role: etcd}
  - {role: etcd}
  - {role: etcd}
`

// TestLiveEtcdMachines takes machines of etcd in and out, the first one too, and makes one
// anew, while API servers serve that have all of them in their flags.
func TestLiveEtcdMachines(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-etcd", 16)
	before := lookAtHost(r)
	c.use(t, etcdMachines)
	must(t, 0, c.Up(background(t)))
	d := &day{cluster: c, controlPlane: []string{"cp-1", "cp-2"}, workers: []string{"worker-1"}, etcd: []string{"etcd-1", "etcd-2", "etcd-3"}}

	unnoticed(t, c.change(t, "node", "remove", "etcd-1"))
	d.left(&d.etcd, "etcd-1")
	d.wellAgain(t)
	unnoticed(t, c.change(t, "node", "add", "--role", "etcd", "etcd-4"))
	d.joined(&d.etcd, "etcd-4")
	d.wellAgain(t)
	for _, node := range d.controlPlane {
		servers := ""
		for _, a := range c.arguments(t, node, "kube-apiserver") {
			if list, ok := strings.CutPrefix(a, "--etcd-servers="); ok {
				servers = list
			}
		}
		want(t, "number of members that the API server of "+node+" asks", strings.Count(servers, "https://"), 3)
	}
	unnoticed(t, c.change(t, "node", "replace", "etcd-2"))
	d.wellAgain(t)
	must(t, 0, c.Down(background(t)))
	before.left(t, lookAtHost(r))
}
