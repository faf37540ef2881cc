package xray

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

// A target is where one API server listens.
type target struct {
	node      string
	addresses []netip.Addr
	port      int
}

func (t target) String() string {
	if len(t.addresses) == 0 {
		return t.node
	}
	return t.node + " (" + netip.AddrPortFrom(t.addresses[0], uint16(t.port)).String() + ")"
}

// targets are the API servers that a load balancer should have. They are all of
// them only where the cluster file or the API lists the control plane: machines
// that were looked at may be a part.
func (s *Scene) targets() (out []target, all bool) {
	for _, m := range s.ControlPlane() {
		out = append(out, target{m.Name, s.addressesOf(m), securePort(m)})
	}
	if c := s.Expect.Cluster; c != nil {
		all = true
		for _, n := range c.Spec.Nodes {
			if n.Role == spec.RoleControlPlane && s.Machine(n.Name) == nil {
				out = append(out, target{n.Name, addresses(spec.Split(n.Address)), defaultSecurePort})
			}
		}
	}
	if s.API == nil {
		return out, all
	}
	for _, n := range s.API.Nodes {
		if _, ok := n.Labels["node-role.kubernetes.io/control-plane"]; !ok {
			continue
		}
		all = true
		if !slices.ContainsFunc(out, func(t target) bool {
			return t.node == n.Name || s.Machine(n.Name) == s.Machine(t.node) && s.Machine(n.Name) != nil
		}) {
			out = append(out, target{n.Name, internalIPs(n), defaultSecurePort})
		}
	}
	return out, all
}

const defaultSecurePort = 6443

func securePort(m *evidence.Machine) int {
	if p := m.Program(evidence.APIServer); p != nil {
		if port, err := strconv.Atoi(p.FlagOr("secure-port", "")); err == nil {
			return port
		}
	}
	return defaultSecurePort
}

func internalIPs(n corev1.Node) []netip.Addr {
	var out []string
	for _, a := range n.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			out = append(out, a.Address)
		}
	}
	return addresses(out)
}

func addresses(texts []string) []netip.Addr {
	var out []netip.Addr
	for _, text := range texts {
		if a, err := netip.ParseAddr(strings.TrimSpace(text)); err == nil {
			out = append(out, a.Unmap())
		}
	}
	return out
}

// is tells whether a backend's address is that of an API server.
func (t target) is(s *Scene, b balancer, address string) bool {
	if port := address[strings.LastIndex(address, ":")+1:]; port != strconv.Itoa(t.port) {
		return false
	}
	return t.hosts(s, b, host(address))
}

func (t target) hosts(s *Scene, b balancer, name string) bool {
	if a, err := netip.ParseAddr(name); err == nil {
		return slices.Contains(t.addresses, a.Unmap()) || a.IsLoopback() && b.machine.Name == t.node
	}
	if name == "localhost" {
		return b.machine.Name == t.node
	}
	return name == t.node || s.Machine(name) != nil && s.Machine(name) == s.Machine(t.node)
}

func lbBackends(s *Scene) []Finding {
	targets, all := s.targets()
	if len(targets) == 0 {
		return nil
	}
	return append(s.missingBalancers(), s.configured(func(b balancer) []Finding {
		found := append(s.missingBackends(b, targets), s.staleBackends(b, targets, all)...)
		found = append(found, downBackends(b)...)
		var names []string
		for _, t := range targets {
			names = append(names, t.String())
		}
		return orPass(found, b.at(), "%s", list(names))
	})...)
}

