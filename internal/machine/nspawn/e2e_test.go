//go:build e2e

package nspawn

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/internal/image"
)

const e2eCluster = "e2e-nspawn"

// e2eMachines are two machines in a network of the test's own.
func e2eMachines(t *testing.T, dir string) []Machine {
	t.Helper()
	for _, key := range []string{"host", "user"} {
		out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key)).CombinedOutput()
		if err != nil {
			t.Fatalf("make key: %v: %s", err, out)
		}
	}
	host, _ := os.ReadFile(filepath.Join(dir, "host"))
	user, _ := os.ReadFile(filepath.Join(dir, "user.pub"))
	var out []Machine
	for i, name := range []string{"one", "two"} {
		addr := netip.AddrFrom4([4]byte{10, 73, 11, byte(11 + i)})
		out = append(out, Machine{Name: name, Address: addr, HostKey: host, AuthorizedKey: user})
	}
	return out
}

func e2eProvider(t *testing.T) *Provider {
	t.Helper()
	p := &Provider{Cluster: e2eCluster, Network: Network{Prefix: netip.MustParsePrefix("10.73.11.0/24")}}
	p.StateDir = filepath.Join(t.TempDir(), "state")
	problem := p.Check(t.Context(), []string{"one", "two"})
	if problem == nil {
		problem = image.Check()
	}
	if problem != nil && os.Getenv("CI") == "" {
		t.Skip(problem)
	}
	if problem != nil {
		t.Fatal(problem)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.Build(t.Context(), image.Options{Cache: filepath.Join(cache, "haplane"), Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	p.Image = img.Root
	return p
}

func TestMachines(t *testing.T) {
	p, keys := e2eProvider(t), t.TempDir()
	machines := e2eMachines(t, keys)
	before := traces(p)
	t.Cleanup(func() { // whatever happened, and again after it went well
		if _, err := p.Destroy(context.Background()); err != nil {
			t.Error(err)
		}
		if d := cmp.Diff(before, traces(p)); d != "" {
			t.Errorf("left on the host:\n%s", d)
		}
	})
	on := func(i int, argv ...string) string { return ssh(t, keys, machines[i].Address, argv...) }
	up := func(what string, fn func() error) {
		t.Helper()
		start := time.Now()
		if err := fn(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if err := p.Ready(ctx); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		t.Logf("%s: sshd of both greets after %s", what, time.Since(start).Round(time.Millisecond))
	}

	up("create", func() error { return p.Create(t.Context(), machines) })
	first := pids(t, p)
	up("create again", func() error { return p.Create(t.Context(), machines) })
	if got := pids(t, p); !slices.Equal(got, first) {
		t.Errorf("a second Create changed the processes from %v to %v", first, got)
	}
	if got := on(0, "hostname"); got != "one" {
		t.Errorf("hostname is %q, want one", got)
	}
	if a, b := on(0, "cat", "/etc/machine-id"), on(1, "cat", "/etc/machine-id"); a == b || len(a) != 32 {
		t.Errorf("machine ids are %q and %q", a, b)
	}
	on(0, "ping", "-c1", "-W2", "two")
	on(0, "mkdir", "/sys/fs/cgroup/"+controller()+"/probe")
	on(0, "touch", "/root/mark", "/var/lib/etcd/mark")

	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := pids(t, p); !slices.Equal(got, []int{0, 0}) {
		t.Errorf("processes after Stop: %v", got)
	}
	up("start", func() error { return p.Start(t.Context()) })
	on(0, "ls", "/root/mark", "/var/lib/etcd/mark")

	on(0, "systemctl", "reboot", "--no-block")
	waitFor(t, "machine one to end", func() bool { return pids(t, p)[0] == 0 })
	up("start after a reboot from inside", func() error { return p.Create(t.Context(), machines) })
	if got := pids(t, p); got[1] == 0 {
		t.Error("machine two went down with machine one")
	}

	if err := p.Kill(t.Context(), "two"); err != nil {
		t.Fatal(err)
	}
	up("start after a kill", func() error { return p.Start(t.Context(), "two") })
	on(0, "ls", "/root/mark", "/var/lib/etcd/mark")

	// nspawn is gone and leaves the machine's own processes; half of the records are lost.
	if proc, err := p.readProcess("two"); err != nil || proc.signal(unix.SIGKILL) != nil {
		t.Fatalf("kill nspawn of machine two: %v", err)
	}
	for _, path := range []string{p.dir("one", recordFile), p.dir("one", processFile), filepath.Join(p.StateDir, networkFile)} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	start := time.Now()
	removed, err := p.Destroy(t.Context())
	t.Logf("destroyed in %s: %s", time.Since(start).Round(time.Millisecond), strings.Join(removed, "; "))
	if err != nil || len(removed) < 10 {
		t.Errorf("destroy: %v, removed %v", err, removed)
	}
	if again, err := p.Destroy(t.Context()); err != nil || len(again) > 0 {
		t.Errorf("second destroy: %v, removed %v", err, again)
	}
}

func TestAnotherStateFolderIsRefused(t *testing.T) {
	p := e2eProvider(t)
	if err := p.makeNetwork(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := *p
	other.StateDir = t.TempDir()
	if _, err := other.Destroy(t.Context()); err == nil || !strings.Contains(err.Error(), p.StateDir) {
		t.Errorf("destroy from another state folder: %v, want an error that names %s", err, p.StateDir)
	}
	if _, err := p.Destroy(t.Context()); err != nil {
		t.Error(err)
	}
}

// No packet is sent here: the rules are looked at and removed.
func TestNATRules(t *testing.T) {
	p := e2eProvider(t)
	p.Network.NAT = true
	t.Cleanup(func() { _, _ = p.removeFirewall(context.Background()) })
	for range 2 {
		if err := p.makeFirewall(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	saved := output("iptables-save")
	for _, want := range []string{"-A POSTROUTING -j " + p.chain(), "-A FORWARD -j " + p.chain(), "-s 10.73.11.0/24 ! -o " + p.bridge() + " -j MASQUERADE"} {
		if n := strings.Count(saved, want); n != 1 {
			t.Errorf("%d rules %q, want 1", n, want)
		}
	}
	if _, err := p.removeFirewall(t.Context()); err != nil {
		t.Error(err)
	}
	if strings.Contains(output("iptables-save"), p.chain()) {
		t.Error("rules are left")
	}
}

// traces is all of the cluster that can be seen on the host. Others may be at
// work on it: what is not ours is not looked at.
func traces(p *Provider) []string {
	var out []string
	for what, text := range map[string]string{
		"link": output("ip", "-o", "link"), "route": output("ip", "route", "show", "table", "all"),
		"rule": output("iptables-save"), "process": output("ps", "-eo", "args"), "netns": output("ls", "-1", netnsDir),
		"mount": output("cat", "/proc/self/mountinfo"), "nspawn": output("ls", "-1", "/run/systemd/nspawn/propagate"),
		"cgroup": output("find", cgroupDir, "-type", "d"),
	} {
		for line := range strings.Lines(text) {
			for _, ours := range []string{p.bridge(), p.chain(), p.prefix(), p.StateDir, "10.73.11.", mark + "/" + p.Cluster, p.veth("one"), p.veth("two")} {
				if strings.Contains(line, ours) {
					out = append(out, what+": "+strings.TrimSpace(line))
					break
				}
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

func pids(t *testing.T, p *Provider) []int {
	t.Helper()
	list, err := p.List()
	if err != nil {
		t.Fatal(err)
	}
	var out []int
	for _, s := range list {
		out = append(out, s.PID)
	}
	return out
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("wait for %s: gave up", what)
		}
	}
}

func ssh(t *testing.T, keys string, address netip.Addr, argv ...string) string {
	t.Helper()
	args := []string{"-i", filepath.Join(keys, "user"), "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
		"-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", fmt.Sprintf("root@%s", address), "--"}
	out, err := exec.Command("ssh", append(args, argv...)...).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v: %s", strings.Join(argv, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func output(argv ...string) string {
	out, _ := exec.Command(argv[0], argv[1:]...).Output()
	return string(out)
}
