package xray

import (
	"net/netip"
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

// servesItsOwn tells a load balancer for the programs of its own machine, with which it fails:
// it listens on loopback alone, or its machine's kubelet comes to it by loopback, or is led there.
func (s *Scene) servesItsOwn(b balancer) bool {
	if s.led(b) {
		return true
	}
	if len(b.Frontends) > 0 && !slices.ContainsFunc(b.Frontends, func(f string) bool { return !loopback(f) }) {
		return true
	}
	return slices.ContainsFunc(kubeletTargets(b.machine), func(t string) bool { return loopback(t) && listensFor(b.LoadBalancer, t) })
}

// led tells a load balancer to which its machine leads, or is to by the cluster file, what its programs send to where clients reach the API:
// one beside that, for the machine and its pods alone.
func (s *Scene) led(b balancer) bool {
	return slices.Contains(s.expectedLocals(), b.machine.Name) || s.leads(b)
}

// leads reports whether the machine was seen to do so.
func (s *Scene) leads(b balancer) bool {
	return slices.ContainsFunc(b.machine.Led, func(l evidence.Lead) bool {
		return l.To.String() == s.Endpoint && slices.Contains(b.Frontends, l.At.String())
	})
}

// expectedLocals are the nodes that are to have one for themselves by the cluster file.
func (s *Scene) expectedLocals() []string {
	if c := s.Expect.Cluster; c == nil || !c.Spec.LoadBalancer.NodeLocal {
		return nil
	}
	return s.Expected(spec.RoleWorker)
}

// unled are the load balancers without those that are there beside them for one machine alone.
func (s *Scene) unled() []balancer { return slices.DeleteFunc(s.balancers(), s.led) }

// ledMachines are the names of the machines that have one of these, which runs.
func (s *Scene) ledMachines() []string {
	var out []string
	for _, b := range s.balancers() {
		if s.leads(b) && !stopped(b.machine, b.Kind) {
			out = append(out, b.machine.Name)
		}
	}
	return out
}

// sharedBalancers are the load balancers to which other machines come.
func (s *Scene) sharedBalancers() []balancer {
	return slices.DeleteFunc(s.balancers(), s.servesItsOwn)
}

// kubeletTargets are where the kubelet of a machine reaches the API, host:port.
func kubeletTargets(m *evidence.Machine) []string {
	var out []string
	for _, path := range kubeconfigsOf(m, evidence.Kubelet) {
		if t := HostPort(m.Kubeconfigs[path].Server); t != "" {
			out = append(out, t)
		}
	}
	return out
}

// listensFor tells whether a load balancer takes what its own machine sends to a loopback address.
func listensFor(lb *evidence.LoadBalancer, target string) bool {
	return slices.ContainsFunc(lb.Frontends, func(f string) bool {
		return portOf(f) == portOf(target) && (host(f) == "" || loopback(f))
	})
}

// nodesOnTheirOwn are the nodes among those with a load balancer of their own that lack one.
func (s *Scene) nodesOnTheirOwn() []Finding {
	if len(s.sharedBalancers()) == len(s.unled()) {
		return nil
	}
	var out []Finding
	for _, k := range s.Instances(evidence.Kubelet) {
		for _, target := range kubeletTargets(k.Machine) {
			if f, ok := s.reach(k, target); ok {
				out = append(out, f)
			}
		}
	}
	return out
}

// reach judges where a kubelet reaches the API; ok is false where that is as good as it can be.
func (s *Scene) reach(k Instance, target string) (f Finding, ok bool) {
	m, where := k.Machine, at{k.Machine.Name, k.Source()}
	server := m.Program(evidence.APIServer)
	switch lb := m.LoadBalancer; {
	case !loopback(target):
		return s.reachAbroad(where, m, target)
	case lb != nil && (lb.Err != "" || listensFor(lb, target)), m.Program(evidence.K3s) != nil, server != nil && portOf(target) == securePort(m):
		return f, false
	case listensAt(m, target):
		return where.skip("what listens at %s is not known", target), true
	}
	return where.fail("a load balancer of its own at "+target, "none was found, and nothing else that listens there").
		fixed("Put on %s the load balancer that the other nodes have, or give its kubelet an address of the API.", m.Name), true
}

// reachAbroad warns of a node that hangs on one control-plane machine, while others balance.
func (s *Scene) reachAbroad(where at, m *evidence.Machine, target string) (f Finding, ok bool) {
	other := s.owner(target)
	if other == nil || other == m {
		return f, false
	}
	return where.warn("a load balancer of its own, as other nodes have", "it reaches the API at "+target+", which is "+other.Name+" alone"), true
}

func listensAt(m *evidence.Machine, target string) bool {
	return slices.ContainsFunc(m.Listening, func(a netip.AddrPort) bool { return int(a.Port()) == portOf(target) })
}
