package xray

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

// agentLease is the Lease of haplane's agents in kube-system.
const agentLease = "haplane-agent"

// idle is how long a leading agent may not have looked: it does every 10 s.
const idle = time.Minute

func endpointOwner(s *Scene) []Finding {
	if s.keptByK0s() {
		return s.k0sKeeps()
	}
	switch wanted, why := s.wantsOwner(); {
	case why != "":
		return []Finding{at{}.skip("%s", why)}
	case !wanted:
		return nil
	}
	if len(s.agents()) == 0 && s.lease(agentLease) == nil && s.sliceManager() != agentLease {
		return s.otherOwner()
	}
	var out []Finding
	for _, m := range s.ControlPlane() {
		if lookedInto(m) {
			out = append(out, s.judgeAgent(m))
		}
	}
	return append(out, s.agentLeads()...)
}

// wantsOwner tells whether somebody but the API servers has to keep the endpoints;
// why says why not.
func (s *Scene) wantsOwner() (wanted bool, why string) {
	servers := s.Instances(evidence.APIServer)
	for _, a := range servers {
		if kind, _ := reconciler(a); kind == reconcilerNone && s.identityAt(a.Machine) == spec.Shared {
			return true, ""
		}
	}
	switch {
	case s.ExpectedIdentity() == "":
		return false, ""
	case s.ExpectedIdentity() != spec.Shared:
		return false, "in this identity API servers keep the endpoints themselves (see endpoint-reconciler)"
	case len(servers) > 0:
		return false, "API servers keep the endpoints themselves (see endpoint-reconciler)"
	}
	return s.lease(agentLease) != nil, ""
}

// agents are haplane's agents that keep endpoints, among whatever else haplane does on a machine.
func (s *Scene) agents() []Instance {
	return slices.DeleteFunc(s.Instances(evidence.HaplaneAgent), func(p Instance) bool {
		return !slices.Contains(p.Argv, "agent") || p.FlagOr("endpoint", "") == ""
	})
}

// k0sKeeps: the controller that leads looks every 10 s.
func (s *Scene) k0sKeeps() []Finding {
	var out []Finding
	for _, p := range s.Instances(evidence.K0s) {
		switch {
		case !slices.Contains(p.Argv, "controller"): // a worker
		case p.Machine.Way == evidence.Folder:
			out = append(out, p.at().skip("whether it runs is not seen in a folder"))
		default:
			out = append(out, p.at().judge(p.Running, Fail, "k0s controller runs: it keeps the endpoints", runs(p)))
		}
	}
	return out
}

func runs(p Instance) string {
	switch {
	case p.Running:
		return "it runs"
	case p.Unit != nil && p.Unit.Active != "":
		return p.Unit.Name + " is " + p.Unit.Active
	}
	return "it does not run"
}

// otherOwner is about clusters that haplane did not make.
func (s *Scene) otherOwner() []Finding {
	where, expected := at{source: "EndpointSlice default/kubernetes"}, "a program that keeps the endpoints, since API servers do not"
	switch by := s.sliceManager(); {
	case by != "":
		return []Finding{where.warn(expected, fmt.Sprintf("%s says that it does; whether it would repair them is not known here", by))}
	case s.API == nil || !s.Used(evidence.Machines):
		return []Finding{at{}.skip("who keeps the endpoints is not seen: it takes the API and the machines")}
	}
	return []Finding{where.fail(expected, "nobody was seen that does")}
}

func (s *Scene) judgeAgent(m *evidence.Machine) Finding {
	expected := "haplane agent runs and answers"
	i := slices.IndexFunc(s.agents(), func(p Instance) bool { return p.Machine == m })
	if i < 0 {
		return at{node: m.Name}.fail(expected, "no haplane agent")
	}
	p := s.agents()[i]
	if m.Way == evidence.Folder {
		return p.at().skip("whether it runs is not seen in a folder")
	}
	if !p.Running {
		return p.at().fail(expected, runs(p))
	}
	if f, ok := s.keepsAnother(p); ok {
		return f
	}
	return s.agentHealth(p, expected)
}

// keepsAnother: an agent writes what its flag says, right or wrong.
func (s *Scene) keepsAnother(p Instance) (Finding, bool) {
	mine, err := netip.ParseAddrPort(p.FlagOr("endpoint", ""))
	right, rightErr := netip.ParseAddrPort(s.sharedEndpoint())
	if err != nil || rightErr != nil || mine == right {
		return Finding{}, false
	}
	return p.at().fail("--endpoint="+right.String(), "--endpoint="+mine.String()), true
}

func (s *Scene) agentHealth(p Instance, expected string) Finding {
	asked := purpose(p.Machine, evidence.AgentHealth)
	if len(asked) == 0 {
		return p.at().pass("it runs; its health was not asked")
	}
	r := asked[0]
	where := at{p.Machine.Name, "GET " + r.URL}
	if r.Err != "" || r.Status != 200 {
		observed := r.Err
		if observed == "" {
			observed = fmt.Sprint(r.Status)
		}
		return where.fail(expected, observed)
	}
	var health struct {
		Leader   bool       `json:"leader"`
		LastSync *time.Time `json:"lastSync"`
	}
	if json.Unmarshal([]byte(r.Answer), &health) != nil || !health.Leader {
		return where.pass("it runs and answers")
	}
	if health.LastSync == nil {
		return where.pass("it runs, and has just begun to lead")
	}
	since := s.since(*health.LastSync, p.Machine)
	return where.judge(since <= idle, Fail, "the leader looks every 10 s, and repairs",
		fmt.Sprintf("it leads, and found both objects right or repaired them %s ago", max(since, 0).Round(time.Second)))
}

// agentLeads: all agents repair nothing where none of them leads.
func (s *Scene) agentLeads() []Finding {
	if s.API == nil || s.API.Leases == nil {
		return nil
	}
	return []Finding{s.judgeLease(agentLease, agentName)}
}
