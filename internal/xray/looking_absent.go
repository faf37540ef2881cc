package xray

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// absent names what others name, or what a control plane cannot do without, and what was on no
// machine that was looked at: of it this report says nothing.
func (s *Scene) absent() []Finding {
	return slices.Concat(s.absentEtcd(), s.etcdNotBeside(), s.absentPrograms(), s.absentAPIServers())
}

// ownAPIServers are those of machines whose files or processes were looked at.
func (s *Scene) ownAPIServers() []Instance {
	return slices.DeleteFunc(s.Instances(evidence.APIServer), func(a Instance) bool { return a.Machine.Way == evidence.API })
}

// absentEtcd are members that API servers ask, or other members name, on machines that were not
// looked at. Where members were asked themselves, what they say of each other counts instead.
func (s *Scene) absentEtcd() []Finding {
	var hosts []string
	note := func(urls []string) {
		for _, u := range urls {
			if hostPort := etcdHostPort(u); hostPort != "" && !loopback(hostPort) && !s.isSeen(hostPort) {
				hosts = append(hosts, host(hostPort))
			}
		}
	}
	for _, a := range s.ownAPIServers() {
		note(a.List("etcd-servers"))
	}
	asked := slices.ContainsFunc(s.Machines, func(m *evidence.Machine) bool { return m.Etcd != nil })
	for _, e := range s.Instances(evidence.EtcdServer) {
		if !asked && e.Machine.Way != evidence.API {
			note(peersByFlag(e))
		}
	}
	if len(hosts) == 0 {
		return nil
	}
	return []Finding{at{}.skip("etcd at %s, which API servers or other members name, is on no machine that was looked at: it was not judged", list(distinct(sorted(hosts))))}
}

// peersByFlag are the URLs of --initial-cluster, NAME=URL,...
func peersByFlag(e Instance) []string {
	var out []string
	for one := range strings.SplitSeq(e.EtcdSetting("initial-cluster", ""), ",") {
		if _, u, ok := strings.Cut(one, "="); ok {
			out = append(out, u)
		}
	}
	return out
}

// isSeen tells whether host:port is on a machine that was looked at, as far as addresses and names tell.
func (s *Scene) isSeen(hostPort string) bool {
	a, err := netip.ParseAddr(host(hostPort))
	return slices.ContainsFunc(s.Machines, func(m *evidence.Machine) bool {
		if err != nil {
			return slices.Contains(s.namesOf(m), host(hostPort))
		}
		return slices.Contains(s.ownAddresses(m), a.Unmap()) || slices.Contains(s.addressesOf(m), a.Unmap())
	})
}

// etcdNotBeside are the machines whose API server asks an etcd beside it that was not seen there.
func (s *Scene) etcdNotBeside() []Finding {
	var nodes []string
	for _, a := range s.ownAPIServers() {
		beside := slices.ContainsFunc(a.List("etcd-servers"), func(u string) bool { return loopback(etcdHostPort(u)) })
		if beside && a.Machine.Program(evidence.EtcdServer) == nil && a.Machine.Etcd == nil && !bundled(a.Machine) {
			nodes = append(nodes, a.Machine.Name)
		}
	}
	if len(nodes) == 0 {
		return nil
	}
	return []Finding{at{}.skip("the etcd that the API server of %s asks on its own machine was not seen there: it was not judged", list(nodes))}
}

// bundled tells of machines whose programs are in one, or started by one.
func bundled(m *evidence.Machine) bool {
	return m.Program(evidence.K0s) != nil || m.Program(evidence.K3s) != nil
}

// absentPrograms are those that no machine was seen to run, though API servers were.
func (s *Scene) absentPrograms() []Finding {
	servers := slices.DeleteFunc(s.ownAPIServers(), func(a Instance) bool { return bundled(a.Machine) })
	if len(servers) == 0 {
		return nil
	}
	var out []Finding
	for _, name := range []string{evidence.ControllerManager, evidence.Scheduler} {
		if len(s.Instances(name)) == 0 && !s.mayRun(name) {
			out = append(out, at{}.warn("a "+name+" on the machines of API servers", "none on any machine that was looked at: no process, unit or static pod is known as one, and it was not judged").
				fixed("If it runs elsewhere, look at these machines as well; if nowhere, start it."))
		}
	}
	return out
}

// absentAPIServers are the machines that have what only control-plane nodes have, and no API server.
func (s *Scene) absentAPIServers() []Finding {
	var out []Finding
	for _, m := range s.WithFiles() {
		if m.Program(evidence.APIServer) != nil || bundled(m) || mayRun(m, evidence.APIServer) {
			continue
		}
		for _, sign := range []string{"/etc/kubernetes/pki/apiserver.crt", "/etc/kubernetes/controller-manager.conf", "/etc/kubernetes/scheduler.conf"} {
			_, conf := m.Kubeconfigs[sign]
			if m.Certificate(sign) != nil || conf {
				out = append(out, at{m.Name, sign}.warn("an API server on a machine that has its files", "no process, unit or static pod is known as one: "+m.Name+" was not judged as a control-plane node").
					fixed("Copy the folder of static pods or the units of %s as well; if it is no control-plane node any more, remove these files.", m.Name))
				break
			}
		}
	}
	return out
}
