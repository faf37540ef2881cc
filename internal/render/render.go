// Package render turns a topology and its keys into the files of each machine:
// units, configurations, kubeconfigs, certificates. It is pure: the same input
// gives the same bytes.
package render

import (
	"crypto/sha256"
	"encoding/hex"
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
}

// A Unit is a systemd service that haplane runs on a machine.
type Unit struct {
	Name string // without .service
	// Config is the digest of all that the unit is configured by. A running unit
	// tells the one that it was started with in its environment, see program.ConfigVariable.
	Config string
}

// A Machine is what one machine gets. Units are in the order in which they start.
type Machine struct {
	Files fileset.Set
	Units []Unit
}

// Render returns the machines of a cluster by node name.
func Render(in Input) map[string]Machine {
	out := map[string]Machine{}
	for _, n := range in.Topology.Nodes {
		b := &builder{Input: in, node: n, platform: in.Platforms[n.Name], files: fileset.Set{}}
		switch n.Role {
		case spec.RoleEtcd:
			b.etcd()
		case spec.RoleControlPlane:
			b.controlPlane()
			if in.Topology.KubeletOnCP {
				b.kubernetesNode()
			}
		case spec.RoleWorker:
			b.kubernetesNode()
		case spec.RoleLoadBalancer:
			b.loadBalancer()
		}
		out[n.Name] = Machine{Files: b.files, Units: b.units}
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
}

func (b *builder) controlPlane() {
	if !b.Topology.ExternalEtcd() {
		b.etcd()
	}
	b.apiServer()
	b.controllerManager()
	b.scheduler()
	b.addKubeconfig("admin.conf", pki.Admin, "kubernetes-admin", b.Topology.APIEndpoint())
	// So that kubectl works for who logs in.
	b.addSecret("/root/.kube/config", b.files[path.Join(topology.KubernetesDir, "admin.conf")].Data)
	if b.Topology.OwnsEndpoints() {
		b.agent()
	}
}

func (b *builder) kubernetesNode() {
	b.addCert(path.Join(topology.PKIDir, "ca.crt"), pki.CA)
	b.containerd()
	b.kubelet()
	b.kubeProxy()
	b.flannel()
}

func (b *builder) add(file string, content string) {
	b.files.Add(fileset.File{Path: file, Mode: 0o644, Data: []byte(content)})
}

func (b *builder) addSecret(file string, content []byte) {
	b.files.Add(fileset.File{Path: file, Mode: 0o600, Data: content})
}

// addCert writes a certificate; one that is there already, as for an authority
// that several programs trust, is left.
func (b *builder) addCert(file, name string) {
	if _, ok := b.files[file]; !ok {
		b.add(file, string(b.Keys.Pairs[name].Cert))
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
	unit              []string // further lines of the [Unit] section
	service           []string // further lines of the [Service] section
	reads             []string // files and folders that configure it
}

// addService writes the unit file of a service.
func (b *builder) addService(s service) {
	var w strings.Builder
	fmt.Fprintf(&w, "[Unit]\nDescription=%s\n", s.description)
	after := append([]string{"network-online.target"}, s.after...)
	fmt.Fprintf(&w, "After=%s\nStartLimitIntervalSec=0\n", strings.Join(after, " "))
	writeLines(&w, s.unit)
	fmt.Fprintf(&w, "\n[Service]\nExecStart=%s\nRestart=always\nRestartSec=1\nLimitNOFILE=65536\n", strings.Join(words(s.argv), " \\\n  "))
	writeLines(&w, s.service)
	config := b.digest(w.String(), s.reads)
	fmt.Fprintf(&w, "Environment=%s=%s\n\n[Install]\nWantedBy=multi-user.target\n", program.ConfigVariable, config)
	b.add(path.Join(topology.UnitDir, s.name+".service"), w.String())
	b.units = append(b.units, Unit{Name: s.name, Config: config})
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

// digest sums up the text of a unit and the files below reads.
func (b *builder) digest(text string, reads []string) string {
	h := sha256.New()
	fmt.Fprintln(h, text)
	files := b.files.Under(reads...)
	for _, p := range files.Paths() {
		fmt.Fprintln(h, p, files[p].Mode, files[p].OwnerName(), files[p].Sum())
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// flags turns "name", "value" into arguments --name=value in the given order,
// with what the cluster file has for the program in place of them or behind.
func (b *builder) flags(program string, pairs ...[2]string) []string {
	argv, extra := []string{path.Join(topology.BinDir, program)}, b.Topology.ExtraArgs[program]
	for _, p := range pairs {
		if _, replaced := extra[p[0]]; !replaced {
			argv = append(argv, "--"+p[0]+"="+p[1])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		argv = append(argv, "--"+name+"="+extra[name])
	}
	return argv
}
