// Package render turns a topology and its keys into the files of each machine:
// units, configurations, kubeconfigs, certificates. It is pure: the same input
// gives the same bytes.
package render

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/program"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A Platform is what has to be known of a machine to configure it.
type Platform struct {
	// CgroupV1 is set where /sys/fs/cgroup is not the unified hierarchy.
	CgroupV1 bool
	// Container is set for a local machine: it shares the kernel, and so the
	// limits and the disk, with the host and the other machines.
	Container bool
}

// Images names the container images that every machine has.
type Images struct{ Pause, CoreDNS string }

// Input is everything that the files depend on.
type Input struct {
	Topology  *topology.Topology
	Keys      pki.Bundle
	Images    Images
	Platforms map[string]Platform // by node name
	// Join is how members of etcd begin, by node name. Those that are not in it begin a new
	// cluster of all members together.
	Join map[string]Join
	// Beside are the nodes whose kubelet and kube-proxy ask the API server of their own node: while an
	// upgrade is under way, others may be older than they are.
	Beside map[string]bool
	// Programs are the digests of programs that can change under their path, by path.
	Programs map[string]string
	// Snapshots are those that machines with an etcd member take by themselves, where the topology has a schedule.
	Snapshots Snapshots
}

// A Join is how an etcd member that has no data yet comes to its cluster.
type Join struct {
	InitialCluster string // NAME=URL of every member, itself included
	Existing       bool   // a cluster that is there, of which it is a member or learner already
}

// A Unit is a systemd service that haplane runs on a machine.
type Unit struct {
	Name string // without .service
	// Config is the digest of all for which the unit takes a restart. A running one tells
	// the digest that it was started with in its environment, see program.ConfigVariable.
	Config string
	// Load is the digest of the files for which it takes a reload; "" where there are none.
	// A running one tells what it has loaded in a file, see program.LoadedDir.
	Load string
	// OnChange is what takes the change of a file, Files those that it reads, and Self the ones
	// among them that it reads again by itself when they change.
	OnChange    program.OnChange
	Files, Self []string
}

// A Machine is what one machine gets. Units are in the order in which they start.
type Machine struct {
	Files fileset.Set
	Units []Unit
	// Certificates names the row of each file with a certificate; of a kubeconfig, that of its user.
	Certificates map[string]string
}

// ManifestPath is where a machine keeps the list of the files that haplane put there.
// haplane's own program is none of them: its image has it too.
const ManifestPath = "/var/lib/haplane/files"

// Render returns the machines of a cluster by node name.
func Render(in Input) map[string]Machine {
	out := map[string]Machine{}
	for _, n := range in.Topology.Nodes {
		b := &builder{Input: in, node: n, platform: in.Platforms[n.Name], files: fileset.Set{}, certificates: map[string]string{}}
		switch n.Role {
		case spec.RoleEtcd:
			b.etcd()
		case spec.RoleControlPlane:
			b.controlPlane()
			if in.Topology.Balances(n) {
				b.loadBalancer()
			}
			if in.Topology.KubeletOnCP {
				b.kubernetesNode()
			} else {
				b.fence() // API servers call webhooks and aggregated APIs by their Services
			}
		case spec.RoleWorker:
			if in.Topology.BalancesLocally(n) {
				b.loadBalancer()
			}
			b.kubernetesNode()
		case spec.RoleLoadBalancer:
			b.loadBalancer()
		}
		b.addUsers()
		b.files.AddManifest(ManifestPath)
		out[n.Name] = Machine{Files: b.files, Units: b.units, Certificates: b.certificates}
	}
	return out
}

// A builder collects the files of one machine.
type builder struct {
	Input
	node     topology.Node
	platform Platform
	files    fileset.Set
	units    []Unit
	users    []string // that its programs run as, beside root

	certificates map[string]string // rows by file
}

func (b *builder) controlPlane() {
	if !b.Topology.ExternalEtcd() {
		b.etcd()
	}
	b.apiServer()
	b.controllerManager()
	b.scheduler()
	b.addKubeconfig("admin.conf", pki.Admin, "kubernetes-admin", apiServer{URL: b.Topology.APIEndpoint()})
	// So that kubectl works for who logs in.
	b.addSecret("/root/.kube/config", b.files[path.Join(topology.KubernetesDir, "admin.conf")].Data)
	b.certificates["/root/.kube/config"] = pki.Admin
	b.agent()
	b.voter()
}

func (b *builder) kubernetesNode() {
	b.addCert(path.Join(topology.PKIDir, "ca.crt"), pki.CA)
	b.fence()
	b.containerd()
	b.kubelet()
	b.kubeProxy()
	b.flannel()
}

func (b *builder) add(file string, content string) {
	b.files.Add(fileset.File{Path: file, Mode: 0o644, Data: []byte(content)})
}

