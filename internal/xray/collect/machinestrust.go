package collect

import (
	"maps"
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/parse"
)

// filed is the same trust as a file, where one has the same certificates.
func (h *host) filed(t trust) trust {
	if t.pem == "" {
		return t
	}
	for _, file := range slices.Sorted(maps.Keys(h.machine.Certificates)) {
		if _, err := h.stat(file, asPEM); err == nil && h.machine.Kubeconfigs[file].Path == "" && parse.PEM(h.machine.Certificates[file]) == t.pem {
			return trust{path: file}
		}
	}
	return t
}

// trustOfClients is with what the kubelet verifies the API server, else the
// administrator, else pods.
func (h *host) trustOfClients() trust {
	if k, ok := h.kubeconfigOf(h.program(evidence.Kubelet)); ok && h.trusts[k.Path].known() {
		return h.filed(h.trusts[k.Path])
	}
	return h.trustOfServers()
}

func (h *host) trustOfServers() trust {
	if t := h.trusts["/etc/kubernetes/admin.conf"]; t.known() {
		return h.filed(t)
	}
	for _, flag := range [][2]string{{evidence.ControllerManager, "root-ca-file"}, {evidence.APIServer, "client-ca-file"}} {
		if p := h.program(flag[0]); p != nil {
			if file, ok := p.Flag(flag[1]); ok {
				return trust{path: p.on(file)}
			}
		}
	}
	return trust{}
}
