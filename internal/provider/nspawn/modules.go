package nspawn

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// A module is a part of the kernel that programs in a machine use and cannot load from there. It may
// be built in.
type module struct {
	name    string
	without string                 // what a kernel without it lacks
	there   func(proc string) bool // whether the kernel has it by now; nil: links are tried, see trialLinks
}

var modules = []module{
	{"overlay", "overlayfs", func(proc string) bool {
		data, _ := os.ReadFile(filepath.Join(proc, "filesystems"))
		return strings.Contains(string(data), "\toverlay\n")
	}},
	{"br_netfilter", "filter for bridged packets, which kube-proxy needs", showsAs("sys/net/bridge/bridge-nf-call-iptables")},
	{"nf_conntrack", "connection tracking", showsAs("sys/net/netfilter/nf_conntrack_max")},
	{name: "bridge"},
	{name: "veth"},
	{name: "vxlan"},
}

func showsAs(file string) func(proc string) bool {
	return func(proc string) bool { return exists(filepath.Join(proc, file)) }
}

// loadModules loads all of them. What is built in is there, and missingModules has told of what cannot be loaded.
func loadModules(ctx context.Context) {
	args := []string{"--quiet", "--all"}
	for _, m := range modules {
		args = append(args, m.name)
	}
	_ = exec.CommandContext(ctx, modprobe(), args...).Run()
}

// missingModules are those that the kernel neither has nor could load. A host that has not
// loaded one yet lacks nothing: it is loaded when the first machine is made, not by looking.
func missingModules(proc string, loadable func(name string) bool) Problems {
	var out Problems
	for _, m := range modules {
		if m.there != nil && !m.there(proc) && !loadable(m.name) {
			out = append(out, Problem{"the kernel has no " + m.without + ", and module " + m.name + " cannot be loaded", fixModule(modulesDir())})
		}
	}
	return out
}

// modprobe is where the kernel itself looks for it when sudo has left /sbin off the PATH.
func modprobe() string {
	const itself = "/sbin/modprobe"
	if _, err := exec.LookPath("modprobe"); err != nil && exists(itself) {
		return itself
	}
	return "modprobe"
}

// loadable reports whether modprobe would find the module and all that it needs.
func loadable(name string) bool {
	return exec.Command(modprobe(), "--dry-run", "--quiet", name).Run() == nil
}

// modulesDir has the modules of the kernel that runs.
func modulesDir() string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "/lib/modules"
	}
	return filepath.Join("/lib/modules", unix.ByteSliceToString(name.Release[:]))
}

// fixModule says why the kernel may lack a module.
func fixModule(dir string) string {
	if _, err := exec.LookPath(modprobe()); err != nil {
		return "apt-get install kmod"
	}
	if !exists(dir) {
		return dir + " is not there: reboot, where a newer kernel was installed meanwhile, or install the modules of this one"
	}
	return "boot a kernel that has it, such as Debian's linux-image-amd64"
}
