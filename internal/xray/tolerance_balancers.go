package xray

import (
	"fmt"
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

// loadBalancerPart counts load balancers under the cluster's one address. There is
// no such part where each node has a load balancer of its own, which fails with it.
func (s *Scene) loadBalancerPart() (p part, ok bool) {
	p = part{name: "loadBalancers", noun: "load balancer", needed: 1}
	if answers, asked := s.endpointAnswers(); asked && !answers {
		p.expected, p.down = 1, []string{s.Endpoint}
		return p, true
	}
	p.spared = s.ledMachines()
	if len(s.unled()) == 0 && len(s.expectedBalancers()) == 0 {
		return s.endpointPart(p), true
	}
	shared := s.sharedBalancers()
	if len(shared) == 0 && len(s.unled()) > 0 {
		return part{}, false
	}
	var moved []string
	good, unknown := s.moverNames()
	for _, b := range shared {
		program := b.machine.Program(b.Kind)
		p.add(b.machine.Name, standingOf(program != nil && program.Running))
		switch name := b.machine.Name; {
		case good[name] != "":
			moved = append(moved, name)
		case unknown[name]:
			p.unknown, p.outside = "whether "+moverOf(b.machine)+" moves the address of "+name+" was not seen", true
		}
	}
	s.addByFile(&p)
	if p.unknown != "" {
		return p, true
	}
	return s.taking(p, moved), true
}

// endpointAnswers tells whether anybody answers where clients reach the API: asked
// from nodes, which are what counts, else from here.
func (s *Scene) endpointAnswers() (answers, asked bool) {
	spared := s.ledMachines() // whose way is another one
	for _, m := range s.Machines {
		if slices.Contains(spared, m.Name) {
			continue
		}
		for _, r := range purpose(m, evidence.ThroughLoadBalancer) {
			asked = true
			answers = answers || answered(r)
		}
	}
	if lb := s.Server(""); lb != nil && !answers {
		return lb.Err == "", true
	}
	return answers, asked
}

// addByFile adds the load balancers of the cluster file of which none was seen.
func (s *Scene) addByFile(p *part) {
	for _, name := range s.expectedBalancers() {
		m := s.Machine(name)
		switch {
		case m != nil && m.LoadBalancer != nil:
		case m != nil && lookedInto(m):
			p.add(name, isDown)
		default:
			p.add(name, notSeen)
			p.missed = p.missed || s.missed(name)
		}
	}
}

// taking leaves of the load balancers those that take over from each other: the
// others serve nobody unless they have the address.
func (s *Scene) taking(p part, moved []string) part {
	switch {
	case len(p.serving) == 0:
		if answers, _ := s.endpointAnswers(); answers {
			p.unknown, p.outside = "what answers at "+s.Endpoint+" was not seen", true
		}
	case p.expected == 1 && len(moved) == 1:
		p.unknown = fmt.Sprintf("whether another load balancer takes over from %s was not seen", moved[0])
		p.outside = true
	case len(p.serving) == 1 && p.expected == 1:
		p.alone = p.serving[0] + ", the only load balancer,"
	case len(p.serving) == 1:
		p.alone = p.serving[0] + ", the only load balancer that serves,"
	case len(moved) < 2:
		m := s.machineOf(s.Endpoint)
		if m == nil || !slices.Contains(p.serving, m.Name) {
			p.unknown, p.outside = "which of "+list(p.serving)+" clients reach was not seen", true
			return p
		}
		p.serving, p.expected = []string{m.Name}, 1+len(p.down)+len(p.unseen)
		p.alone = m.Name + ", which has the load balancers' address for good,"
	default:
		p.serving = slices.DeleteFunc(p.serving, func(name string) bool { return !slices.Contains(moved, name) })
		if s.onControlPlane() { // most of them have to agree on who has the address: haplane's do not move it else
			p.needed = p.expected/2 + 1
		}
	}
	return p
}

// somebodyElses reports whether the cluster file has a load balancer that is none of the cluster's machines.
func (s *Scene) somebodyElses() bool {
	return s.Expect.Cluster != nil && s.Expect.Cluster.Spec.LoadBalancer.Kind == spec.ExternalBalancer
}

// endpointPart is about the address alone, where no load balancer was seen.
func (s *Scene) endpointPart(p part) part {
	m := s.machineOf(s.Endpoint)
	switch {
	case s.Endpoint == "":
		p.unknown, p.outside = "where clients reach the API was not seen", true
	case s.somebodyElses():
		p.unknown, p.outside = "the load balancer at "+s.Endpoint+" is somebody else's, and was not looked into", true
	case m == nil || m.Program(evidence.APIServer) == nil:
		p.unknown, p.outside = "what is behind "+s.Endpoint+" was not seen", true
	default:
		moved, _, _ := s.movesEndpoint()
		for _, c := range s.ControlPlane() {
			if c == m || slices.Contains(moved, m.Name) && slices.Contains(moved, c.Name) {
				state, _ := s.counts(c.Name, nil)
				p.add(c.Name, state)
			}
		}
		if p.expected == 1 {
			p.alone = m.Name + ", whose address all clients use,"
		}
	}
	return p
}
