//go:build e2e

package nspawn

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// traces is all of the cluster that can be seen on the host. Others may be at
// work on it: what is not ours is not looked at.
func (r *rig) traces() []string {
	all := []string{r.bridge(), r.chain(), r.prefix(), r.StateDir, mark + "/" + r.Cluster}
	for _, m := range r.machines {
		all = append(all, r.veth(m.Name))
	}
	for _, p := range r.Network.Prefixes {
		all = append(all, strings.TrimSuffix(p.Addr().String(), "0"))
	}
	var out []string
	for what, text := range map[string]string{
		"link": output("ip", "-o", "link"), "netns": output("ls", "-1", netnsDir),
		"IPv4 route": output("ip", "-4", "route", "show", "table", "all"), "IPv6 route": output("ip", "-6", "route", "show", "table", "all"),
		"IPv4 rule": output("iptables-save"), "IPv6 rule": output("ip6tables-save"),
		"process": output("ps", "-eo", "args"), "cgroup": output("find", cgroupDir, "-type", "d"),
		"mount": output("cat", "/proc/self/mountinfo"), "nspawn": output("ls", "-1", "/run/systemd/nspawn/propagate"),
	} {
		for line := range strings.Lines(text) {
			if slices.ContainsFunc(all, func(ours string) bool { return strings.Contains(line, ours) }) {
				out = append(out, what+": "+strings.TrimSpace(line))
			}
		}
	}
	slices.Sort(out)
	return out
}

// controller is where the machine's memory cgroup lies below /sys/fs/cgroup.
func controller() string {
	if _, err := os.Stat(filepath.Join(cgroupDir, "cgroup.controllers")); err == nil {
		return ""
	}
	return "memory"
}

func output(argv ...string) string {
	out, _ := exec.Command(argv[0], argv[1:]...).Output()
	return string(out)
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("wait for %s: gave up", what)
		}
	}
}
