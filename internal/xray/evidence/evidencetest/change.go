package evidencetest

import (
	"fmt"
	"slices"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// Machine is the machine of a name. This and the functions below panic where there
// is no such thing: a test that breaks what does not exist is wrong.
func Machine(e *evidence.Evidence, name string) *evidence.Machine {
	return found(e.Machine(name), "machine", name)
}

// Program is a program on a machine.
func Program(e *evidence.Evidence, machine, name string) *evidence.Program {
	return found(Machine(e, machine).Program(name), "program", machine+"/"+name)
}

// Server is how a node answers; "" is the load balancer.
func Server(e *evidence.Evidence, node string) *evidence.Server {
	i := slices.IndexFunc(e.Servers, func(s evidence.Server) bool { return s.Node == node })
	return &e.Servers[i]
}

// Lease is a Lease of kube-system.
func Lease(e *evidence.Evidence, name string) *coordinationv1.Lease {
	i := slices.IndexFunc(e.API.Leases, func(l coordinationv1.Lease) bool { return l.Name == name })
	return &e.API.Leases[i]
}

// Node is a node of the API.
func Node(e *evidence.Evidence, name string) *corev1.Node {
	i := slices.IndexFunc(e.API.Nodes, func(n corev1.Node) bool { return n.Name == name })
	return &e.API.Nodes[i]
}

// Request is a request that a machine made.
func Request(e *evidence.Evidence, machine, purpose string) *evidence.Request {
	all := Machine(e, machine).Requests
	i := slices.IndexFunc(all, func(r evidence.Request) bool { return r.Purpose == purpose })
	return &all[i]
}

// SetFlag gives a program a flag, in its process and in its unit.
func SetFlag(p *evidence.Program, name, value string) {
	DropFlag(p, name)
	p.Argv = append(p.Argv, "--"+name+"="+value)
	if p.Unit != nil {
		p.Unit.Exec = append(p.Unit.Exec, "--"+name+"="+value)
	}
}

// DropFlag takes a flag away.
func DropFlag(p *evidence.Program, name string) {
	is := func(arg string) bool { return arg == "--"+name || strings.HasPrefix(arg, "--"+name+"=") }
	p.Argv = slices.DeleteFunc(p.Argv, is)
	if p.Unit != nil {
		p.Unit.Exec = slices.DeleteFunc(p.Unit.Exec, is)
	}
}

// SetFlagEverywhere gives a flag to a program on all machines that run it.
func SetFlagEverywhere(e *evidence.Evidence, program, name, value string) {
	for _, m := range e.Machines {
		if p := m.Program(program); p != nil {
			SetFlag(p, name, value)
		}
	}
}

// DropProgram takes a program off a machine, as if it had never been there.
func DropProgram(e *evidence.Evidence, machine, name string) {
	m := Machine(e, machine)
	m.Programs = slices.DeleteFunc(m.Programs, func(p evidence.Program) bool { return p.Name == name })
}

// Stop is what shows of a program after systemctl stop: its unit.
func Stop(p *evidence.Program) {
	p.Running, p.From, p.Where, p.Unit.Active = false, evidence.FromUnit, p.Unit.Path, "inactive"
}

// DropMachine takes a machine away, as if it had never been named.
func DropMachine(e *evidence.Evidence, name string) {
	e.Machines = slices.DeleteFunc(e.Machines, func(m *evidence.Machine) bool { return m.Name == name })
}

// SetServer points a kubeconfig of a machine at another server.
func SetServer(e *evidence.Evidence, machine, path, server string) {
	m := Machine(e, machine)
	k, ok := m.Kubeconfigs[path]
	found(&ok, "kubeconfig", path)
	k.Server = server
	m.Kubeconfigs[path] = k
}

// SetMode gives a file of a machine other permission bits.
func SetMode(e *evidence.Evidence, machine, path string, mode uint32) {
	m := Machine(e, machine)
	f := m.Files[path]
	f.Path, f.Mode = path, mode
	m.Files[path] = f
}

// Reissue replaces a certificate on a machine, or on all that have it where the
// machine is "". What an API server presents follows its file.
func Reissue(e *evidence.Evidence, machine, path string, change func(*Row)) {
	for _, m := range e.Machines {
		old := m.Certificate(path)
		if old == nil || machine != "" && m.Name != machine {
			continue
		}
		r := RowOf(*old)
		r.Names = slices.Clone(r.Names)
		change(&r)
		c := Issue(r)
		m.Certificates[path] = []evidence.Certificate{c}
		if f, ok := m.Files[path]; ok && strings.HasSuffix(path, ".crt") {
			f.Digest = c.Fingerprint()
			m.Files[path] = f
		}
		present(e, m.Name, old.Fingerprint(), c)
	}
}

// present changes what a machine's API server shows, directly and, if it was the
// one that answered, through the load balancer.
func present(e *evidence.Evidence, machine, old string, c evidence.Certificate) {
	for i := range e.Servers {
		s := &e.Servers[i]
		if len(s.Certificates) > 0 && s.Certificates[0].Fingerprint() == old && (s.Node == machine || s.Node == "" && machine == controlPlane[0].name) {
			s.Certificates = []evidence.Certificate{c}
		}
	}
}

func found[T any](p *T, what, name string) *T {
	if p == nil {
		panic(fmt.Sprintf("evidencetest: no %s %s", what, name))
	}
	return p
}
