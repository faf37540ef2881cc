package xray

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// NodeOf is the API's object for a machine, or nil.
func (s *Scene) NodeOf(m *evidence.Machine) *corev1.Node {
	if s.API == nil {
		return nil
	}
	for i := range s.API.Nodes {
		if s.MachineOf(s.API.Nodes[i]) == m {
			return &s.API.Nodes[i]
		}
	}
	return nil
}

// MachineOf is the machine of a node of the API: by its name, else by its address, since
// kubelets may be told another name than their machine's. Nil where it was not looked at.
func (s *Scene) MachineOf(n corev1.Node) *evidence.Machine {
	if m := s.Machine(n.Name); m != nil && n.Name != "" {
		return m
	}
	for _, a := range internalIPs(n) {
		if m := s.MachineAt(a); m != nil && !s.isNamedNode(m) {
			return m
		}
	}
	return nil
}

// isNamedNode tells a machine whose name a node has: another node at its address is
// one that was left behind.
func (s *Scene) isNamedNode(m *evidence.Machine) bool {
	return slices.ContainsFunc(s.API.Nodes, func(n corev1.Node) bool { return n.Name != "" && (n.Name == m.Name || n.Name == m.Hostname) })
}

// IsControlPlane tells by the label that kubeadm and haplane give, or the one that
// kubeadm gave before 1.24.
func IsControlPlane(n corev1.Node) bool {
	_, now := n.Labels["node-role.kubernetes.io/control-plane"]
	_, before := n.Labels["node-role.kubernetes.io/master"]
	return now || before
}
