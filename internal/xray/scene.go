package xray

import (
	"net/netip"
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

// An Expectation is what the user says that the cluster should be; its zero value
// expects nothing that the evidence does not tell.
type Expectation struct {
	Identity spec.Identity // --expect; "" takes the cluster file's, or infers
	Cluster  *spec.Cluster // the cluster file; nil where there is none
}

// A Scene is the evidence with what follows from it.
type Scene struct {
	*evidence.Evidence
	Expect Expectation
	// Identity is what the control plane is by the evidence.
	Identity Inference
	// Endpoint is where clients reach the API: the load balancer, host:port. Its
	// source says how that is known. "" where nothing tells.
	Endpoint       string
	EndpointSource string
	// ServiceIP is the first address of the service network; invalid where nothing tells.
	ServiceIP netip.Addr
}

// NewScene infers what the checks share.
func NewScene(e *evidence.Evidence, x Expectation) *Scene {
	s := &Scene{Evidence: e, Expect: x}
	s.Endpoint, s.EndpointSource = s.endpoint()
	s.ServiceIP = s.serviceIP()
	s.Identity = s.infer()
	return s
}

// An Instance is a program on a machine.
type Instance struct {
	*evidence.Program
	Machine *evidence.Machine
}

func (i Instance) at() at { return at{i.Machine.Name, i.Source()} }

// Instances are the programs of a name, in the order of the machines.
func (s *Scene) Instances(name string) []Instance {
	var out []Instance
	for _, m := range s.Machines {
		if p := m.Program(name); p != nil {
			out = append(out, Instance{p, m})
		}
	}
	return out
}

// ControlPlane are the machines that run an API server, or are meant to: by their
// programs, the cluster file, their node's label, or because one was asked there.
func (s *Scene) ControlPlane() []*evidence.Machine {
	var out []*evidence.Machine
	for _, m := range s.Machines {
		node := s.NodeOf(m)
		labelled := node != nil && IsControlPlane(*node)
		if m.Program(evidence.APIServer) != nil || s.expects(m.Name, spec.RoleControlPlane) || labelled || s.Server(m.Name) != nil {
			out = append(out, m)
		}
	}
	return out
}

func (s *Scene) expects(node string, role spec.Role) bool {
	return slices.Contains(s.Expected(role), node)
}

// Expected are the nodes of a role in the cluster file.
func (s *Scene) Expected(role spec.Role) []string {
	var out []string
	if s.Expect.Cluster != nil {
		for _, n := range s.Expect.Cluster.Spec.Nodes {
			if n.Role == role {
				out = append(out, n.Name)
			}
		}
	}
	return out
}

// expectedBalancers are the nodes that the cluster file wants to balance.
func (s *Scene) expectedBalancers() []string {
	if s.onControlPlane() {
		return s.Expected(spec.RoleControlPlane)
	}
	return s.Expected(spec.RoleLoadBalancer)
}

// onControlPlane reports whether the cluster file has the control-plane nodes balance.
func (s *Scene) onControlPlane() bool {
	return s.Expect.Cluster != nil && s.Expect.Cluster.Spec.LoadBalancer.Kind == spec.OnControlPlane
}

// WithFiles are the machines whose files were looked at.
func (s *Scene) WithFiles() []*evidence.Machine {
	var out []*evidence.Machine
	for _, m := range s.Machines {
		if m.Way != evidence.API {
			out = append(out, m)
		}
	}
	return out
}

// Server returns how a node's API server answered, or nil. The load balancer's
// node is "".
func (s *Scene) Server(node string) *evidence.Server {
	for i := range s.Servers {
		if s.Servers[i].Node == node {
			return &s.Servers[i]
		}
	}
	return nil
}
