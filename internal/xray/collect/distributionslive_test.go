package collect

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/haplane/haplane/internal/xray/collect/distributiontest"
	"github.com/haplane/haplane/internal/xray/evidence"
)

// laid writes the files of a machine.
func (f tree) laid(n *distributiontest.Node) {
	f.t.Helper()
	for name, file := range n.Files {
		if file.Link == "" {
			f.write(name, file.Mode, file.Text)
			continue
		}
		at := filepath.Join(f.dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			f.t.Fatal(err)
		}
		if err := os.Symlink(file.Link, at); err != nil {
			f.t.Fatal(err)
		}
	}
}

// copied is a cluster as a folder of copies shows it.
func copiedFrom(t *testing.T, c *distributiontest.Cluster) *evidence.Evidence {
	t.Helper()
	f := newTree(t)
	for _, n := range c.Nodes {
		f.within(n.Name).laid(n)
	}
	found, missing := Folder(f.dir)
	return &evidence.Evidence{At: distributiontest.At, Ways: []evidence.Way{evidence.Folder}, Machines: found, Missing: missing}
}

// visitedAll is a cluster as the script sees it that runs on machines.
func visitedAll(t *testing.T, c *distributiontest.Cluster) *evidence.Evidence {
	t.Helper()
	out := &evidence.Evidence{At: distributiontest.At, Ways: []evidence.Way{evidence.Machines}}
	for _, n := range c.Nodes {
		f := newTree(t)
		f.laid(n)
		f.absolute(n)
		s := &shell{name: n.Name, bin: f.alive(c, n)}
		network := newServiceNetwork(2)
		network.tell(netip.MustParseAddr(c.Service))
		v := &visit{machine: s, root: f.dir, proc: filepath.Join(f.dir, "proc"), files: newRemote(), network: network}
		m, missing := v.look(t.Context(), 20*time.Second)
		out.Machines, out.Missing = append(out.Machines, m), append(out.Missing, missing...)
		if strings.Contains(s.printed.String(), distributiontest.Planted) {
			t.Errorf("%s: a secret left the machine", n.Name)
		}
	}
	return out
}

// absolute has links lead to where their targets lie in the tree.
func (f tree) absolute(n *distributiontest.Node) {
	for name, file := range n.Files {
		if !filepath.IsAbs(file.Link) {
			continue
		}
		at := filepath.Join(f.dir, name)
		if err := os.Remove(at); err != nil {
			f.t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(f.dir, file.Link), at); err != nil {
			f.t.Fatal(err)
		}
	}
}

// haproxyState is what HAProxy's socket says of the servers of its backend.
func haproxyState(config string) string {
	out := "# pxname,svname,status,check_status,addr,\n"
	if backend := haproxyBackend.FindStringSubmatch(config); backend != nil {
		for _, found := range haproxyServers.FindAllStringSubmatch(config, -1) {
			out += fmt.Sprintf("%s,%s,UP,L7OK,%s,\n", backend[1], found[1], found[2])
		}
	}
	return out
}

var (
	haproxyBackend = regexp.MustCompile(`(?m)^backend (\S+)`)
	haproxyServers = regexp.MustCompile(`(?m)^\s*server (\S+) (\S+:6443)`)
)

// alive writes what /proc has, and what programs on the machine answer.
func (f tree) alive(c *distributiontest.Cluster, n *distributiontest.Node) (bin string) {
	m := &evidence.Machine{Name: n.Name, Hostname: n.Name, Etcd: memberOf(c, n)}
	pids := map[string]int{}
	for i, p := range n.Processes {
		pid := 301 + i
		dir := fmt.Sprintf("proc/%d/", pid)
		unit, _ := strings.CutPrefix(p.Group, "/system.slice/")
		if pids[unit] == 0 {
			pids[unit] = pid
		}
		base := filepath.Base(strings.Fields(strings.TrimPrefix(p.Argv[0], "nginx: "))[0])
		if strings.HasPrefix(p.Argv[0], "nginx: ") {
			base = "nginx"
		}
		f.write(dir+"comm", 0o644, base[:min(15, len(base))]+"\n")
		f.write(dir+"cmdline", 0o644, strings.Join(p.Argv, "\x00")+"\x00")
		f.write(dir+"cgroup", 0o644, "0::"+p.Group+"\n")
		f.root(dir+"root", p.Image)
	}
	var states string
	for _, u := range n.Units {
		states += fmt.Sprintf("Id=%s\nActiveState=active\nUnitFileState=enabled\nFragmentPath=%s\nDropInPaths=%s\nMainPID=%d\nTimeoutStopUSec=1min 30s\n\n",
			u.Name, u.Path, strings.Join(u.DropIns, " "), pids[u.Name])
	}
	f.write("answers/systemctl", 0o644, states)
	f.write("answers/ip", 0o644, ipText(n))
	f.write("proc/sys/kernel/hostname", 0o644, n.Name+"\n")
	for _, text := range n.Listening {
		if text[0] == ':' {
			text = "[::]" + text
		}
		m.Listening = append(m.Listening, netip.MustParseAddrPort(text))
	}
	f.write("proc/net/tcp", 0o644, socketsText(m))
	f.answers(m)
	f.write("answers/socat", 0o644, haproxyState(n.Files[haproxyConfig].Text))
	for _, name := range []string{"systemctl", "ip"} {
		f.write("bin/"+name, 0o755, "#!/bin/sh\ncat "+f.dir+"/answers/"+name+"\n")
	}
	return filepath.Join(f.dir, "bin")
}

// root is what a process sees as /: the machine's files, those of its image in their place.
func (f tree) root(name string, image map[string]string) {
	if image != nil {
		for file, text := range image {
			f.write(name+file, 0o644, text)
		}
	} else if err := os.Symlink(f.dir, filepath.Join(f.dir, name)); err != nil {
		f.t.Fatal(err)
	}
}

func ipText(n *distributiontest.Node) string {
	var out string
	for _, a := range append([]string{n.Address}, n.Also...) {
		out += fmt.Sprintf("2: %s    inet %s/24 scope global %[1]s\n", n.Interface, a)
	}
	return out
}

// memberOf is what the member of etcd of a machine tells, nil where it has none.
func memberOf(c *distributiontest.Cluster, n *distributiontest.Node) *evidence.Etcd {
	if n.Member == nil {
		return nil
	}
	out := &evidence.Etcd{ClusterID: "ef37ad9dc622a7c4", Version: "3.6.8", DBSize: 24 << 20, DBInUse: 9 << 20, Quota: 2 << 30,
		FsyncP99: 8 * time.Millisecond, CommitP99: 16 * time.Millisecond}
	for i, of := range c.Nodes {
		if of.Member == nil {
			continue
		}
		id := fmt.Sprintf("8211f1d0f64f32%02x", i)
		out.Members = append(out.Members, evidence.EtcdMember{ID: id, Name: of.Member.Name, PeerURLs: []string{of.Member.PeerURL}, ClientURLs: []string{of.Member.ClientURL}})
		if out.Leader == "" {
			out.Leader = id
		}
		if of == n {
			out.ID = id
		}
	}
	return out
}
