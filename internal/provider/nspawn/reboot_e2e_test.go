//go:build e2e

package nspawn

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/internal/durable"
)

// After a boot of the host, all that is left of the machines is files.
func TestHostReboot(t *testing.T) {
	r := newRig(t, "nsp-reboot", []string{"one", "two"}, "fd00:10:73:12::/64")
	r.StartCommand = []string{"/bin/true"}
	r.boot, _ = offline(t)
	start := func(names ...string) func() error {
		return func() error { return r.Start(t.Context(), names...) }
	}
	enabled := func(when string, want bool) {
		t.Helper()
		if got := r.boot.enabled(r.service()); got != want {
			t.Errorf("%s: starts when the host boots: %t, want %t", when, got, want)
		}
	}
	r.up("create", func() error { return r.Create(t.Context(), r.machines) })
	enabled("after Create", true)
	for i := range r.machines {
		r.on(i, "touch", "/root/mark", "/var/lib/etcd/mark")
	}

	r.loseKernelState()
	r.up("start one of two", start("two"), "two")
	if got := r.pids(); got[0] != 0 || got[1] == 0 {
		t.Errorf("processes after Start of two: %v", got)
	}
	r.up("start the rest", start())
	for i := range r.machines {
		r.on(i, "ls", "/root/mark", "/var/lib/etcd/mark")
	}
	r.on(0, "ping", "-c1", "-W2", "two")

	before := r.pids()
	r.must(netlink.LinkDel(r.link(r.bridge())))
	r.up("start after the bridge was removed", start())
	if got := r.pids(); !slices.Equal(got, before) {
		t.Errorf("a new bridge changed the processes from %v to %v", before, got)
	}
	r.on(0, "ping", "-c1", "-W2", "two")
	r.must(netlink.LinkDel(r.link(r.veth("one"))))
	r.up("start after a link was removed", start())
	if got := r.pids(); got[0] == before[0] || got[1] != before[1] {
		t.Errorf("processes were %v, are %v; want another one for the machine that lost its link", before, got)
	}

	// One shuts down in order, two is half dead and has lost its record.
	r.on(0, "systemd-run", "--quiet", "--unit=probe", "--remain-after-exit", "--property='ExecStop=/usr/bin/touch /root/stopped'", "true")
	proc, err := r.readProcess("two")
	r.must(err)
	r.must(proc.signal(unix.SIGKILL))
	record, err := r.readRecord("two")
	r.must(err)
	r.must(os.Remove(r.dir("two", recordFile)))
	r.must(r.Stop(t.Context()))
	enabled("after Stop", false)
	for _, name := range []string{"one", "two"} {
		if all, _ := hierarchies(); len(processesIn(all, r.cgroup(name))) > 0 {
			t.Errorf("processes of machine %s are left after Stop", name)
		}
	}
	r.must(r.writeRecord(record))
	r.up("start of some", start("one"), "one")
	enabled("after Start of some", true) // the cluster is wanted again
	r.on(0, "ls", "/root/stopped")
	r.up("start of all", start())

	r.on(0, "systemd-run", "--quiet", "--remain-after-exit", "--property='ExecStop=/usr/bin/sleep infinity'", "--property=TimeoutStopSec=infinity", "true")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	from := time.Now()
	r.must(r.Stop(ctx))
	if d := time.Since(from); d < 2*time.Second || !slices.Equal(r.pids(), []int{0, 0}) {
		t.Errorf("Stop with 2 s to go took %s, processes %v", d, r.pids())
	}
	_, err = r.Destroy(t.Context())
	r.must(err)
	if left, _ := filepath.Glob(filepath.Join(r.boot.dir, "*haplane*")); len(left) > 0 {
		t.Errorf("units are left: %v", left)
	}
}

// loseKernelState does by hand what a boot of the host does: no function that
// the provider ends machines with is used. The records name a process of another boot.
func (r *rig) loseKernelState() {
	r.t.Helper()
	self, err := identify(os.Getpid())
	r.must(err)
	self.Boot = "another"
	for _, m := range r.machines {
		_, err := killCgroup(r.t.Context(), r.cgroup(m.Name))
		r.must(err)
		r.must(netlink.LinkDel(r.link(r.veth(m.Name))))
		r.must(unix.Unmount(netnsPath(r.netns(m.Name)), unix.MNT_DETACH))
		r.must(os.Remove(netnsPath(r.netns(m.Name))))
		r.must(unix.Unmount(r.dir(m.Name, "root"), unix.MNT_DETACH))
		_, err = removeCgroup(r.t.Context(), r.cgroup(m.Name))
		r.must(err)
		_ = os.Remove(filepath.Join("/run/systemd/nspawn/propagate", r.container(m.Name)))
		r.must(durable.WriteJSON(r.dir(m.Name, processFile), self, 0o600))
	}
	_, err = removeCgroup(r.t.Context(), r.cgroup(""))
	r.must(err)
	r.must(netlink.LinkDel(r.link(r.bridge())))
	if out := output("ip", "route", "get", r.machines[0].Addresses[0].String()); strings.Contains(out, "dev") {
		r.t.Errorf("without the bridge, packets for a machine take the route %s", out)
	}
	for _, p := range r.Network.Prefixes {
		r.must(netlink.RouteDel(blackhole(p)))
	}
	_, err = r.removeFirewall(r.t.Context())
	r.must(err)
	if left := slices.DeleteFunc(r.traces(), func(s string) bool { return strings.HasPrefix(s, "process") }); len(left) > 0 {
		r.t.Errorf("kernel state is left:\n%s", strings.Join(left, "\n"))
	}
}

func (r *rig) link(name string) netlink.Link {
	r.t.Helper()
	link, err := netlink.LinkByName(name)
	r.must(err)
	return link
}
