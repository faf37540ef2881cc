package evidencetest

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// Etcd is what the member on a machine says.
func Etcd(e *evidence.Evidence, machine string) *evidence.Etcd {
	return found(Machine(e, machine).Etcd, "etcd on", machine)
}

// AddMember puts a member into all lists of members.
func AddMember(e *evidence.Evidence, member evidence.EtcdMember) {
	for _, m := range e.Machines {
		if m.Etcd != nil && m.Etcd.Err == "" {
			m.Etcd.Members = append(m.Etcd.Members, member)
		}
	}
}

// Ghost is a member that was added beside the one on cp-1 and never started.
func Ghost(learner bool) evidence.EtcdMember {
	return evidence.EtcdMember{ID: "d282ac2ce600c1ce", PeerURLs: []string{"https://" + controlPlane[0].address + ":2390"}, Learner: learner}
}

// RemoveMember takes the member of a name out of all lists.
func RemoveMember(e *evidence.Evidence, name string) {
	for _, m := range e.Machines {
		if m.Etcd != nil {
			m.Etcd.Members = slices.DeleteFunc(m.Etcd.Members, func(o evidence.EtcdMember) bool { return o.Name == name })
		}
	}
}

// StopEtcd is what shows after systemctl stop etcd: its unit, and nothing that answers.
func StopEtcd(e *evidence.Evidence, machine string) {
	m, p := Machine(e, machine), Program(e, machine, evidence.EtcdServer)
	m.Etcd = nil
	Stop(p)
	m.Listening = slices.DeleteFunc(m.Listening, etcdPort)
}

// Demote makes the member on a machine a learner, which answers little.
func Demote(e *evidence.Evidence, machine string) {
	own := Etcd(e, machine)
	for _, m := range e.Machines {
		if m.Etcd == nil {
			continue
		}
		for i := range m.Etcd.Members {
			o := &m.Etcd.Members[i]
			o.Learner = o.Learner || o.ID == own.ID
		}
	}
	own.Learner, own.Members, own.Alarms = true, nil, nil
	own.Healthy, own.Health = new(false), "RANGE ERROR:etcdserver: rpc not supported for learner"
}

// MoveEtcd moves the members to machines of their own, etcd-1 to etcd-3, which all
// API servers list.
func MoveEtcd(e *evidence.Evidence) {
	var servers []string
	for i, n := range controlPlane {
		to := node{fmt.Sprintf("etcd-%d", i+1), fmt.Sprintf("10.10.10.%d", 31+i)}
		from := Machine(e, n.name)
		e.Machines = append(e.Machines, etcdMachine(to, from))
		from.Etcd = nil
		from.Listening = slices.DeleteFunc(from.Listening, etcdPort)
		DropProgram(e, n.name, evidence.EtcdServer)
		servers = append(servers, "https://"+to.address+":2379")
	}
	SetFlagEverywhere(e, evidence.APIServer, "etcd-servers", strings.Join(servers, ","))
}

// HideAddresses leaves of a folder's machines what copies of a kubeadm cluster with etcd
// elsewhere show: no node-ip, no addresses.
func HideAddresses(e *evidence.Evidence) {
	for _, m := range e.Machines {
		m.Addresses = nil
		if k := m.Program(evidence.Kubelet); k != nil {
			DropFlag(k, "node-ip")
		}
	}
}

// etcdMachine is a machine with the member of another one, and nothing else.
func etcdMachine(to node, from *evidence.Machine) *evidence.Machine {
	out := maker{}.machine(to)
	certificate(out, PKI+"etcd/ca.crt", authority(EtcdCA))
	for _, name := range []string{"server", "peer"} {
		names := []string{to.address, "127.0.0.1", to.name, "localhost"}
		pair(out, PKI+"etcd/"+name, Row{CA: EtcdCA, CommonName: to.name, Names: names, Usages: ForBoth, Key: name + to.name})
	}
	out.Programs = []evidence.Program{maker{}.program(evidence.EtcdServer, EtcdVersion, 0, maker{}.etcdFlags(to))}
	number(out)
	out.Etcd = from.Etcd
	for i := range out.Etcd.Members {
		address := fmt.Sprintf("https://10.10.10.%d:", 31+i)
		out.Etcd.Members[i] = evidence.EtcdMember{ID: etcdIDs[i], Name: fmt.Sprintf("etcd-%d", i+1),
			PeerURLs: []string{address + "2380"}, ClientURLs: []string{address + "2379"}}
	}
	return out
}

func etcdPort(a netip.AddrPort) bool { return a.Port() >= 2379 && a.Port() <= 2381 }