// addClosed writes a file without a secret that root alone reads.
func (b *builder) addClosed(file, content string) {
	b.files.Add(fileset.File{Path: file, Mode: 0o600, Open: true, Data: []byte(content)})
}

func (b *builder) addSecret(file string, content []byte) {
	b.files.Add(fileset.File{Path: file, Mode: 0o600, Data: content})
}

// addCert writes a certificate, with what belongs into its file beside it; one that is there already, as
// for an authority that several programs trust, is left.
func (b *builder) addCert(file, name string) {
	b.certificates[file] = name
	if _, ok := b.files[file]; !ok {
		b.add(file, string(b.Keys.FileOf(name)))
	}
}

// addPair writes a certificate and its key to base.crt and base.key.
func (b *builder) addPair(base, name string) {
	b.addCert(base+".crt", name)
	b.addSecret(base+".key", b.Keys.Pairs[name].Key)
}

func pkiPath(name string) string { return path.Join(topology.PKIDir, name) }

// A service is the text of a unit in parts.
type service struct {
	name, description string
	argv              []string
	after             []string
	unit              []string         // further lines of the [Unit] section
	service           []string         // further lines of the [Service] section
	confine           []string         // and those that keep files and rights from it, of root's programs
	user              string           // that it runs as; root where it is empty
	closed            bool             // root alone reads the unit file
	onChange          program.OnChange // Restart where it is empty
	self              []string         // see program.Program.Self
	reload            string           // the signal for it, where onChange is Reload
}

// addService writes the unit file of a service. The files that it reads have to be there.
func (b *builder) addService(s service) {
	if s.user != "" {
		s.confine = b.asUser(s)
	}
	var w strings.Builder
	fmt.Fprintf(&w, "[Unit]\nDescription=%s\n", s.description)
	after := append([]string{"network-online.target"}, s.after...)
	fmt.Fprintf(&w, "After=%s\nStartLimitIntervalSec=0\n", strings.Join(after, " "))
	writeLines(&w, s.unit)
	fmt.Fprintf(&w, "\n[Service]\nExecStart=%s\nRestart=always\nRestartSec=1\nLimitNOFILE=65536\n", strings.Join(words(s.argv), " \\\n  "))
	writeLines(&w, s.service)
	state := program.Program{Text: w.String(), OnChange: s.onChange, Self: s.self, Confine: strings.Join(s.confine, "\n"),
		Binary: b.Programs[s.argv[0]]}.State(b.files)
	writeLines(&w, s.confine)
	if len(state.Reloading) > 0 {
		writeLines(&w, reloadLines(s.name, s.reload, state.Reloading))
	}
	fmt.Fprintf(&w, "Environment=%s=%s\n\n[Install]\nWantedBy=multi-user.target\n", program.ConfigVariable, state.Config)
	add := b.add
	if s.closed {
		add = b.addClosed
	}
	add(path.Join(topology.UnitDir, s.name+".service"), w.String())
	b.units = append(b.units, Unit{Name: s.name, Config: state.Config, Load: state.Load, OnChange: cmp.Or(s.onChange, program.Restart),
		Files: slices.Sorted(slices.Values(slices.Concat(state.Restarting, state.Reloading, state.Self))), Self: state.Self})
}

// reloadLines note what is loaded whenever it is, see program.NoteLoaded; the last one
// reloads.
func reloadLines(name, signal string, files []string) []string {
	note := "/bin/sh -c '" + program.NoteLoaded(program.LoadedDir, name, files) + "'"
	return []string{"ExecStartPre=" + note, "ExecReload=" + note, "ExecReload=/bin/kill -" + signal + " $MAINPID"}
}

// words writes arguments as systemd.service(5) reads them.
func words(argv []string) []string {
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$")
	out := make([]string, len(argv))
	for i, a := range argv {
		if out[i] = escape.Replace(a); strings.ContainsAny(a, " \t\"'\\;") {
			out[i] = `"` + out[i] + `"`
		}
	}
	return out
}

func writeLines(w *strings.Builder, lines []string) {
	for _, l := range lines {
		w.WriteString(l + "\n")
	}
}

// flags turns "name", "value" into arguments --name=value in the given order,
// with what the cluster file has for the program in place of them or behind.
func (b *builder) flags(program string, pairs ...[2]string) []string {
	return b.flagsWithout(nil, program, pairs...)
}

// flagsWithout leaves out flags of the cluster file that have their place elsewhere.
func (b *builder) flagsWithout(elsewhere []string, program string, pairs ...[2]string) []string {
	argv, extra := []string{path.Join(topology.BinDir, program)}, b.Topology.ExtraArgs[program]
	for _, p := range pairs {
		if _, replaced := extra[p[0]]; !replaced {
			argv = append(argv, "--"+p[0]+"="+p[1])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		if !slices.Contains(elsewhere, name) {
			argv = append(argv, "--"+name+"="+extra[name])
		}
	}
	return argv
}
