package evidencetest

import (
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// Fail is a machine that died: nothing is seen of it any more, its API server and
// its etcd member do not answer, and its node is not ready.
func Fail(e *evidence.Evidence, name string) {
	address := Machine(e, name).Addresses[0].String()
	*Machine(e, name) = evidence.Machine{Name: name, Way: evidence.Machines, Addresses: Machine(e, name).Addresses}
	e.Missing = append(e.Missing, evidence.Missing{Way: evidence.Machines, Node: name, Source: "ssh " + name,
		Err: "dial tcp " + address + ":22: i/o timeout", Fix: "Start the machine, or leave it out."})
	for i := range e.Servers {
		if s := &e.Servers[i]; s.Node == name {
			*s = evidence.Server{Node: name, Address: s.Address, ServerName: s.ServerName, Err: "dial tcp " + s.Address + ": i/o timeout"}
		}
	}
	if e.API != nil {
		for i := range e.API.Nodes {
			if e.API.Nodes[i].Name == name {
				e.API.Nodes[i].Status.Conditions[0].Status = "Unknown"
			}
		}
	}
	for _, m := range e.Machines {
		if m.LoadBalancer == nil {
			continue
		}
		for i := range m.LoadBalancer.State {
			if b := &m.LoadBalancer.State[i]; b.Address == address+":6443" && !b.Backup {
				b.Status, b.Detail = "DOWN", "L4TOUT"
			}
		}
	}
}

// Folder leaves of evidence what copies of files show: units or manifests, no
// processes, no answers.
func Folder(e *evidence.Evidence) *evidence.Evidence {
	e.Ways, e.API, e.Servers = []evidence.Way{evidence.Folder}, nil, nil
	for _, m := range e.Machines {
		m.Way, m.Clock, m.Etcd, m.Listening, m.Requests, m.Addresses, m.Led = evidence.Folder, nil, nil, nil, nil, nil, nil
		for i := range m.Programs {
			p := &m.Programs[i]
			p.Running, p.Version = false, ""
			p.From, p.Where = evidence.FromManifest, "/etc/kubernetes/manifests/"+p.Name+".yaml"
			if p.Unit != nil {
				p.From, p.Where = evidence.FromUnit, p.Unit.Path
				p.Unit.Active = ""
			}
		}
		if m.LoadBalancer != nil {
			m.LoadBalancer.State = nil
		}
	}
	return e
}

// APIOnly leaves of evidence what a kubeconfig shows: objects, how the load
// balancer answers, and the flags of static pods.
func APIOnly(e *evidence.Evidence) *evidence.Evidence {
	e.Ways = []evidence.Way{evidence.API}
	machines := e.Machines
	e.Machines, e.Servers = nil, e.Servers[:1]
	for _, pod := range e.API.Pods {
		name := pod.Labels["component"]
		if name == "" {
			continue
		}
		m := e.Machine(pod.Spec.NodeName)
		if m == nil {
			m = &evidence.Machine{Name: pod.Spec.NodeName, Hostname: pod.Spec.NodeName, Way: evidence.API}
			for _, other := range machines {
				if other.Name == m.Name {
					m.Addresses = other.Addresses
				}
			}
			e.Machines = append(e.Machines, m)
		}
		m.Programs = append(m.Programs, evidence.Program{Name: name, From: evidence.FromPod, Where: "kube-system/" + pod.Name, Running: true,
			Argv: pod.Spec.Containers[0].Command, StopTimeout: 30 * time.Second})
	}
	return e
}
