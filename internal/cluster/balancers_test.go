package cluster

import (
	"slices"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// Control-plane nodes that share an address are made anew one after the other: one of them has it meanwhile. Load balancers on machines of their own may
// all be dead: the plan refuses where one is not.
func TestOneLoadBalancerAtATime(t *testing.T) {
	for name, test := range map[string]struct {
		spec, one string
		all       []string
		want      string
	}{
		"machines of their own": {"nodes: [{role: control-plane}, {role: load-balancer}, {role: load-balancer}]", "lb-1", []string{"lb-1", "lb-2"}, ""},
		"control-plane nodes": {"loadBalancer: {kind: controlPlane}\n  nodes: [{role: control-plane}, {role: control-plane}, {role: worker}]", "cp-1", []string{"cp-1", "cp-2"},
			"replace cp-1, cp-2: nobody would have 10.10.10.3 meanwhile"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := spec.Parse("f.yaml", []byte("apiVersion: haplane/v1alpha1\nkind: Cluster\nspec:\n  "+test.spec+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			r := &store.Record{Applied: c}
			for _, n := range c.Spec.Nodes {
				r.Nodes = append(r.Nodes, store.Node{Name: n.Name, Role: n.Role, Address: n.Address, State: store.Active})
			}
			if err := checkRequest(r, Request{Wanted: c, Replace: []string{test.one}}); err != nil {
				t.Error(err)
			}
			err = checkRequest(r, Request{Wanted: c, Replace: test.all})
			if (err != nil) != (test.want != "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

// Of a control-plane node that leaves, it is looked whether its load balancer runs: it gives the address away first. So it is of a worker, which may have one of its own.
func TestLoadBalancerThatLeavesIsLookedAt(t *testing.T) {
	for kind, want := range map[spec.BalancerKind][]string{spec.OnControlPlane: render.BalancerUnits, spec.Dedicated: nil} {
		t.Run(string(kind), func(t *testing.T) {
			c := &spec.Cluster{}
			c.Spec.LoadBalancer.Kind = kind
			spec.SetDefaults(c)
			all, stays := topology.New(c), map[string]render.Machine{}
			for _, n := range all.Nodes {
				if n.Name != "cp-3" && n.Name != "worker-1" {
					stays[n.Name] = render.Machine{Units: []render.Unit{{Name: "kubelet"}}}
				}
			}
			wanted := wantedOf(all, stays)
			if got := wanted["cp-3"]; !slices.Equal(got.Programs, want) || len(got.Files) > 0 {
				t.Errorf("cp-3: %+v", got)
			}
			if got := wanted["worker-1"]; !slices.Equal(got.Programs, render.BalancerUnits) || len(got.Files) > 0 {
				t.Errorf("worker-1: %+v", got)
			}
			if got := wanted["cp-1"]; !slices.Equal(got.Programs, []string{"kubelet"}) {
				t.Errorf("cp-1: %+v", got)
			}
		})
	}
}
