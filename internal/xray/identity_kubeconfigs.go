package xray

import (
	"fmt"
	"path"
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// A usage is a kubeconfig of a machine with who uses it.
type usage struct {
	at      at
	who     string
	machine *evidence.Machine
	to      string // host:port of its server
}

// A place is where a kubeconfig leads.
type place int

// The places. Balancer is whatever clients use to reach any API server; self is the
// API server on the same machine, other that of one other machine; nobody is the
// same machine where nothing serves, unseen the same machine where none was seen to.
const (
	elsewhere place = iota
	balancerPlace
	self
	other
	nobody
	unseen
)

func kubeconfigServers(s *Scene) []Finding {
	var out []Finding
	for _, m := range s.WithFiles() {
		var wrong []Finding
		var shown []string
		for _, u := range s.usages(m) {
			if f := s.judgeUsage(u); f.Status != Pass {
				wrong = append(wrong, f)
			}
			shown = append(shown, u.who+" to "+u.to)
		}
		if len(shown) > 0 {
			out = append(out, orPass(wrong, at{node: m.Name}, "%s", list(distinct(shown)))...)
		}
	}
	return out
}

// usages are the kubeconfigs of a machine's programs and administrators.
func (s *Scene) usages(m *evidence.Machine) []usage {
	var out []usage
	add := func(who, file string) {
		out = append(out, usage{at{m.Name, file}, who, m, HostPort(m.Kubeconfigs[file].Server)})
	}
	for _, name := range slices.Concat(everyNode, besideAPIServer) {
		for _, file := range kubeconfigsOf(m, name) {
			add(name, file)
		}
	}
	for _, file := range kubeconfigsOf(m, evidence.HaplaneAgent) {
		add(agentName, file)
	}
	for _, file := range adminConfigs(m) {
		add(path.Base(file), file)
	}
	return out
}

var (
	everyNode       = []string{evidence.Kubelet, evidence.KubeProxy}
	besideAPIServer = []string{evidence.ControllerManager, evidence.Scheduler}
)

const agentName = "haplane agent"

func (s *Scene) judgeUsage(u usage) Finding {
	if u.to == "" {
		return u.at.fail(u.who+" with a server", "no server, or one that is no URL")
	}
	where, whose := s.placeOf(u)
	observed := fmt.Sprintf("%s asks %s%s", u.who, u.to, whose)
	if u.who == agentName || slices.Contains(besideAPIServer, u.who) {
		return s.judgeBeside(u, where, observed)
	}
	// A person may want to ask one API server; a node never does.
	bad, isNode := Warn, slices.Contains(everyNode, u.who)
	if isNode {
		bad = Fail
	}
	expected := s.balancerText()
	if rivals := s.rivals(); s.Endpoint == "" && slices.Contains(rivals, u.to) {
		return u.at.skip("%s: where clients reach the API is not known: no API server was seen, and kubeconfigs name %s", observed, list(rivals))
	}
	switch where {
	case balancerPlace:
		return u.at.pass("%s", observed)
	case self: // as kubeadm has it for kubelets; the node fails with its API server either way. By loopback nobody uses it elsewhere
		return u.at.judge(isNode || loopback(u.to) || len(s.ControlPlane()) == 1, Warn, expected, observed)
	case other, nobody:
		return u.at.judge(false, bad, expected, observed)
	case unseen:
		return s.unseenHere(u, expected+", or the API server on its own machine", observed)
	}
	if loopback(u.to) && !isNode {
		return u.at.skip("%s: what listens there was not seen", observed)
	}
	return u.at.warn(expected, observed+", which is nothing that was seen")
}

func (s *Scene) balancerText() string {
	if s.Endpoint == "" || s.owner(s.Endpoint) != nil {
		return "the load balancer"
	}
	return "the load balancer " + s.Endpoint
}

func (s *Scene) judgeBeside(u usage, where place, observed string) Finding {
	const expected = "the API server on its own machine"
	switch where {
	case self:
		return u.at.pass("%s", observed)
	case other, nobody:
		return u.at.fail(expected, observed)
	case balancerPlace: // with one API server there is no other
		return u.at.judge(len(s.ControlPlane()) == 1, Warn, expected, observed+": it may lead while it talks to another machine")
	case unseen:
		return s.unseenHere(u, expected, observed)
	}
	if loopback(u.to) {
		return u.at.skip("%s: what listens there was not seen", observed)
	}
	if len(s.ControlPlane()) == 0 {
		return u.at.skip("%s: no API server was seen, so that it is not known whose that is", observed)
	}
	return u.at.warn(expected, observed+", which is nothing that was seen")
}

// unseenHere judges what leads to the machine itself, where files show no API server at the
// port: to lead it elsewhere would hide what is wrong.
func (s *Scene) unseenHere(u usage, expected, observed string) Finding {
	switch {
	case len(s.ControlPlane()) == 0 || mayRun(u.machine, evidence.APIServer): // evidence-complete says so
		return u.at.skip("%s", observed)
	case u.machine.Program(evidence.APIServer) == nil:
		return u.at.warn(expected, observed).fixed("See that kube-apiserver runs on %s, that its manifest or unit is where it is started from, and in the copy where this is one.", u.at.node)
	}
	return u.at.warn(expected, observed).fixed("Set --secure-port of kube-apiserver on %s and the port in this kubeconfig to the same value, that of the other nodes.", u.at.node)
}

// placeOf tells where a kubeconfig leads, and whose that is, for reading.
func (s *Scene) placeOf(u usage) (where place, whose string) {
	owner := s.owner(u.to)
	if owner == nil {
		owner = s.advertiser(u.to)
	}
	switch {
	case loopback(u.to) || owner == u.machine:
		return s.ownPort(u)
	case owner != nil && len(s.ControlPlane()) == 1:
		return balancerPlace, ", the only API server"
	case owner != nil:
		return other, ", which is " + owner.Name
	case u.to == s.Endpoint || slices.Contains(s.balancerNames(), host(u.to)):
		return balancerPlace, ""
	}
	if m := s.machineOf(u.to); m != nil && m.LoadBalancer != nil {
		return balancerPlace, ", which is " + m.Name
	}
	if s.isHome(u.machine, u.to) {
		return s.ownPort(u)
	}
	return elsewhere, ""
}

// ownPort tells what is behind a port of the machine itself: its API server, or a
// load balancer or proxy of its own.
func (s *Scene) ownPort(u usage) (where place, whose string) {
	port := portOf(u.to)
	if u.machine.Program(evidence.APIServer) != nil && port == securePort(u.machine) {
		return self, ", its own"
	}
	if lb := u.machine.LoadBalancer; lb != nil && slices.ContainsFunc(lb.Frontends, func(f string) bool { return portOf(f) == port }) {
		return balancerPlace, ", the load balancer beside it"
	}
	switch {
	case u.machine.Listening == nil && loopback(u.to) && !mayRun(u.machine, evidence.APIServer):
		return elsewhere, ""
	case u.machine.Listening == nil && u.machine.Program(evidence.APIServer) == nil:
		return unseen, ", its own, where no API server was seen"
	case u.machine.Listening == nil:
		return unseen, fmt.Sprintf(", its own, whose API server listens on %d", securePort(u.machine))
	}
	for _, l := range u.machine.Listening {
		if int(l.Port()) == port {
			return balancerPlace, ", where something listens"
		}
	}
	return nobody, ", where nothing listens"
}
