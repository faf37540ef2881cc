package kubeadm

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

//go:embed files
var files embed.FS

var templates = template.Must(template.ParseFS(files, "files/*"))

// Files of a machine that haplane has rendered and that stay as they are: what a
// node needs before kubeadm runs, and the whole load balancer.
var taken = []string{"/etc/containerd", "/usr/local/lib/haplane", topology.UnitDir + "/containerd.service",
	"/etc/sysctl.d", "/etc/haproxy", topology.UnitDir + "/haproxy.service"}

const haproxyConfig = "/etc/haproxy/haproxy.cfg"

// The authority is haplane's: the load balancer has it for its checks. kubeadm
// takes the one that it finds on the first node, and makes all other keys itself.
var authority = []string{topology.PKIDir + "/ca.crt", topology.PKIDir + "/ca.key"}

// filesOf are those that the node has before kubeadm runs.
func (s *sequence) filesOf(n topology.Node) (fileset.Set, error) {
	set := fileset.Set{}
	wanted := taken
	if n.Name == s.first().Name {
		wanted = append(authority, taken...)
	}
	for _, path := range wanted {
		if err := s.take(set, n, path); err != nil {
			return nil, err
		}
	}
	if n.Role == spec.RoleLoadBalancer {
		if s.HAProxy != nil {
			set[haproxyConfig] = fileset.File{Path: haproxyConfig, Mode: 0o644, Data: s.HAProxy} // in the place of haplane's
		}
		return set, nil
	}
	config := "join.yaml"
	if n.Name == s.first().Name {
		config = "init.yaml"
	}
	for path, name := range map[string]string{
		"/etc/kubernetes/kubeadm.yaml":        config,
		topology.UnitDir + "/kubelet.service": "kubelet.service",
		"/etc/resolv.conf":                    "resolv.conf",
	} {
		data, err := s.text(name, n)
		if err != nil {
			return nil, err
		}
		set.Add(fileset.File{Path: path, Mode: 0o600, Data: data})
	}
	return set, nil
}

// take adds the rendered files at or below a path.
func (s *sequence) take(set fileset.Set, n topology.Node, path string) error {
	root := filepath.Join(s.Rendered, n.Name)
	err := filepath.WalkDir(filepath.Join(root, path), func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err1 := d.Info()
		data, err2 := os.ReadFile(file)
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		set.Add(fileset.File{Path: strings.TrimPrefix(file, root), Mode: info.Mode().Perm(), Data: data})
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another kind of machine has it
	}
	return err
}

// text fills one of the embedded files in.
func (s *sequence) text(name string, n topology.Node) ([]byte, error) {
	t, v := s.Topology, s.versions
	var w bytes.Buffer
	err := templates.ExecuteTemplate(&w, name, map[string]any{
		"Node": n.Name, "Address": n.Address, "ControlPlane": n.Role == spec.RoleControlPlane,
		"Endpoint": t.LoadBalancer, "Resolver": t.LoadBalancer.Addr(), "DNSDomain": t.DNSDomain,
		"Pods": topology.Join(t.Pods), "Services": topology.Join(t.Services), "CgroupV1": cgroupV1(),
		"Repository": v.repository(), "Kubernetes": v.kubernetes, "Etcd": v.etcd, "CoreDNS": v.coredns, "Flannel": v.flannel,
	})
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	return w.Bytes(), nil
}

func cgroupV1() bool {
	_, err := os.Stat("/sys/fs/cgroup/cgroup.controllers")
	return err != nil
}

func (s *sequence) first() topology.Node { return s.Topology.ControlPlane()[0] }
