//go:build e2e

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/haplane/haplane/e2e/rig"
)

// TestBadInput gives haplane what it has to refuse. Nothing is made.
func TestBadInput(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-bad", 3)
	before := lookAtHost(r)
	t.Run("cluster-file", c.checkBadFile)
	t.Run("usage", c.checkUsage)
	t.Run("no-cluster", c.checkNoCluster)
	t.Run("network-in-use", c.checkNetworkInUse)
	t.Run("missing-program", c.checkMissingProgram)
	t.Run("not-root", c.checkNotRoot)
	t.Run("down-of-no-cluster", c.checkDownOfNone)
	must(t, 0, c.Down(background(t)))
	before.left(t, lookAtHost(r))
}

// checkDownOfNone takes down a cluster that is not there, in a network namespace
// with the blackhole route of another cluster in the default network. It stays.
func (c *cluster) checkDownOfNone(t *testing.T) {
	const script = `ip route add blackhole 10.10.10.0/24 proto 104 metric 4096 && "$0" down --cluster e2e-none --yes && ip route show type blackhole`
	cmd := c.Command(background(t))
	cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", script, c.Program}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	result := must(t, 0, rig.Finish(cmd))
	contains(t, "what down says, and the routes after it", result.Stdout, "nothing to remove: there is no cluster e2e-none\n", "blackhole 10.10.10.0/24")
}

const badFile = `apiVersion: haplane/v1alpha1
kind: Cluster
metadata: {name: Not_A_Name}
spec:
  identity: mine
  network: {machineCIDR: 10.75.3.7/24, podCIDR: "300.0.0.0/8", serviceCIDR: 10.75.0.0/16}
  loadBalancer: {port: 70000}
  nodes:
  - {role: control-plane, name: cp-1, address: 10.76.0.1}
  - {role: control-plane, name: cp-1}
`

func (c *cluster) checkBadFile(t *testing.T) {
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"fields": {badFile, []string{"metadata.name: ", "spec.identity: ", "spec.network.machineCIDR: ", "spec.network.podCIDR: ",
			"spec.loadBalancer.port: ", "spec.nodes[1].name: "}},
		"shape":   {"apiVersion: haplane/v1alpha1\nkind: Cluster\nspec: {nodes: 3, netwrok: {}}\n", []string{"spec.nodes: ", "spec.netwrok: ", "unknown field"}},
		"not one": {"kind: [", []string{"not valid YAML"}},
	} {
		file := filepath.Join(t.TempDir(), "cluster.yaml")
		if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		result := must(t, 2, c.Run(background(t), "up", "-f", file))
		contains(t, name, result.Stderr, append(test.want, "error: "+file)...)
	}
	if left := find(c.Home(), everything); len(left) > 0 {
		t.Errorf("a bad file left %v", left)
	}
}

func (c *cluster) checkUsage(t *testing.T) {
	for _, args := range [][]string{
		{"up", "--no-such-flag"}, {"no-such-command"}, {"down", "extra"}, {"status", "-o", "xml"}, {"up", "-f", "/nowhere/cluster.yaml"},
		{"up", "--cluster", "Not_A_Name"}, {"ssh"},
	} {
		result := must(t, 2, c.Run(background(t), args...))
		contains(t, "error of "+strings.Join(args, " "), result.Stderr, "error: ")
		want(t, "stdout of "+strings.Join(args, " "), result.Stdout, "")
	}
}

func (c *cluster) checkNoCluster(t *testing.T) {
	for _, args := range [][]string{{"status"}, {"kubeconfig"}, {"ssh", "cp-1"}, {"kubectl", "get", "nodes"}} {
		args = append([]string{args[0], "--cluster", c.Name}, args[1:]...)
		result := must(t, 1, c.Run(background(t), args...))
		contains(t, "error of "+args[0], result.Stderr, "no such cluster", "hint:  haplane up makes one")
	}
}

// checkNetworkInUse lets a link of the host have an address of the cluster's network.
func (c *cluster) checkNetworkInUse(t *testing.T) {
	const link = "e2e-busy0"
	ip := func(ctx context.Context, args ...string) {
		if out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput(); err != nil {
			t.Errorf("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	ctx := background(t)
	ip(ctx, "link", "add", link, "type", "bridge")
	defer ip(context.WithoutCancel(ctx), "link", "del", link)
	ip(ctx, "address", "add", "10.75.3.129/25", "dev", link)
	ip(ctx, "link", "set", link, "up")
	c.refuses(t, c.Command(ctx, c.UpArgs()...), "network "+c.Network.String()+" is in use", link, "choose another machine network")
}

func (c *cluster) checkMissingProgram(t *testing.T) {
	cmd := c.Command(background(t), c.UpArgs()...)
	cmd.Env = append(cmd.Env, "PATH="+t.TempDir())
	c.refuses(t, cmd, "systemd-nspawn", "apt-get install systemd-container", "apt-get install mmdebstrap", "apt-get install openssh-client")
}

// checkNotRoot runs a copy that nobody may read, as nobody.
func (c *cluster) checkNotRoot(t *testing.T) {
	const nobody = 65534
	dir, err := os.MkdirTemp("", "haplane-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cmd := c.Command(background(t), c.UpArgs()...)
	for _, step := range []error{
		exec.Command("cp", c.Program, c.File(), dir).Run(), os.Chmod(dir, 0o755), os.Mkdir(filepath.Join(dir, "home"), 0o700),
		os.Chown(filepath.Join(dir, "home"), nobody, nobody),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	cmd.Path, cmd.Dir = filepath.Join(dir, filepath.Base(c.Program)), dir
	cmd.Args = []string{cmd.Path, "up", "-f", filepath.Join(dir, filepath.Base(c.File()))}
	cmd.Env = append(cmd.Env, "HAPLANE_HOME="+filepath.Join(dir, "home"), "HOME="+filepath.Join(dir, "home"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	c.refuses(t, cmd, "root", "sudo")
}

// refuses runs up, which has to find in its first phase that it cannot work.
func (c *cluster) refuses(t *testing.T, cmd *exec.Cmd, reasons ...string) {
	t.Helper()
	result := must(t, 1, rig.Finish(cmd))
	contains(t, "error", result.Stderr, append(reasons, "error: check-host: ", "log:   ")...)
	want(t, "stdout", result.Stdout, "")
	if strings.Contains(result.Stderr, "build-components") {
		t.Errorf("up went on:\n%s", result)
	}
	if _, err := os.Stat(filepath.Join(c.Store(), "machines")); !os.IsNotExist(err) {
		t.Errorf("machines were begun: %v", err)
	}
}
