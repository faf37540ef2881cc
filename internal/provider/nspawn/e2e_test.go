//go:build e2e

package nspawn

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/image"
)

// A rig is a cluster of the test's own.
type rig struct {
	*Provider
	t        *testing.T
	keys     string // folder
	machines []Machine
}

// newRig makes none of it yet. Whatever happens, it is gone after the test.
func newRig(t *testing.T, cluster string, names []string, prefixes ...string) *rig {
	t.Helper()
	r := &rig{t: t, keys: t.TempDir(), Provider: &Provider{Cluster: cluster, StateDir: filepath.Join(t.TempDir(), "state")}}
	for _, s := range prefixes {
		r.Network.Prefixes = append(r.Network.Prefixes, netip.MustParsePrefix(s))
	}
	r.Image = hostAndImage(t, r.Provider, names)
	for _, key := range []string{"host", "user"} {
		out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(r.keys, key)).CombinedOutput()
		if err != nil {
			t.Fatalf("make key: %v: %s", err, out)
		}
	}
	host, _ := os.ReadFile(filepath.Join(r.keys, "host"))
	user, _ := os.ReadFile(filepath.Join(r.keys, "user.pub"))
	for i, name := range names {
		m := Machine{Name: name, HostKey: host, AuthorizedKey: user}
		for _, a := range r.Network.Gateways() {
			for range i + 1 {
				a = a.Next()
			}
			m.Addresses = append(m.Addresses, a)
		}
		r.machines = append(r.machines, m)
	}
	before := r.traces()
	t.Cleanup(func() {
		if _, err := r.Destroy(context.Background()); err != nil {
			t.Error(err)
		}
		if d := cmp.Diff(before, r.traces()); d != "" {
			t.Errorf("left on the host:\n%s", d)
		}
	})
	return r
}

// hostAndImage skips the test on a host that cannot have machines, unless in CI.
func hostAndImage(t *testing.T, p *Provider, names []string) string {
	t.Helper()
	problem := p.Check(t.Context(), names)
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
	return img.Root
}

// up does what starts machines and waits for the sshd of those named, or of all.
func (r *rig) up(what string, fn func() error, names ...string) {
	r.t.Helper()
	start := time.Now()
	if err := fn(); err != nil {
		r.t.Fatalf("%s: %v", what, err)
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	if err := r.Ready(ctx, names...); err != nil {
		r.t.Fatalf("%s: %v", what, err)
	}
	r.t.Logf("%s: sshd greets after %s", what, time.Since(start).Round(time.Millisecond))
}

// must does a step that is not what is tested.
func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// on runs a command on a machine, by its first address.
func (r *rig) on(i int, argv ...string) string {
	r.t.Helper()
	return r.at(r.machines[i].Addresses[0], argv...)
}

func (r *rig) at(address netip.Addr, argv ...string) string {
	r.t.Helper()
	out, err := r.try(address, argv...)
	if err != nil {
		r.t.Errorf("%s: %v: %s", strings.Join(argv, " "), err, out)
	}
	return out
}

func (r *rig) try(address netip.Addr, argv ...string) (string, error) {
	args := []string{"-i", filepath.Join(r.keys, "user"), "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
		"-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", fmt.Sprintf("root@%s", address), "--"}
	out, err := exec.Command("ssh", append(args, argv...)...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// pids are those of the machines by name, 0 for one that does not run.
func (r *rig) pids() []int {
	r.t.Helper()
	list, err := r.List()
	r.must(err)
	var out []int
	for _, s := range list {
		out = append(out, s.PID)
	}
	return out
}
