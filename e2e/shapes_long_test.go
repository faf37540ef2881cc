//go:build e2e

package e2e

import "testing"

// larger are clusters that take longer than the examples of TestShapes: five
// control-plane nodes, etcd of one and of five members, the identities beside shared
// with etcd on machines of its own. Each fits into the 128 instances of inotify
// that Linux gives root, which is eight machines.
var larger = []struct{ name, spec string }{
	{"five", `
  controlPlane: {kubelet: false}
  loadBalancer: {additionalPorts: [443], dnsNames: [api.five.example.com, five.example.com]}
  network: {machineCIDR: 10.75.4.0/24}
  nodes: [{role: control-plane}, {role: control-plane}, {role: control-plane}, {role: control-plane}, {role: control-plane}, {role: worker}]
`},
	{"one-etcd", `
  identity: perNode
  network: {machineCIDR: 10.75.5.0/24}
  nodes: [{role: control-plane}, {role: control-plane}, {role: etcd}]
`},
	{"five-etcd", `
  identity: sharedCertificate
  network: {machineCIDR: 10.75.6.0/24}
  nodes: [{role: control-plane}, {role: control-plane}, {role: etcd}, {role: etcd}, {role: etcd}, {role: etcd}, {role: etcd}]
`},
}

func TestLongShapes(t *testing.T) {
	r := newRig(t)
	for _, shape := range larger {
		t.Run(shape.name, func(t *testing.T) {
			c := newCluster(t, r, shape.name, 0)
			c.checkWholeShape(t, "apiVersion: haplane/v1alpha1\nkind: Cluster\nmetadata: {name: "+shape.name+"}\nspec:"+shape.spec, nil)
		})
	}
}
