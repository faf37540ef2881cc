// Package distributiontest lays out clusters as well-known projects make them: names,
// paths, modes and flags of files, and the processes that run, each from the project's
// own source. All are healthy; tests break them in one place. Certificates are issued
// when a cluster is made; no private key is real.
package distributiontest

import (
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
)

// Planted stands where private keys and passwords are. Nothing may show it.
const Planted = "UExBTlRFRC1TRUNSRVQ"

// A Cluster is the machines of one.
type Cluster struct {
	Name    string // of the distribution and its shape
	Service string // first address of the service network
	Nodes   []*Node
}

// A Node is one machine.
type Node struct {
	Name, Address string
	Also          []string // further addresses, such as a virtual one that is here now
	Interface     string   // that has them
	Files         map[string]File
	Units         []Unit
	Processes     []Process
	Listening     []string // host:port; the host is "" where it is on all
	Member        *Member  // of etcd, nil where none runs
}

// A File is text, or a link.
type File struct {
	Mode os.FileMode
	Text string
	Link string
}

// A Unit of systemd is enabled and active.
type Unit struct {
	Name, Path string
	DropIns    []string
}

// A Process runs in a control group: a unit's, kubepods for a pod's, or docker. One in a
// container sees the machine's files where they are mounted, and those of the image, by path.
type Process struct {
	Argv  []string
	Group string
	Image map[string]string
}

// A Member is what a member of etcd tells of itself.
type Member struct{ Name, ClientURL, PeerURL string }

// Groups of processes that are in no unit.
const (
	InPod    = "/kubepods/burstable/pod-of-it"
	InDocker = "/docker/of-it"
)

// All are the distributions, each made anew.
func All() []*Cluster {
	var out []*Cluster
	for _, lay := range []func() *Cluster{Kubeadm, KubeadmStaticPods, KubeadmExternalEtcd, KubeVip, HardWay18, HardWay118, HardWayToday,
		Wardroom, Kubespray, KubesprayHAProxy, Kops, K0s, RKE, OpenShift, RHEL} {
		out = append(out, lay())
	}
	return out
}

// Node returns the machine of a name; a test that asks for another is wrong.
func (c *Cluster) Node(name string) *Node {
	i := slices.IndexFunc(c.Nodes, func(n *Node) bool { return n.Name == name })
	if i < 0 {
		panic("no machine " + name)
	}
	return c.Nodes[i]
}

func cluster(name, service string, nodes ...*Node) *Cluster {
	return &Cluster{Name: name, Service: service, Nodes: nodes}
}

// machines are named PREFIX-1 and so on, and have addresses from 10.0.0.FIRST on.
func machines(prefix string, count, first int) []*Node {
	var out []*Node
	for i := range count {
		out = append(out, node(fmt.Sprintf("%s-%d", prefix, i+1), fmt.Sprintf("10.0.0.%d", first+i)))
	}
	return out
}

func node(name, address string) *Node {
	n := &Node{Name: name, Address: address, Interface: "eth0", Files: map[string]File{}}
	n.file("/etc/hostname", 0o644, name+"\n")
	return n
}

func (n *Node) file(name string, mode os.FileMode, text string) {
	n.Files[name] = File{Mode: mode, Text: text}
}

func (n *Node) link(name, target string) { n.Files[name] = File{Link: target} }

// Drop removes files, whatever is below a folder as well.
func (n *Node) Drop(name string) {
	before := len(n.Files)
	maps.DeleteFunc(n.Files, func(file string, _ File) bool { return file == name || strings.HasPrefix(file, name+"/") })
	if len(n.Files) == before {
		panic(n.Name + " has no " + name)
	}
}

// Change replaces text in files that match a pattern, and in command lines, which a
// restart would have; one that is nowhere is a mistake of the test.
func (n *Node) Change(pattern, before, after string) {
	found := false
	for name, f := range n.Files {
		if ok, err := path.Match(pattern, name); err == nil && ok && strings.Contains(f.Text, before) {
			f.Text = strings.ReplaceAll(f.Text, before, after)
			n.Files[name], found = f, true
		}
	}
	if !found {
		panic(fmt.Sprintf("%s: no %q in %s", n.Name, before, pattern))
	}
	for i := range n.Processes {
		for j, arg := range n.Processes[i].Argv {
			n.Processes[i].Argv[j] = strings.ReplaceAll(arg, before, after)
		}
	}
}

// addresses are those of machines, and names their names.
func addresses(nodes []*Node) []string { return each(nodes, func(n *Node) string { return n.Address }) }
func names(nodes []*Node) []string     { return each(nodes, func(n *Node) string { return n.Name }) }

func each(nodes []*Node, tell func(*Node) string) []string {
	var out []string
	for _, n := range nodes {
		out = append(out, tell(n))
	}
	return out
}

// urls are SCHEME://ADDRESS:PORT of machines.
func urls(nodes []*Node, scheme string, port int) string {
	return strings.Join(each(nodes, func(n *Node) string { return fmt.Sprintf("%s://%s:%d", scheme, n.Address, port) }), ",")
}

// At is when clusters are looked at.
var At = evidencetest.At
