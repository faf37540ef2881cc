//go:build e2e

// Package e2e tests haplane on real machines: it runs the program as a user does
// and reads the outcome from the machines themselves.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/haplane/haplane/e2e/rig"
	"github.com/haplane/haplane/internal/image"
	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/internal/provider/nspawn"
)

// interrupted ends with the user's patience: tests then fail at once and clean up.
var interrupted context.Context

func TestMain(m *testing.M) {
	var stop context.CancelFunc
	interrupted, stop = signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := m.Run()
	stop()
	os.Exit(code)
}

// cleanupTime is kept back from the time that `go test -timeout` gives.
const cleanupTime = time.Minute

// background is the context of everything that a test does.
func background(t *testing.T) context.Context {
	t.Helper()
	deadline, ok := t.Deadline()
	if !ok {
		return interrupted
	}
	ctx, cancel := context.WithDeadline(interrupted, deadline.Add(-cleanupTime))
	t.Cleanup(cancel)
	return ctx
}

// newRig returns a rig, or skips the test where machines cannot be made; with CI
// set that is a failure.
func newRig(t *testing.T) *rig.Rig {
	t.Helper()
	ctx := background(t)
	provider := nspawn.Provider{Cluster: "e2e", StateDir: os.TempDir(), Network: nspawn.Network{Prefixes: []netip.Prefix{netip.MustParsePrefix("10.75.0.0/24")}}}
	err := errors.Join(image.Check(), provider.Check(ctx, []string{"cp-1", "cp-2", "cp-3", "worker-1", "lb-1"}))
	if err != nil && os.Getenv("CI") == "" {
		t.Skipf("machines cannot be made here: %v", err)
	}
	if err != nil {
		t.Fatalf("machines cannot be made here, and CI is set: %v", err)
	}
	r, err := rig.New(ctx, "haplane-e2e")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// A cluster is one under test.
type cluster struct{ *rig.Cluster }

// newCluster prepares a cluster in 10.75.third.0/24, removes what an earlier run
// left of it, and sees to it that nothing is left in the end.
func newCluster(t *testing.T, r *rig.Rig, name string, third byte) *cluster {
	t.Helper()
	c, err := r.Cluster(name, third)
	if err != nil {
		t.Fatal(err)
	}
	sweep := func() {
		ctx, cancel := context.WithTimeout(context.Background(), cleanupTime)
		defer cancel()
		if result := c.Down(ctx); result.Code != 0 {
			t.Errorf("clean up:\n%s", result)
		}
	}
	sweep()
	t.Cleanup(sweep)
	t.Cleanup(func() {
		if t.Failed() {
			tell(t, c)
		}
	})
	return &cluster{c}
}

// tell logs what may explain a failure, before the cluster goes.
func tell(t *testing.T, c *rig.Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTime/2)
	defer cancel()
	if _, err := os.Stat(c.Store()); err != nil {
		return
	}
	t.Log(c.Run(ctx, "status", "--cluster", c.Name))
	for _, node := range allNodes {
		t.Log(c.SSH(ctx, node, "systemctl --no-pager --no-legend --failed; journalctl --no-pager --output=short-precise --priority=warning --lines=15"))
	}
}

// The nodes of every cluster here, which are the default ones, and where they and some more are.
var (
	controlPlane = []string{"cp-1", "cp-2", "cp-3"}
	kubeNodes    = append(append([]string{}, controlPlane...), "worker-1")
	allNodes     = append(append([]string{}, kubeNodes...), "lb-1")
	hosts        = map[string]byte{"lb-1": 3, "cp-1": 11, "cp-2": 12, "cp-3": 13, "cp-4": 14, "worker-1": 21, "worker-2": 22}
)

// current is the cluster's file as it is now, with the nodes that came and went.
func (c *cluster) current(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.Store(), "cluster.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// address is a node's.
func (c *cluster) address(node string) string {
	a := c.Network.Addr().As4()
	a[3] = hosts[node]
	return netip.AddrFrom4(a).String()
}

// endpoint is the load balancer's address and port.
func (c *cluster) endpoint() string { return c.address("lb-1") + ":6443" }

// on runs a line of shell on a node and returns what it printed.
func (c *cluster) on(t *testing.T, node, line string) string {
	t.Helper()
	result := c.SSH(background(t), node, line)
	if result.Code != 0 {
		t.Fatalf("on %s:\n%s", node, result)
	}
	return strings.TrimSpace(result.Stdout)
}

// must runs haplane and fails the test unless it exits with the code.
func must(t *testing.T, code int, result rig.Result) rig.Result {
	t.Helper()
	if result.Code != code {
		t.Fatalf("exit code %d, want %d:\n%s", result.Code, code, result)
	}
	return result
}

// wait polls until fn returns nil, and fails the test when that takes too long.
func wait(t *testing.T, limit time.Duration, what string, fn func(context.Context) error) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(background(t), limit)
	defer cancel()
	start := time.Now()
	if err := poll.Until(ctx, 20*time.Millisecond, fn); err != nil {
		t.Fatalf("wait for %s: %v", what, err)
	}
	return time.Since(start)
}

// number is that of a variable of the environment.
func number(t *testing.T, variable string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// want compares what was seen with what is right.
func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// contains fails the test unless text has all of the parts.
func contains(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s lacks %q:\n%s", what, p, text)
		}
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }
