package cluster

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/kubeconfig"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A Handle is a cluster that was made before.
type Handle struct {
	env    *env
	serial uint64 // of the record that it was opened with
	whole  bool
}

// Open returns the cluster of the given name. The error wraps store.ErrNoCluster where
// there is none.
func Open(name string) (*Handle, error) {
	s, err := store.Open(name)
	if err != nil {
		return nil, err
	}
	c, err := s.Cluster()
	if err != nil {
		return nil, err
	}
	_ = s.MoveSSH() // what needs no machine goes on without; what does is told when it connects
	h := &Handle{env: newEnv(c, Options{Store: s, Log: slog.New(slog.DiscardHandler)})}
	return h, h.addLeaving()
}

// addLeaving adds the nodes that leave: they are reached until they are gone.
func (h *Handle) addLeaving() error {
	r, err := h.env.Store.Record()
	if err != nil {
		return err
	}
	h.serial, h.whole = r.Serial, r.Applied != nil
	t := *h.env.topology
	t.Nodes = slices.Clone(t.Nodes)
	for _, n := range r.Nodes {
		if _, wanted := t.Node(n.Name); !wanted {
			t.Nodes = append(t.Nodes, topology.NewNode(n.Name, n.Role, n.Address))
		}
	}
	h.env.topology = &t
	return nil
}

// Whole reports whether it was brought up to its end once.
func (h *Handle) Whole() bool { return h.whole }

// NodeNames lists the nodes in the order of the cluster file.
func (h *Handle) NodeNames() []string {
	var out []string
	for _, n := range h.env.topology.Nodes {
		out = append(out, n.Name)
	}
	return out
}

// UnitNames lists the units that haplane runs on a node.
func (h *Handle) UnitNames(node string) []string {
	var out []string
	for _, u := range render.Render(render.Input{Topology: h.env.topology})[node].Units {
		out = append(out, u.Name)
	}
	return out
}

// CheckNode returns an error that lists the nodes where name is none of them.
func (h *Handle) CheckNode(name string) error {
	if _, ok := h.env.topology.Node(name); ok {
		return nil
	}
	return fmt.Errorf("cluster %s has no node %q; it has %s", h.env.topology.Name, name, strings.Join(h.NodeNames(), ", "))
}

// SSHConfig is the ssh_config file that reaches the nodes by name.
func (h *Handle) SSHConfig() string { return h.env.Store.SSHConfig() }

// Kubeconfig gives an administrator access through the load balancer or, where a
// node is named, to that node's API server.
func (h *Handle) Kubeconfig(node string) (kubeconfig.Config, error) {
	if err := h.env.loadKeys(); err != nil {
		return kubeconfig.Config{}, err
	}
	if len(h.env.keys.Pairs[pki.Admin].Key) == 0 || len(h.env.keys.Pairs[pki.CA].Cert) == 0 {
		return kubeconfig.Config{}, withHint(fmt.Errorf("cluster %s has no keys yet", h.env.topology.Name), "haplane up finishes it")
	}
	if node == "" {
		return h.env.kubeconfig(pki.Admin, h.env.topology.APIEndpoint(), ""), nil
	}
	n, ok := h.env.topology.Node(node)
	if !ok || n.Role != spec.RoleControlPlane {
		return kubeconfig.Config{}, fmt.Errorf("cluster %s has no API server on %q; it has them on %s",
			h.env.topology.Name, node, names(h.env.topology.ControlPlane()))
	}
	return h.env.kubeconfig(pki.Admin, n.APIServer(), topology.KubernetesName), nil
}

// KubeconfigFile writes the administrator's kubeconfig into the store, for
// programs that take a file, and returns its path.
func (h *Handle) KubeconfigFile() (string, error) {
	config, err := h.Kubeconfig("")
	if err != nil {
		return "", err
	}
	data, err := config.Bytes()
	if err != nil {
		return "", err
	}
	return h.env.Store.SaveAdminKubeconfig(data)
}
