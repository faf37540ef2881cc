package component

import (
	"fmt"
	"slices"
	"strings"
)

// A row says how a component is built. Versions are not in it: they are in the
// module's go.mod.
type row struct {
	name     string // also the folder in Options.Source of the module, or of its newest minor version
	module   string // the upstream module whose pinned version is the component's; "": the VERSION file
	cgo      bool
	tags     []string
	ldflags  []string // beside -s -w; {version}, {major} and {minor} are filled in
	needs    []tool
	programs []program
	ours     bool     // a folder of upstream's programs need not have it: it is built then
	older    []string // folders of modules of older minor versions, each built where that is asked for
}

type program struct {
	name  string
	pkg   string
	links []string
	ask   [][]string // arguments that make it tell its version, one list a call
}

var askVersion = [][]string{{"--version"}}

// table returns the components in the order in which they are built: quick
// ones first, because then a fault shows early.
func table() []row {
	const (
		etcd       = "go.etcd.io/etcd/"
		containerd = "github.com/containerd/containerd/v2"
		runc       = "github.com/opencontainers/runc"
		cni        = "github.com/containernetworking/plugins"
		flannel    = "github.com/flannel-io/flannel"
	)
	return []row{
		{name: "workload", ours: true, ldflags: []string{"-X main.version={version}"}, programs: []program{
			{name: "pause", pkg: "./pause", ask: askVersion},
			{name: "web", pkg: "./web", ask: askVersion},
		}},
		{name: "cni", module: cni, ldflags: []string{"-X " + cni + "/pkg/utils/buildversion.BuildVersion={version}"}, programs: []program{
			{name: "bridge", pkg: cni + "/plugins/main/bridge", ask: askVersion},
			{name: "host-local", pkg: cni + "/plugins/ipam/host-local", ask: askVersion},
			{name: "loopback", pkg: cni + "/plugins/main/loopback", ask: askVersion},
			{name: "portmap", pkg: cni + "/plugins/meta/portmap", ask: askVersion},
		}},
		// Static, because the machines' C library need not be the build host's.
		{name: "runc", module: runc, cgo: true, tags: []string{"seccomp", "netgo", "osusergo"},
			ldflags: []string{"-extldflags -static"}, needs: []tool{gcc, libc, pkgConfig, libseccomp},
			programs: []program{{name: "runc", pkg: runc, ask: askVersion}}},
		{name: "etcd", module: etcd + "server/v3", programs: []program{
			{name: "etcd", pkg: etcd + "server/v3", ask: askVersion},
			{name: "etcdctl", pkg: etcd + "etcdctl/v3", ask: [][]string{{"version"}}},
			{name: "etcdutl", pkg: etcd + "etcdutl/v3", ask: [][]string{{"version"}}},
		}},
		{name: "flannel", ours: true, module: flannel, ldflags: []string{"-X " + flannel + "/pkg/version.Version={version}"},
			programs: []program{{name: "flanneld", pkg: ".", ask: askVersion}}},
		{name: "containerd", module: containerd, tags: []string{"no_btrfs", "no_devmapper", "no_tracing", "no_zfs"},
			ldflags: []string{"-X " + containerd + "/version.Version={version}"}, programs: []program{
				{name: "containerd", pkg: containerd + "/cmd/containerd", ask: askVersion},
				{name: "containerd-shim-runc-v2", pkg: containerd + "/cmd/containerd-shim-runc-v2", ask: [][]string{{"-v"}}},
				{name: "ctr", pkg: containerd + "/cmd/ctr", ask: askVersion},
			}},
		{name: "coredns", ours: true, module: "github.com/coredns/coredns", programs: []program{
			{name: "coredns", pkg: ".", ask: [][]string{{"-version"}}},
		}},
		kubeRow(),
	}
}

func kubeRow() row {
	r := row{name: kubeName, module: "k8s.io/kubernetes", older: []string{"kube-1.36"}, programs: []program{{
		name: "kube", pkg: ".",
		links: []string{"kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubeadm", "kubectl", "kubelet"},
		ask:   [][]string{{"kube-apiserver", "--version"}, {"kubectl", "version", "--client"}, {"kubeadm", "version", "--output=short"}},
	}}}
	for _, pkg := range []string{"k8s.io/client-go/pkg/version", "k8s.io/component-base/version"} {
		r.ldflags = append(r.ldflags,
			"-X "+pkg+".gitVersion={version}", "-X "+pkg+".gitMajor={major}", "-X "+pkg+".gitMinor={minor}")
	}
	return r
}

// selectRows returns the rows of the given names in the table's order; all if names is empty.
func selectRows(rows []row, names []string) ([]row, error) {
	if len(names) == 0 {
		return rows, nil
	}
	var known []string
	var selected []row
	for _, r := range rows {
		known = append(known, r.name)
		if slices.Contains(names, r.name) {
			selected = append(selected, r)
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("no component is named %q; there are %s", name, strings.Join(known, ", "))
		}
	}
	return selected, nil
}
