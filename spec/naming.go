package spec

import (
	"encoding/binary"
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

// taken is what new nodes cannot have, and from where on to look for the next of a role.
type taken struct {
	names, addresses map[string]bool
	name1, host1     map[Role]uint32
}

func takenBy(s *Spec, known []Node) taken {
	t := taken{map[string]bool{}, map[string]bool{}, map[Role]uint32{}, map[Role]uint32{}}
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
	for i := max(t.name1[role], 1); ; i++ {
		if name := fmt.Sprintf("%s-%d", namePrefix[role], i); !t.names[name] {
			t.name1[role] = i
			return name
		}
	}
}

// address is the first free one of the role's range, in all families the same number.
// Where the network ends before one is free, it is the first below the range. It is ""
// where the network is full, or is none: validation says so.
func (t taken) address(role Role, cidrs string) string {
	networks, err := parsePrefixes(cidrs)
	if err != nil {
		return ""
	}
	for number := max(t.host1[role], firstHost[role]); ; number++ {
		address, free, inside := t.at(number, networks)
		if free || !inside {
			t.host1[role] = number
		}
		if free {
			return address
		}
		if !inside {
			break
		}
	}
	return t.below(firstHost[role], networks)
}

// below is the first free address before the range; that of the load balancer is the last resort.
func (t taken) below(first uint32, networks []netip.Prefix) string {
	balancer := firstHost[RoleLoadBalancer]
	for number := uint32(1); number < first; number++ {
		if address, free, _ := t.at(number, networks); free && number != balancer {
			return address
		}
	}
	if address, free, _ := t.at(balancer, networks); free {
		return address
	}
	return ""
}

// at is what a number is in the networks: the address, and whether it is free there and in them at all.
func (t taken) at(number uint32, networks []netip.Prefix) (address string, free, inside bool) {
	var out []string
	free, inside = true, true
	for _, p := range networks {
		a := host(p, number)
		inside = inside && p.Contains(a)
		free = free && !t.addresses[a.String()] && misplaced(a, p) == ""
		out = append(out, a.String())
	}
	return strings.Join(out, ","), free && inside, inside
}

// host is the address of a number; behind the end of the address space it begins anew.
func host(p netip.Prefix, number uint32) netip.Addr {
	if p.Addr().Is6() {
		number = number/10*16 + number%10
	}
	bytes := p.Masked().Addr().AsSlice()
	low := bytes[len(bytes)-4:]
	binary.BigEndian.PutUint32(low, binary.BigEndian.Uint32(low)+number)
	a, _ := netip.AddrFromSlice(bytes)
	return a
}
