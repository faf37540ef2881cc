package evidencetest

import (
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

// K3s is what machines and API show of a cluster of k3s servers with etcd inside: one
// process has all of the control plane, and no flags of its parts.
func K3s() *evidence.Evidence {
	e := Healthy(spec.PerNode)
	for _, n := range controlPlane {
		k3s(Machine(e, n.name), "server", "k3s")
		kubeconfig(Machine(e, n.name), "/etc/rancher/k3s/k3s.yaml", "system:admin", "https://127.0.0.1:6443", "")
	}
	k3s(Machine(e, worker.name), "agent", "k3s-agent")
	return e
}

func k3s(m *evidence.Machine, kind, service string) {
	p := maker{}.program(evidence.K3s, "", 90*time.Second, nil)
	p.Argv = []string{"/usr/local/bin/k3s", kind}
	p.Unit = unit(service, p.Argv, 90*time.Second)
	m.Programs, m.Etcd, m.Requests = []evidence.Program{p}, nil, nil
	dropFiles(m)
	number(m)
}
