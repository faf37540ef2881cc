package cluster

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// clusterOf is one with the default nodes but for these lines of its spec.
func clusterOf(t *testing.T, lines string) *spec.Cluster {
	t.Helper()
	c, err := spec.Parse("test", []byte("apiVersion: haplane/v1alpha1\nkind: Cluster\nmetadata: {name: demo}\nspec:\n  network: {nat: false}\n"+lines))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// between is a cluster that was brought to one shape and is to become another, by way of others.
func between(t *testing.T, from, to string, cutOff ...string) *live {
	t.Helper()
	s, old := testStore(t), clusterOf(t, from)
	rows := pki.Catalogue(topology.New(old))
	plan, _ := pki.Plan(rows, pki.Bundle{}, time.Now(), false)
	keys, err := pki.Issue(rows, pki.Bundle{}, plan, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range plan {
		names = append(names, r.Name)
	}
	if err := s.SaveKeys(keys, names); err != nil {
		t.Fatal(err)
	}
	r := &store.Record{Applied: old}
	for _, lines := range cutOff {
		if r.Change == nil {
			r.Change = &store.Change{}
		}
		if r.Wanted != nil {
			r.Change.Through = append(r.Change.Through, r.Wanted)
		}
		r.Wanted = clusterOf(t, lines)
	}
	l := &live{env: newEnv(clusterOf(t, to), testOptions(t, s)), record: r}
	if err := l.beginTransition(); err != nil {
		t.Fatal(err)
	}
	l.keys = keys
	if err := l.narrow(); err != nil {
		t.Fatal(err)
	}
	return l
}

const (
	nodes    = "10.10.10.11:6443 10.10.10.12:6443 10.10.10.13:6443"
	balancer = "10.10.10.3:6443"
)

func TestTransition(t *testing.T) {
	tests := map[string]struct {
		from, to       string
		through        []string
		hold           bool
		meanwhile      string
		then           string // "" where the endpoints stay whose they are
		reissued, last bool   // the serving certificate: at first, and in the end
	}{
		"nothing":                       {from: "  identity: shared\n", to: ""},
		"shared to perNode":             {"", "  identity: perNode\n", nil, true, balancer, nodes, true, false},
		"shared to sharedCertificate":   {"", "  identity: sharedCertificate\n", nil, true, balancer, nodes, false, false},
		"perNode to shared":             {"  identity: perNode\n", "", nil, true, balancer, balancer, false, true},
		"sharedCertificate to shared":   {"  identity: sharedCertificate\n", "", nil, true, balancer, balancer, false, false},
		"perNode to sharedCertificate":  {"  identity: perNode\n", "  identity: sharedCertificate\n", nil, false, "", "", false, true},
		"sharedCertificate to perNode":  {"  identity: sharedCertificate\n", "  identity: perNode\n", nil, false, "", "", true, false},
		"none to lease":                 {"", "  endpointReconciler: lease\n", nil, true, balancer, balancer, false, false},
		"lease to none":                 {"  endpointReconciler: lease\n", "", nil, true, balancer, balancer, false, false},
		"another port":                  {"", "  loadBalancer: {port: 8443}\n", nil, false, balancer, "10.10.10.3:8443", false, false},
		"another port, in perNode":      {"  identity: perNode\n", "  identity: perNode\n  loadBalancer: {port: 8443}\n", nil, false, "", "", false, false},
		"another identity and port":     {"  loadBalancer: {port: 8443}\n", "  identity: perNode\n", nil, true, "10.10.10.3:8443", nodes, true, false},
		"back":                          {"", "", []string{"  identity: perNode\n"}, true, balancer, balancer, false, false},
		"back, and cut off on that way": {"", "", []string{"  identity: perNode\n", ""}, true, balancer, balancer, false, false},
		"elsewhere":                     {"", "  identity: sharedCertificate\n", []string{"  identity: perNode\n"}, true, balancer, nodes, false, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := between(t, test.from, test.to, test.through...)
			h := l.handover()
			if h == nil {
				h = &change.Handover{}
			}
			if h.Hold != test.hold || test.then != "" && strings.Join(h.Meanwhile, " ") != test.meanwhile || strings.Join(h.Then, " ") != test.then {
				t.Errorf("handover %+v", h)
			}
			plan, _ := pki.Plan(l.rows, l.keys, time.Now(), true)
			reissued := slices.ContainsFunc(plan, func(r pki.Reissue) bool { return r.Name == pki.APIServer })
			keys, err := pki.Issue(l.rows, l.keys, plan, time.Now(), rand.Reader)
			if len(l.narrowed) > 0 {
				keys = l.last
			}
			if again, _ := pki.Plan(pki.Catalogue(l.topology), keys, time.Now(), true); err != nil || slices.ContainsFunc(again, func(r pki.Reissue) bool { return r.Name == pki.APIServer }) {
				t.Errorf("in the end it would be issued once more: %v, %v", again, err)
			}
			if reissued != test.reissued || (len(l.narrowed) > 0) != test.last {
				t.Errorf("reissued %v, narrowed %v", reissued, l.narrowed)
			}
		})
	}
}

// While the load balancer moves, it serves all places at which it may be known, and in the end its own.
func TestLoadBalancerServesTheOldPortsToo(t *testing.T) {
	l := between(t, "", "  loadBalancer: {port: 8443}\n", "  loadBalancer: {port: 7443}\n")
	if !slices.Equal(l.both.LBPorts, []uint16{8443, 6443, 7443}) || !slices.Equal(l.topology.LBPorts, []uint16{8443}) {
		t.Errorf("ports %v, in the end %v", l.both.LBPorts, l.topology.LBPorts)
	}
	if why := l.relocation(); len(why) != 1 || why[0].Old != "10.10.10.3:6443, 10.10.10.3:7443" || why[0].New != "10.10.10.3:8443" || l.readdressed() {
		t.Errorf("%v", why)
	}
}

// A certificate that has both addresses, and then loses the old one.
func TestCertificateOfTwoAddresses(t *testing.T) {
	l := between(t, "", "  loadBalancer: {address: 10.10.10.4}\n  nodes: [{role: control-plane}, {role: load-balancer, name: lb-2}]\n")
	i := slices.IndexFunc(l.rows, func(r pki.Row) bool { return r.Name == pki.APIServer })
	if text := strings.Join(texts(l.rows[i].Addresses), " "); !strings.Contains(text, "10.10.10.3") || !strings.Contains(text, "10.10.10.4") {
		t.Errorf("addresses %s", text)
	}
	last, err := pki.ParseCertificate(l.last.Pairs[pki.APIServer].Cert)
	if err != nil || slices.Contains(texts(pki.Addresses(last)), "10.10.10.3") || len(l.narrowed) != 1 {
		t.Errorf("in the end %v, %v, %v", last.IPAddresses, l.narrowed, err)
	}
}

func TestRecordOfWhatAChangeWentThrough(t *testing.T) {
	s := applied(t, commented)
	for _, port := range []int{7443, 8443, 8443, 9443} {
		q := opened(t).Request()
		c := *q.Wanted
		c.Spec.LoadBalancer.Port = port
		q.Wanted = &c
		if err := asked(t, s, q).begin(); err != nil {
			t.Fatal(err)
		}
	}
	var ports []int
	for _, c := range must[*store.Record](t)(s.Record()).Change.Through {
		ports = append(ports, c.Spec.LoadBalancer.Port)
	}
	if !slices.Equal(ports, []int{7443, 8443}) {
		t.Errorf("it went through %v", ports)
	}
}

// The entrance is where something is served: both places in turns, as long as there are both.
func TestEntrance(t *testing.T) {
	l := between(t, "", "  loadBalancer: {port: 8443}\n")
	e := &entrance{old: l.was[0].LoadBalancer, new: l.topology.LoadBalancer, untold: []string{"lb-1", "lb-2"}} // either may have the address
	ports := func() (out []uint16) {
		for range 4 {
			out = append(out, e.next().Port())
		}
		slices.Sort(out)
		return out
	}
	for _, test := range []struct {
		step change.Step
		done bool
		want []uint16
	}{
		{change.Step{Verb: change.SetBackends, Node: "lb-1"}, false, []uint16{6443, 6443, 6443, 6443}},
		{change.Step{Verb: change.SetBackends, Node: "lb-1"}, true, []uint16{6443, 6443, 6443, 6443}},
		{change.Step{Verb: change.SetBackends, Node: "lb-2"}, true, []uint16{6443, 6443, 8443, 8443}},
		{change.Step{Verb: change.SetBackends, Node: "lb-1", Last: true}, false, []uint16{8443, 8443, 8443, 8443}},
	} {
		e.at(test.step, test.done)
		if got := ports(); !slices.Equal(got, test.want) {
			t.Errorf("after %+v %v", test.step, got)
		}
	}
}
