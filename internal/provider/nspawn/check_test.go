package nspawn

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/vishvananda/netlink"
)

func TestParseMemAvailable(t *testing.T) {
	if got := parseMemAvailable("MemTotal: 9 kB\nMemAvailable:   2048 kB\n"); got != 2<<20 {
		t.Errorf("got %d bytes", got)
	}
}

func TestOverlaps(t *testing.T) {
	dst := func(s string) netlink.Route { return netlink.Route{Dst: ipNet(netip.MustParsePrefix(s))} }
	for name, c := range map[string]struct {
		ours   string
		routes map[string]bool
	}{
		"IPv4": {"10.73.11.0/24", map[string]bool{"0.0.0.0/0": false, "10.0.0.0/8": true, "10.73.11.9/32": true, "10.73.12.0/24": false}},
		"IPv6": {"fd00:1::/64", map[string]bool{"::/0": false, "fd00::/16": true, "fd00:1::9/128": true, "fd00:2::/64": false, "ff00::/8": false}},
	} {
		prefix := netip.MustParsePrefix(c.ours)
		for route, want := range c.routes {
			if got := overlaps(prefix, dst(route), 7); got != want {
				t.Errorf("%s: route %s overlaps: %t, want %t", name, route, got, want)
			}
		}
		own, bridge := *blackhole(prefix), dst(c.ours)
		bridge.LinkIndex = 7
		if overlaps(prefix, own, 7) || overlaps(prefix, bridge, 7) || !overlaps(prefix, bridge, 0) {
			t.Errorf("%s: own blackhole %t, own bridge %t, another's bridge %t", name,
				overlaps(prefix, own, 7), overlaps(prefix, bridge, 7), overlaps(prefix, bridge, 0))
		}
	}
}

// fakeProc is a /proc where one process has the given number of inotify instances.
func fakeProc(t *testing.T, limit, used int) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "sys/fs/inotify/max_user_instances"), fmt.Sprintf("%d\n", limit))
	fds := filepath.Join(dir, "42", "fd")
	if err := os.MkdirAll(fds, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range used + 1 {
		target := "anon_inode:inotify"
		if i == used {
			target = "anon_inode:[eventpoll]"
		}
		if err := os.Symlink(target, filepath.Join(fds, fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestScarceInotify(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("counts root's processes")
	}
	for name, c := range map[string]struct {
		limit, used, machines int
		want                  string
	}{
		"eight on a default host": {128, 0, 8, ""},
		"all run":                 {128, 300, 0, ""},
		"nine":                    {128, 0, 9, "9 machines need about 144 of fs.inotify.max_user_instances, 128 of 128 are free (sysctl -w fs.inotify.max_user_instances=512)"},
		"beside another cluster":  {128, 83, 5, "5 machines need about 80 of fs.inotify.max_user_instances, 45 of 128 are free (sysctl -w fs.inotify.max_user_instances=512)"},
		"many":                    {512, 500, 10, "10 machines need about 160 of fs.inotify.max_user_instances, 12 of 512 are free (sysctl -w fs.inotify.max_user_instances=1320)"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := scarceInotify(fakeProc(t, c.limit, c.used), c.machines).Error(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestProgramsOfAFamily(t *testing.T) {
	if four, both := len(provider("demo", false).programs()), len(dual("demo", false).programs()); four != 3 || both != 5 {
		t.Errorf("%d programs for IPv4, %d for both families; want 3 and 5", four, both)
	}
}
