package xray

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// An etcdTarget is a member with where it is reached.
type etcdTarget struct {
	name    string
	machine *evidence.Machine // nil where it is not known
	hosts   []string          // addresses and names, without loopback ones
	ports   []string          // none: not known
}

func etcdEndpointsOfAPIServers(s *Scene) []Finding {
	members, names, complete := s.etcdHosts()
	if len(members) == 0 {
		return nil
	}
	var out []Finding
	for _, a := range s.Instances(evidence.APIServer) {
		urls := a.List("etcd-servers")
		if len(urls) == 0 {
			out = append(out, a.at().skip("no --etcd-servers"))
			continue
		}
		out = append(out, etcdUse(a, urls, members, names, complete))
	}
	return out
}

// etcdHosts are the voters with their names, or where none listed them the machines
// with etcd: then they may not be complete.
func (s *Scene) etcdHosts() (all []etcdTarget, names []string, complete bool) {
	for _, member := range voters(s.etcdMembers()) {
		one := etcdTarget{name: memberName(member)}
		one.add(member.ClientURLs)
		if m := s.memberMachine(member); m != nil {
			one.on(s, m)
		}
		all, names = append(all, one), append(names, one.name)
	}
	if len(all) > 0 {
		return all, names, true
	}
	for _, p := range s.Instances(evidence.EtcdServer) {
		var one etcdTarget
		one.on(s, p.Machine)
		all, names = append(all, one), append(names, one.name)
	}
	return all, names, false
}

// on adds what is known of the member's machine.
func (v *etcdTarget) on(s *Scene, m *evidence.Machine) {
	v.name, v.machine = m.Name, m
	v.hosts = append(v.hosts, m.Name, m.Hostname)
	for _, a := range s.addressesOf(m) {
		v.hosts = append(v.hosts, a.String())
	}
	if p := m.Program(evidence.EtcdServer); p != nil {
		v.add(SplitURLs(p.EtcdSetting("listen-client-urls", DefaultEtcdClientURL)))
		v.add(SplitURLs(p.EtcdSetting("advertise-client-urls", "")))
	}
}

func (v *etcdTarget) add(urls []string) {
	for _, text := range urls {
		u, err := url.Parse(text)
		if err != nil {
			continue
		}
		v.ports = append(v.ports, u.Port())
		if a, err := netip.ParseAddr(u.Hostname()); !loopback(HostPort(text)) && (err != nil || !a.IsUnspecified()) {
			v.hosts = append(v.hosts, u.Hostname())
		}
	}
}

// is tells whether an API server that connects to host:port reaches the member.
func (v *etcdTarget) is(a Instance, hostPort string) bool {
	here := slices.Contains(v.hosts, host(hostPort)) || loopback(hostPort) && v.machine == a.Machine
	return here && (len(v.ports) == 0 || slices.Contains(v.ports, portText(hostPort)))
}

func portText(hostPort string) string { return hostPort[strings.LastIndex(hostPort, ":")+1:] }

// etcdUse judges which members an API server uses.
func etcdUse(a Instance, urls []string, members []etcdTarget, names []string, complete bool) Finding {
	used, strange := etcdUsed(a, urls, members)
	observed := "--etcd-servers=" + strings.Join(urls, ",")
	beside := slices.Contains(names, a.Machine.Name)
	switch {
	case len(strange) > 0 && !complete:
		return a.at().skip("%s; the members are not known", observed)
	case slices.ContainsFunc(strange, func(u string) bool { return !hidden(a, u) }):
		return a.at().fail("voting members only: "+list(names), fmt.Sprintf("%s, of which %s is none", observed, list(strange)))
	case len(strange) > 0:
		return a.at().skip("%s; what is behind %s is not known", observed, list(strange))
	case beside && slices.Equal(used, []string{a.Machine.Name}):
		return a.at().pass("%s: the member beside it", observed)
	case len(used) == 1 && len(names) > 1:
		return a.at().fail("the member beside it, or all of "+list(names), fmt.Sprintf("%s: %s alone, a single point of failure", observed, used[0]))
	case len(used) < len(names) && complete:
		return a.at().warn("all members: "+list(names), observed)
	}
	return a.at().pass("%s", observed)
}

// etcdUsed are the members behind the URLs of an API server, and the URLs of which
// none is known to be behind.
func etcdUsed(a Instance, urls []string, members []etcdTarget) (used, strange []string) {
	for _, u := range urls {
		i := slices.IndexFunc(members, func(v etcdTarget) bool { return v.is(a, etcdHostPort(u)) })
		switch {
		case i < 0:
			strange = append(strange, u)
		case !slices.Contains(used, members[i].name):
			used = append(used, members[i].name)
		}
	}
	return used, strange
}

// etcdHostPort is that of a URL, whose scheme API servers do not insist on.
func etcdHostPort(u string) string {
	if !strings.Contains(u, "://") {
		u = "https://" + u
	}
	return HostPort(u)
}

// hidden tells whether a member may be behind a URL unseen: behind a name, or a port
// of a machine without etcd on which something listens, such as a proxy.
func hidden(a Instance, u string) bool {
	hostPort := etcdHostPort(u)
	if !loopback(hostPort) {
		_, err := netip.ParseAddr(host(hostPort))
		return err != nil
	}
	return a.Machine.Program(evidence.EtcdServer) == nil && slices.ContainsFunc(a.Machine.Listening, func(l netip.AddrPort) bool {
		return fmt.Sprint(l.Port()) == portText(hostPort)
	})
}
