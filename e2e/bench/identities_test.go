package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/e2e/rig"
)

func TestFaultScript(t *testing.T) {
	want := `exec >&2
/x/haplane ssh --cluster hpi cp-2 "systemd-run --collect --no-block sh -c 'sleep 1; exec systemctl poweroff --force --force'"
sleep 20
/x/haplane start --cluster hpi
sleep 3`
	if d := cmp.Diff(want, faults[3].script("/x/haplane", "hpi", "cp-2")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for _, f := range faults {
		if text := f.script("/x/haplane", "hpi", "cp-2"); strings.Contains(text, "HAPLANE") || strings.Contains(text, "NODE") {
			t.Errorf("%s: %s", f.name, text)
		}
	}
}

func TestHealthy(t *testing.T) {
	well := func() rig.Status {
		var s rig.Status
		yes := true
		s.APIServers = make([]struct {
			Node  string
			Ready *bool
		}, 3)
		s.Etcd.Members = make([]struct {
			Name                     string
			Leader, Learner, Healthy *bool
		}, 3)
		s.LoadBalancers = make([]rig.LoadBalancer, 1)
		s.LoadBalancers[0].Backends = make([]struct {
			Node string
			Up   *bool
		}, 3)
		for i := range 3 {
			s.APIServers[i].Ready, s.Etcd.Members[i].Healthy, s.LoadBalancers[0].Backends[i].Up = &yes, &yes, &yes
		}
		s.KubernetesServiceEndpoints = []string{"a", "b", "c"}
		return s
	}
	no := false
	for name, spoil := range map[string]func(*rig.Status){
		"nothing":          func(*rig.Status) {},
		"an API server":    func(s *rig.Status) { s.APIServers[2].Ready = &no },
		"an unseen member": func(s *rig.Status) { s.Etcd.Members[1].Healthy = nil },
		"a backend":        func(s *rig.Status) { s.LoadBalancers[0].Backends[0].Up = &no },
		"an endpoint":      func(s *rig.Status) { s.KubernetesServiceEndpoints = []string{"a", "b"} },
		"a server missing": func(s *rig.Status) { s.APIServers = s.APIServers[:2] },
	} {
		t.Run(name, func(t *testing.T) {
			s := well()
			spoil(&s)
			if err := healthy(s); (err == nil) != (name == "nothing") {
				t.Errorf("error %v", err)
			}
		})
	}
}
