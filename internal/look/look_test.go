package look

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/runtime/systemd"
	"github.com/haplane/haplane/internal/runtime/systemd/systemdtest"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A control-plane node that is a load balancer is looked at as both, and others as what they are.
func TestWhoIsLookedAt(t *testing.T) {
	for kind, want := range map[spec.BalancerKind]string{
		spec.Dedicated:      "API servers [cp-1 cp-2 cp-3], load balancers [lb-1]",
		spec.OnControlPlane: "API servers [cp-1 cp-2 cp-3], load balancers [cp-1 cp-2 cp-3]",
	} {
		t.Run(string(kind), func(t *testing.T) {
			c := &spec.Cluster{}
			c.Spec.LoadBalancer.Kind = kind
			spec.SetDefaults(c)
			topo, made := topology.New(c), map[string]bool{}
			for _, n := range topo.Nodes {
				made[n.Name] = false // off: nobody is asked
			}
			nobody := func() string { return "https://127.0.0.1:1" }
			looker := Looker{Cluster: &access.Cluster{Topology: topo, Entrance: nobody}, Nodes: topo.Nodes, Power: func() (map[string]bool, error) { return made, nil }}
			seen, err := looker.State(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got := fmt.Sprintf("API servers %v, load balancers %v", slices.Sorted(maps.Keys(seen.APIServers)), slices.Sorted(maps.Keys(seen.Balancers)))
			if got != want {
				t.Errorf("%s, want %s", got, want)
			}
			for name, b := range seen.Balancers {
				if b.Seen || b.Error != "its machine does not run" {
					t.Errorf("%s: %+v", name, b)
				}
			}
		})
	}
}

// Of a machine of which no file is wanted the programs are looked at alone: one that leaves may have an address to give away.
func TestProgramsOfOneThatLeaves(t *testing.T) {
	host := systemdtest.New("cp-4")
	host.Running["keepalived"] = systemd.State{Active: true, Config: "any"}
	var seen observed.Machine
	if err := Machine(t.Context(), host, Want{Programs: []string{"haproxy", "keepalived"}}, &seen); err != nil || !seen.Reachable {
		t.Fatalf("%+v, %v", seen, err)
	}
	if !seen.Units["keepalived"].Active || seen.Units["haproxy"].Active {
		t.Errorf("%+v", seen.Units)
	}
}