func (s *Scene) missingBackends(b balancer, targets []target) []Finding {
	var out []Finding
	unresolved := slices.ContainsFunc(b.Backends, func(x evidence.Backend) bool { return s.unresolved(b, targets, x.Address) || portless(x.Address) })
	for _, t := range targets {
		var serving, backup, disabled []string
		for _, x := range b.Backends {
			switch {
			case !t.is(s, b, x.Address):
			case x.Status == "MAINT": // by the configuration: HAProxy's disabled and weight 0, nginx's down
				disabled = append(disabled, strings.TrimSpace(x.Name+" "+x.Detail))
			case x.Backup:
				backup = append(backup, x.Name)
			default:
				serving = append(serving, x.Name)
				if why := s.unheard(b, t, x.Address); why != "" {
					out = append(out, b.at().fail("an API server that listens at "+x.Address, "server "+x.Name+" is "+t.node+", and "+why).
						fixed("Set --bind-address of kube-apiserver on %s to 0.0.0.0 or ::, or to %s where something else listens at its port, and restart it.", t.node, host(x.Address)))
				}
			}
		}
		switch expected := "one server that is " + t.String(); {
		case len(serving) == 1:
		case len(serving) > 1:
			out = append(out, b.at().warn(expected, fmt.Sprintf("%d: %s", len(serving), list(serving))))
		case len(t.addresses) == 0 || unresolved:
			out = append(out, b.at().skip("whether %s is a server: addresses are not known of all", t))
		case len(disabled) > 0:
			out = append(out, b.at().fail(expected, "disabled in the configuration: "+list(disabled)))
		case len(backup) > 0:
			out = append(out, b.at().fail(expected, "only as a backup: "+list(backup)))
		default:
			out = append(out, b.at().fail(expected, "servers are "+list(backendAddresses(b))))
		}
	}
	return out
}

// portless is a backend whose port is that which the client connected to, where that may be one of several.
func portless(address string) bool {
	_, err := netip.ParseAddr(strings.Trim(address, "[]"))
	return err == nil || strings.Contains(address, ":+") || strings.Contains(address, ":-")
}

// unresolved is a backend whose name might be anybody's.
func (s *Scene) unresolved(b balancer, targets []target, address string) bool {
	_, err := netip.ParseAddr(host(address))
	return err != nil && !slices.ContainsFunc(targets, func(t target) bool { return t.hosts(s, b, host(address)) })
}

func (s *Scene) staleBackends(b balancer, targets []target, all bool) []Finding {
	if slices.ContainsFunc(targets, func(t target) bool { return len(t.addresses) == 0 }) {
		return nil // what is on none might be that one's
	}
	var out []Finding
	for _, x := range b.Backends {
		if slices.ContainsFunc(targets, func(t target) bool { return t.is(s, b, x.Address) }) || s.unresolved(b, targets, x.Address) || portless(x.Address) {
			continue
		}
		observed := fmt.Sprintf("server %s is %s", x.Name, x.Address)
		if m := s.machineOf(x.Address); m != nil {
			observed += ", which is " + m.Name
		}
		if s.mayServe(x.Address) {
			out = append(out, b.at().skip("%s: whether an API server is there was not seen; evidence-complete names what may run it", observed))
			continue
		}
		// An API server that was not named to us is advertised all the same.
		status := Fail
		if !all || slices.Contains(s.endpointAddresses(), host(x.Address)) {
			status = Warn
		}
		out = append(out, b.at().judge(false, status, "addresses of API servers only", observed))
	}
	return out
}

// mayServe tells whether host:port may be of a machine that runs an API server by the name of a manifest or unit.
func (s *Scene) mayServe(hostPort string) bool {
	a, err := netip.ParseAddr(host(hostPort))
	return slices.ContainsFunc(s.Machines, func(m *evidence.Machine) bool {
		own := s.addressesOf(m)
		there := len(own) == 0 || err == nil && slices.Contains(own, a.Unmap()) || s.machineOf(hostPort) == m
		return there && mayRun(m, evidence.APIServer)
	})
}

// downBackends are those to which the load balancer sends nothing now.
func downBackends(b balancer) []Finding {
	var out []Finding
	for _, x := range b.State {
		if x.Up() || x.Backup {
			continue
		}
		// MAINT, DRAIN and NOLB are what somebody asked for, the operator or the API server.
		status := Warn
		// One check that is late, on a machine that is busy, is not yet a server that is down.
		if strings.HasPrefix(x.Status, "DOWN") && !x.Just {
			status = Fail
		}
		observed := fmt.Sprintf("server %s (%s) is %s", x.Name, x.Address, x.Status)
		if x.Detail != "" {
			observed += ": " + x.Detail
		}
		out = append(out, b.at().judge(false, status, "every server up", observed).fixed("See why the health check of %s fails.", x.Name))
	}
	return out
}

func backendAddresses(b balancer) []string {
	var out []string
	for _, x := range b.Backends {
		if !x.Backup {
			out = append(out, x.Address)
		}
	}
	return out
}

// machineOf is the machine that has the host of host:port.
func (s *Scene) machineOf(hostPort string) *evidence.Machine {
	if a, err := netip.ParseAddr(host(hostPort)); err == nil {
		return s.MachineAt(a.Unmap())
	}
	return s.Machine(host(hostPort))
}
