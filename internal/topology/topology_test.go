package topology

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/spec"
)

func of(identity spec.Identity) *Topology {
	c := spec.Default("demo")
	c.Spec.Identity = identity
	if identity != spec.Shared {
		c.Spec.EndpointReconciler = spec.ReconcilerLease
	}
	return New(c)
}

// The table of the three identities, as the article and the design have it.
func TestIdentities(t *testing.T) {
	tests := map[spec.Identity]struct{ addresses, advertise, endpoints string }{
		spec.PerNode: {"[10.10.10.3 10.10.10.11 10.10.10.12 10.10.10.13 127.0.0.1 10.96.0.1]", "10.10.10.12",
			"[10.10.10.11:6443 10.10.10.12:6443 10.10.10.13:6443]"},
		spec.Shared: {"[10.10.10.3 127.0.0.1 10.96.0.1]", "10.10.10.3", "[10.10.10.3:6443]"},
		spec.SharedCertificate: {"[10.10.10.3 127.0.0.1 10.96.0.1]", "10.10.10.12",
			"[10.10.10.11:6443 10.10.10.12:6443 10.10.10.13:6443]"},
	}
	for identity, want := range tests {
		t.Run(string(identity), func(t *testing.T) {
			topo := of(identity)
			cp2, _ := topo.Node("cp-2")
			got := []string{fmt.Sprint(topo.ServingAddresses()), topo.AdvertiseAddress(cp2).String(), fmt.Sprint(topo.KubernetesEndpoints())}
			if diff := cmp.Diff([]string{want.addresses, want.advertise, want.endpoints}, got); diff != "" {
				t.Error(diff)
			}
			if topo.OwnsEndpoints() != (identity == spec.Shared) {
				t.Error("owner of the endpoints")
			}
		})
	}
}

func TestServiceAddresses(t *testing.T) {
	topo := of(spec.Shared)
	if got := fmt.Sprint(topo.KubernetesServiceIP(), topo.DNSServiceIP()); got != "10.96.0.1 10.96.0.10" {
		t.Error(got)
	}
	want := []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"}
	if diff := cmp.Diff(want, topo.ServingNames()); diff != "" {
		t.Error(diff)
	}
}

func TestNodes(t *testing.T) {
	topo := of(spec.Shared)
	if len(topo.ControlPlane()) != 3 || len(topo.KubeletNodes()) != 4 || len(topo.LoadBalancers()) != 1 || topo.ExternalEtcd() {
		t.Errorf("%+v", topo.Nodes)
	}
	if _, ok := topo.Node("cp-9"); ok {
		t.Error("found a node that is not there")
	}
	cp1, _ := topo.Node("cp-1")
	if cp1.EtcdPeerURL() != "https://10.10.10.11:2380" || topo.APIEndpoint() != "https://10.10.10.3:6443" {
		t.Error(cp1.EtcdPeerURL(), topo.APIEndpoint())
	}
}

// Who runs the load balancer follows from its kind.
func TestLoadBalancersOfEachKind(t *testing.T) {
	for kind, want := range map[spec.BalancerKind]struct {
		nodes   string
		virtual bool
	}{
		spec.Dedicated:        {"[lb-1]", false},
		spec.OnControlPlane:   {"[cp-1 cp-2 cp-3]", true},
		spec.ExternalBalancer: {"[]", false},
	} {
		t.Run(string(kind), func(t *testing.T) {
			c := &spec.Cluster{}
			c.Spec.LoadBalancer.Kind = kind
			if kind == spec.ExternalBalancer {
				c.Spec.LoadBalancer.Address = "192.0.2.7"
			}
			spec.SetDefaults(c)
			topo := New(c)
			var names []string
			for _, n := range topo.LoadBalancers() {
				names = append(names, n.Name)
			}
			if got := fmt.Sprint(names); got != want.nodes || topo.Virtual != want.virtual {
				t.Errorf("%s, virtual %t", got, topo.Virtual)
			}
		})
	}
}

// What the cluster file says of kube-apiserver's flag goes before what the kind has.
func TestShutdownDelay(t *testing.T) {
	for _, test := range []struct {
		kind spec.BalancerKind
		said string
		want time.Duration
	}{
		{spec.Dedicated, "", 3 * time.Second},
		{spec.OnControlPlane, "", 3 * time.Second},
		{spec.ExternalBalancer, "", 30 * time.Second},
		{spec.ExternalBalancer, "1m10s", 70 * time.Second},
		{spec.ExternalBalancer, "0s", 0},
		{spec.Dedicated, "500ms", 500 * time.Millisecond},
	} {
		topo := Topology{LBKind: test.kind}
		if test.said != "" {
			topo.ExtraArgs = map[string]map[string]string{"kube-apiserver": {"shutdown-delay-duration": test.said}}
		}
		if got := topo.ShutdownDelay(); got != test.want {
			t.Errorf("%s, %q: %s, want %s", test.kind, test.said, got, test.want)
		}
	}
}

// Workers have load balancers of their own whoever balances for all, and these are no way for others.
func TestNodeLocal(t *testing.T) {
	for kind, all := range map[spec.BalancerKind]string{spec.Dedicated: "lb-1", spec.OnControlPlane: "cp-1 cp-2 cp-3", spec.ExternalBalancer: ""} {
		for _, local := range []bool{false, true} {
			c := &spec.Cluster{}
			c.Spec.LoadBalancer = spec.LoadBalancer{Kind: kind, NodeLocal: local}
			if kind == spec.ExternalBalancer {
				c.Spec.LoadBalancer.Address = "192.0.2.7"
			}
			spec.SetDefaults(c)
			topo := New(c)
			var front, own, any []string
			for _, n := range topo.LoadBalancers() {
				front = append(front, n.Name)
			}
			for _, n := range topo.LocalBalancers() {
				own = append(own, n.Name)
			}
			for _, n := range topo.Nodes {
				if topo.RunsBalancer(n) {
					any = append(any, n.Name)
				}
			}
			want := map[bool][]string{true: {"worker-1"}}[local]
			if got := strings.Join(front, " "); got != all || !slices.Equal(own, want) || len(any) != len(front)+len(own) {
				t.Errorf("%s, of workers %v: %q balance for all, %q for themselves, %q at all", kind, local, got, own, any)
			}
		}
	}
}
