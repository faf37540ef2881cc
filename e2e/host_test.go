//go:build e2e

package e2e

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/e2e/rig"
)

// host is everything of the host that a cluster may leave traces in, by kind.
type host map[string][]string

// lookAtHost reads the host's state as it is now.
func lookAtHost(r *rig.Rig) host {
	h := host{
		"link":       fields(1, "ip", "-brief", "link"),
		"address":    fields(-1, "ip", "-brief", "address"),
		"route":      fields(-1, "ip", "route", "show", "table", "all"),
		"ipv6 route": fields(-1, "ip", "-6", "route", "show", "table", "all"),
		"rule":       fields(-1, "ip", "rule"),
		"iptables":   firewall("iptables-save"),
		"ip6tables":  firewall("ip6tables-save"),
		"nft":        fields(-1, "nft", "list", "ruleset"),
		"cgroup":     find("/sys/fs/cgroup", ofCluster.MatchString),
		"netns":      find("/run/netns", everything),
		"nspawn":     find("/run/systemd/nspawn", everything),
		"file":       slices.Concat(find(r.Home(), everything), find(r.Temp(), everything), find("/run", marked), find("/etc", marked)),
		"mount":      mounts(),
		"process":    processes(r),
	}
	for _, lines := range h {
		slices.Sort(lines)
	}
	return h
}

// ofCluster are cgroups of machines, and those that a kubelet would make outside of
// its own. The host's other ones come and go.
var ofCluster = regexp.MustCompile(`haplane|kubelet|kubepods`)

// left tells of every difference to the state before, but for what went by itself.
func (h host) left(t *testing.T, now host) {
	t.Helper()
	for _, kind := range slices.Sorted(maps.Keys(h)) {
		before := h[kind]
		if kind == "process" { // others' may end meanwhile
			before = slices.DeleteFunc(slices.Clone(before), func(p string) bool { return !slices.Contains(now[kind], p) })
		}
		if d := cmp.Diff(before, now[kind]); d != "" {
			t.Errorf("%s: the host is not as it was (-before +now):\n%s", kind, d)
		}
	}
}

// fields runs a command and returns its lines, or the first fields of them.
func fields(first int, argv ...string) []string {
	out, _ := exec.Command(argv[0], argv[1:]...).Output()
	var lines []string
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if first > 0 && len(f) > first {
			f = f[:first]
		}
		lines = append(lines, strings.Join(f, " "))
	}
	return lines
}

var counters = regexp.MustCompile(`\[\d+:\d+\]`)

// firewall has the tables that are more than what the kernel makes of one as soon
// as somebody looks at it: chains of its own that accept everything.
func firewall(program string) []string {
	var all, table []string
	for _, l := range fields(-1, program) {
		l = counters.ReplaceAllString(l, "")
		switch {
		case strings.HasPrefix(l, "#"):
		case strings.HasPrefix(l, "*"):
			table = []string{l}
		case l == "COMMIT":
			if len(table) > 1 {
				all = append(all, table...)
			}
		case !strings.HasPrefix(l, ":") || !strings.HasSuffix(strings.TrimSpace(l), " ACCEPT"):
			table = append(table, l)
		}
	}
	return all
}

func everything(string) bool { return true }

func marked(path string) bool {
	return strings.Contains(path, "haplane") || strings.Contains(path, "e2e-")
}

func find(dir string, which func(path string) bool) []string {
	var out []string
	_ = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && path != dir && which(path) {
			out = append(out, path)
		}
		return nil
	})
	return out
}

func mounts() []string {
	data, _ := os.ReadFile("/proc/self/mountinfo")
	var out []string
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 4 {
			_, source, _ := strings.Cut(line, " - ")
			out = append(out, f[4]+" "+strings.TrimSpace(source))
		}
	}
	return out
}

// processes are those that do not see the host's processes, as in a machine, and
// those that haplane started in this rig.
func processes(r *rig.Rig) []string {
	own, _ := os.Readlink("/proc/self/ns/pid")
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var out []string
	for _, dir := range dirs {
		ns, err := os.Readlink(filepath.Join(dir, "ns/pid"))
		environ, _ := os.ReadFile(filepath.Join(dir, "environ"))
		stat, _ := os.ReadFile(filepath.Join(dir, "stat"))
		if strings.Contains(string(stat), ") Z ") {
			continue // it has ended; the host's init has not asked for its status yet
		}
		if err == nil && (ns != own || strings.Contains(string(environ), "HAPLANE_HOME="+r.Home())) {
			argv, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
			out = append(out, fmt.Sprintf("%s %s", filepath.Base(dir), strings.ReplaceAll(string(argv), "\x00", " ")))
		}
	}
	return out
}
