package spec

import (
	"fmt"
	"net/netip"
	"strings"
)

// Where in the machine network the nodes of a role begin: load balancer .3,
// control-plane nodes from .11, workers from .21, etcd from .31. In IPv6
// networks the same numbers are read as hexadecimal, so that they look alike.
var (
	firstHost  = map[Role]uint32{RoleLoadBalancer: 3, RoleControlPlane: 11, RoleWorker: 21, RoleEtcd: 31}
	namePrefix = map[Role]string{RoleLoadBalancer: "lb", RoleControlPlane: "cp", RoleWorker: "worker", RoleEtcd: "etcd"}
)

// taken is what new nodes cannot have.
type taken struct{ names, addresses map[string]bool }

func takenBy(s *Spec, known []Node) taken {
	t := taken{map[string]bool{}, map[string]bool{}}
	for _, nodes := range [][]Node{s.Nodes, known, {{Address: s.LoadBalancer.Address}}} {
		for _, n := range nodes {
			t.add(n)
		}
	}
	return t
}

func (t taken) add(n Node) {
	t.names[n.Name] = true
	for _, a := range Split(n.Address) {
		t.addresses[canonical(a)] = true
	}
}

// name is the first of prefix-1, prefix-2, ... that is free.
func (t taken) name(role Role) string {
	for i := 1; ; i++ {
		if name := fmt.Sprintf("%s-%d", namePrefix[role], i); !t.names[name] {
			return name
		}
	}
}

// address is the first free one of the role's range, in all families the same
// number, or "" when a prefix is none: then validation says so. Where the network
// ends it returns the one behind the end, for validation to name.
func (t taken) address(role Role, cidrs string) string {
	for number := firstHost[role]; ; number++ {
		var out []string
		free, inside := true, true
		for _, cidr := range Split(cidrs) {
			p, err := netip.ParsePrefix(cidr)
			if err != nil {
				return ""
			}
			a := host(p, number)
			inside = inside && p.Contains(a)
			free = free && !t.addresses[a.String()] && misplaced(a, p) == ""
			out = append(out, a.String())
		}
		if free || !inside {
			return strings.Join(out, ",")
		}
	}
}

func host(p netip.Prefix, number uint32) netip.Addr {
	if p.Addr().Is6() {
		number = number/10*16 + number%10
	}
	a := p.Masked().Addr()
	for range number {
		a = a.Next()
	}
	return a
}
