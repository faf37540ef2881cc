package nspawn

import (
	"net/netip"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestParseHierarchies(t *testing.T) {
	for name, c := range map[string]struct {
		mountinfo string
		want      []hierarchy
	}{
		"v2": {"35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
			[]hierarchy{{path: "/sys/fs/cgroup", unified: true}}},
		"hybrid": {`35 24 0:29 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755
36 35 0:30 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
37 35 0:31 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd
38 35 0:32 / /sys/fs/cgroup/unified rw - cgroup2 cgroup rw
39 24 0:33 / /mnt/cgroup rw - cgroup2 cgroup rw
`, []hierarchy{
			{path: "/sys/fs/cgroup/cpuset", cpuset: true},
			{path: "/sys/fs/cgroup/systemd"},
			{path: "/sys/fs/cgroup/unified", unified: true},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(c.want, parseHierarchies(c.mountinfo), cmp.AllowUnexported(hierarchy{})); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestParseMountinfoUnescapes(t *testing.T) {
	got := parseMountinfo(`36 35 0:30 / /a\040b\134c rw,noatime shared:1 - ext4 /dev/x rw` + "\nnonsense\n")
	want := []mountpoint{{point: `/a b\c`, fstype: "ext4", super: "rw"}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(mountpoint{})); d != "" {
		t.Error(d)
	}
}

func TestParseStat(t *testing.T) {
	const line = "42 (a) S b) R 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 98765 100 200\n"
	state, start, err := parseStat(line)
	if err != nil || state != "R" || start != 98765 {
		t.Errorf("got %s, %d, %v; want R, 98765", state, start, err)
	}
	if _, _, err := parseStat("42 (a) R 1"); err == nil {
		t.Error("a short line is accepted")
	}
}

// A record of another boot, or of a process that had the number before, is not
// the process that has it now.
func TestProcessIsNotMistaken(t *testing.T) {
	self, err := identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	later, rebooted := self, self
	later.Start++
	rebooted.Boot = "another"
	if !self.alive() || later.alive() || rebooted.alive() {
		t.Errorf("alive: itself %t, later %t, after a reboot %t", self.alive(), later.alive(), rebooted.alive())
	}
	if err := later.signal(unix.SIGKILL); err != unix.ESRCH {
		t.Errorf("signal to a recycled number: %v, want ESRCH", err)
	}
}

func addrs(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range texts {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func TestRecords(t *testing.T) {
	p := provider("demo", false)
	p.StateDir = t.TempDir()
	folder(t, p, "half", map[string]string{"upper/": ""})
	a := record{Name: "a", Addresses: addrs("10.73.11.2"), Image: "/image"}
	b := record{Name: "b", Addresses: addrs("10.73.11.3", "fd00::3"), Image: "/image"}
	for _, r := range []record{b, a} {
		folder(t, p, r.Name, whole())
		if err := p.writeRecord(r); err != nil {
			t.Fatal(err)
		}
	}
	got, err := p.records(nil)
	if d := cmp.Diff([]record{a, b}, got, cmp.Comparer(func(x, y netip.Addr) bool { return x == y })); err != nil || d != "" {
		t.Error(err, d)
	}
	if _, err := p.records([]string{"half"}); err == nil {
		t.Error("a machine without record is found by name")
	}
	if err := os.WriteFile(p.dir("a", recordFile), []byte(`{"name":"b"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := p.readRecord("a"); err == nil {
		t.Error("a record of another machine is accepted")
	}
}
