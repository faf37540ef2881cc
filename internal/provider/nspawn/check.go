package nspawn

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// What one machine takes of the host, beside what its image takes once. Machines
// differ by what runs on them; this is a mean, so that a whole cluster fits.
const (
	// Bytes. Measured of an idle cluster of three control-plane nodes, a worker
	// node and a load balancer: 598, 582, 565, 245 and 24 MiB by their cgroups.
	memoryPerMachine = 600 << 20
	diskPerMachine   = 1 << 30 // bytes
	// Of fs.inotify.max_user_instances, which all machines share. The same cluster
	// takes 83: a control-plane node 21 (kube-apiserver 7, kubelet 6, systemd 3,
	// kube-controller-manager 2, containerd 2, kube-proxy 1) and 5 more where the
	// controller manager leads, a worker node 12, a machine with systemd alone 3.
	inotifyPerMachine = 16
	overlaySuperMagic = 0x794c7630
)

// A Problem keeps machines from being made on this host.
type Problem struct {
	What string
	Fix  string // what to do, if there is one thing to do
}

// Problems is all that Check found.
type Problems []Problem

func (ps Problems) Error() string {
	var lines []string
	for _, p := range ps {
		line := p.What
		if p.Fix != "" {
			line += " (" + p.Fix + ")"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// Check tells all that keeps this host from running the machines of the given
// names, as Problems. Those that run already are not asked for again. It changes nothing.
func (p *Provider) Check(_ context.Context, names []string) error {
	if err := p.validate(); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		// Nothing else can be looked at without.
		return Problems{{"local machines need root", "run haplane with sudo"}}
	}
	missing, found := p.notRunning(names), Problems(nil)
	for _, check := range []func() Problems{
		func() Problems { return missingPrograms(p.programs()) },
		func() Problems { return p.missingFeatures() },
		func() Problems { return p.conflicts() },
		func() Problems { return scarceMemory(missing) },
		func() Problems { return scarceDisk(p.StateDir, missing) },
		func() Problems { return scarceInotify("/proc", missing) },
	} {
		found = append(found, check()...)
	}
	if len(found) == 0 {
		return nil
	}
	return found
}

func (p *Provider) notRunning(names []string) int {
	n := 0
	for _, name := range names {
		if proc, err := p.readProcess(name); err != nil || !proc.alive() {
			n++
		}
	}
	return n
}

// A program is one that the host must have, and the Debian package that has it.
type program struct{ name, pkg string }

func (p *Provider) programs() []program {
	out := []program{{"systemd-nspawn", "systemd-container"}}
	for _, f := range families {
		if f == ipv4 || p.Network.has(f) {
			out = append(out, program{f.program, "iptables"}, program{f.restore(), "iptables"})
		}
	}
	return out
}

func missingPrograms(programs []program) Problems {
	var out Problems
	for _, p := range programs {
		if _, err := exec.LookPath(p.name); err != nil {
			out = append(out, Problem{"program " + p.name + " is missing", "apt-get install " + p.pkg})
		}
	}
	return out
}

func scarceMemory(machines int) Problems {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return Problems{{What: err.Error()}}
	}
	have, want := parseMemAvailable(string(data)), uint64(machines)*memoryPerMachine
	if have >= want {
		return nil
	}
	return Problems{{fmt.Sprintf("%d machines need about %s of memory, %s is available", machines, gib(want), gib(have)),
		"end other programs or use fewer nodes"}}
}

// parseMemAvailable reads proc_meminfo(5), in bytes.
func parseMemAvailable(meminfo string) uint64 {
	for line := range strings.Lines(meminfo) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemAvailable:" {
			kib, _ := strconv.ParseUint(f[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}

func scarceDisk(dir string, machines int) Problems {
	dir = existing(dir)
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return Problems{{What: fmt.Sprintf("read file system of %s: %v", dir, err)}}
	}
	if int64(fs.Type) == overlaySuperMagic {
		return Problems{{dir + " is on overlayfs, which cannot lie under a machine's own", "put the state folder on a disk or volume"}}
	}
	have, want := fs.Bavail*uint64(fs.Bsize), uint64(machines)*diskPerMachine
	if have >= want {
		return nil
	}
	return Problems{{fmt.Sprintf("%d machines need about %s on the disk of %s, %s is free", machines, gib(want), dir, gib(have)), "free some"}}
}

func gib(bytes uint64) string { return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30)) }
