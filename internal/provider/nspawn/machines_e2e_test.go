//go:build e2e

package nspawn

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestMachines(t *testing.T) {
	r := newRig(t, "nsp-machines", []string{"one", "two"}, "10.73.11.0/24", "fd00:10:73:11::/64")
	create := func() error { return r.Create(t.Context(), r.machines) }

	const program = "/usr/local/bin/of-the-host"
	r.machines[0].Programs = map[string]string{program: "/proc/self/exe"}
	r.up("create", create)
	first := r.pids()
	own, err := os.ReadFile("/proc/self/exe")
	r.must(err)
	sum := fmt.Sprintf("%x", sha256.Sum256(own))
	if got := r.on(0, "stat", "--format=%a", program) + " " + r.on(0, "sha256sum", program); got != "755 "+sum+"  "+program {
		t.Errorf("the program is %s, want mode 755 and sum %s", got, sum)
	}
	r.on(0, "rm", program)
	r.up("create again", create)
	r.on(0, "test", "!", "-e", program) // a machine that is made keeps its own
	if got := r.pids(); !slices.Equal(got, first) {
		t.Errorf("a second Create changed the processes from %v to %v", first, got)
	}
	if got := r.on(0, "hostname"); got != "one" {
		t.Errorf("hostname is %q, want one", got)
	}
	if a, b := r.on(0, "cat", "/etc/machine-id"), r.on(1, "cat", "/etc/machine-id"); a == b || len(a) != 32 {
		t.Errorf("machine ids are %q and %q", a, b)
	}
	for _, family := range []string{"-4", "-6"} {
		r.on(0, "ping", family, "-c1", "-W2", "two")
	}
	r.isSilent(t)
	r.on(0, "mkdir", "/sys/fs/cgroup/"+controller()+"/probe")
	r.on(0, "touch", "/root/mark", "/var/lib/etcd/mark")

	r.must(r.Stop(t.Context()))
	if got := r.pids(); !slices.Equal(got, []int{0, 0}) {
		t.Errorf("processes after Stop: %v", got)
	}
	r.up("start", func() error { return r.Start(t.Context()) })
	r.on(0, "ls", "/root/mark", "/var/lib/etcd/mark")

	r.on(0, "systemctl", "reboot", "--no-block")
	waitFor(t, "machine one to end", func() bool { return r.pids()[0] == 0 })
	r.up("start after a reboot from inside", create)
	if got := r.pids(); got[1] == 0 {
		t.Error("machine two went down with machine one")
	}

	r.must(r.Kill(t.Context(), "two"))
	r.up("start after a kill", func() error { return r.Start(t.Context(), "two") })
	r.on(0, "ls", "/root/mark", "/var/lib/etcd/mark")

	// nspawn is gone and leaves the machine's own processes; half of the records are lost.
	if proc, err := r.readProcess("two"); err != nil || proc.signal(unix.SIGKILL) != nil {
		t.Fatalf("kill nspawn of machine two: %v", err)
	}
	for _, path := range []string{r.dir("one", recordFile), r.dir("one", processFile), filepath.Join(r.StateDir, networkFile)} {
		r.must(os.Remove(path))
	}
	start := time.Now()
	removed, err := r.Destroy(t.Context())
	t.Logf("destroyed in %s: %s", time.Since(start).Round(time.Millisecond), strings.Join(removed, "; "))
	if err != nil || len(removed) < 10 {
		t.Errorf("destroy: %v, removed %v", err, removed)
	}
	if again, err := r.Destroy(t.Context()); err != nil || len(again) > 0 {
		t.Errorf("second destroy: %v, removed %v", err, again)
	}
}

// isSilent fails when the kernel of machine one, or the host on its behalf, has
// spoken IPv6 by itself, or has an address that nobody gave it.
func (r *rig) isSilent(t *testing.T) {
	t.Helper()
	link := func(name string) string { return "/proc/net/dev_snmp6/" + name }
	for where, counters := range map[string]string{
		"machine": r.on(0, "cat", link("eth0")), "bridge": output("cat", link(r.bridge())),
	} {
		for _, name := range []string{"RouterSolicits", "RouterAdvertisements"} {
			for _, way := range []string{"Icmp6Out", "Icmp6In"} {
				got := strings.Fields(counters[max(0, strings.Index(counters, way+name)):])
				if len(got) < 2 || got[0] != way+name || got[1] != "0" {
					t.Errorf("%s: counter %s is %v, want 0", where, way+name, got[:min(2, len(got))])
				}
			}
		}
	}
	if got := r.on(0, "ip", "-6", "-o", "address", "show", "dev", "eth0"); strings.Count(got, "inet6") != 2 || strings.Contains(got, "tentative") {
		t.Errorf("IPv6 addresses of the machine, want its own and a link-local one:\n%s", got)
	}
	if got := output("ip", "-6", "-o", "address", "show", "dev", r.veth("one")); got != "" {
		t.Errorf("IPv6 addresses of the host's end of the link, want none: %s", got)
	}
}
