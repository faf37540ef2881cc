//go:build e2e

package e2e

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/e2e/rig"
	"github.com/haplane/haplane/e2e/rig/guest"
	haplane "github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/component"
	"github.com/haplane/haplane/internal/poll"
)

// A guestHost is a virtual machine that a cluster is brought up on.
type guestHost struct{ *guest.Guest }

const (
	smallCluster = "/root/small.yaml"
	kubectlSmall = "haplane kubectl --cluster small -- "
	// The wait for what takes seconds on a host, where all is emulated and others want the cores too.
	emulated = 15 * time.Minute
)

// TestHostWithSystemd brings the smallest cluster up on a host as most users have it: its own kernel, on which
// nothing was loaded yet, systemd as the first process, cgroup v2, and a cache that was copied. The host is
// rebooted and loses its power; each time the cluster comes back by its unit, with its data.
func TestHostWithSystemd(t *testing.T) {
	g := newGuest(t)
	g.checkKind(t)
	before := g.look(t)
	took := g.up(t)
	t.Logf("up took %s", took)
	g.checkMachines(t)
	g.write(t, "create configmap kept --from-literal=by=haplane")
	g.write(t, "taint nodes cp-1 node-role.kubernetes.io/control-plane-") // there is no worker
	g.write(t, "run ask --image=haplane.local/web:v0.1.0 --image-pull-policy=Never")
	g.waitWhole(t, "")
	g.checkComesBack(t, "reboot", g.Reboot)
	g.checkComesBack(t, "power cut", g.powerCut)
	g.sh(t, "haplane down --cluster small --yes")
	if d := cmp.Diff(before, g.look(t)); d != "" {
		t.Errorf("the host is not as it was (-before +now):\n%s", d)
	}
}

// newGuest boots a host with haplane, the components' modules and a copy of the cache.
func newGuest(t *testing.T) guestHost {
	t.Helper()
	r := newRig(t)
	dir := filepath.Join(r.Dir, "guest")
	content := guestContent(t, r, filepath.Join(dir, "content"))
	g, err := guest.New(background(t), dir, r.Dir+"-guests", r.Root, content)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			console, _ := exec.Command("tail", "-n", "40", g.Console()).Output()
			t.Logf("console of the guest:\n%s", console)
			guestHost{g}.tell(t)
		}
		if err := g.CutPower(); err != nil {
			t.Error(err)
		}
	})
	if err := os.RemoveAll(content); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := g.Start(background(t)); err != nil {
		t.Fatal(err)
	}
	t.Logf("the host took commands after %s", time.Since(start).Round(time.Second))
	return guestHost{g}
}

// tell logs what a guest knows of a failure.
func (g guestHost) tell(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	for _, line := range []string{
		"uptime; systemctl status --no-pager --full --lines 40 haplane.small.service",
		"haplane status --cluster small",
		`haplane ssh --cluster small cp-1 -- 'uptime; systemctl list-units --no-pager --failed; systemctl list-jobs --no-pager
for unit in etcd kube-apiserver kubelet containerd; do systemctl show -p ActiveState,NRestarts,Result $unit; journalctl --no-pager -q -n 12 -u $unit; done'`,
		`haplane ssh --cluster small lb-1 -- 'journalctl --no-pager -q -n 12 -u haproxy'`,
	} {
		out, err := g.try(ctx, "{ "+line+"; } 2>&1")
		t.Logf("in the guest: %s\n%s\n%v", line, out, err)
	}
}

// guestContent puts what the guest is given into a folder: links to the cache where that is possible.
func guestContent(t *testing.T, r *rig.Rig, dir string) string {
	t.Helper()
	built := must(t, 0, r.Run(background(t), "image", "build")).Stdout // image DIGEST in FOLDER
	cache, err := haplane.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := component.Current(background(t), filepath.Join(r.Root, "components"))
	if err != nil {
		t.Fatal(err)
	}
	copies := [][2]string{
		{filepath.Join(r.Root, "components"), "components"}, {filepath.Join(r.Root, "examples"), "examples"}, {r.Program, "bin/haplane"},
		{filepath.Join(cache, "bases"), "cache/bases"}, {filepath.Join(cache, "images", strings.Fields(built)[1]), "cache/images/" + strings.Fields(built)[1]},
	}
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(cache, "components", e)); errors.Is(err, fs.ErrNotExist) {
			continue // the older minor's, which are built where somebody asks for them
		}
		copies = append(copies, [2]string{filepath.Join(cache, "components", e), "cache/components/" + e})
	}
	for _, c := range copies {
		script := `mkdir -p "$(dirname "$2")" && { cp -al "$1" "$2" 2>/dev/null || { rm -rf "$2" && cp -a "$1" "$2"; }; }`
		if out, err := exec.CommandContext(background(t), "sh", "-c", script, "sh", c[0], filepath.Join(dir, c[1])).CombinedOutput(); err != nil {
			t.Fatalf("copy %s: %v\n%s", c[0], err, out)
		}
	}
	return dir
}

// try runs a line of shell as root's login would, with haplane on the PATH.
func (g guestHost) try(ctx context.Context, line string) (string, error) {
	return g.Run(ctx, "export PATH=$PATH:/usr/sbin:/sbin:"+guest.Folder+"/bin HAPLANE_CACHE="+guest.Folder+"/cache; "+line)
}

func (g guestHost) sh(t *testing.T, line string) string {
	t.Helper()
	out, err := g.try(background(t), line)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// write has kubectl write. Where all is emulated an answer may be late, and one that was lost may have been a yes.
func (g guestHost) write(t *testing.T, command string) {
	t.Helper()
	wait(t, emulated, "kubectl "+command, func(ctx context.Context) error {
		_, err := g.try(ctx, kubectlSmall+command)
		if err != nil && (strings.Contains(err.Error(), "AlreadyExists") || strings.Contains(err.Error(), "taint") && strings.Contains(err.Error(), "not found")) {
			return nil
		}
		return err
	})
}

func (g guestHost) powerCut(ctx context.Context) error {
	if err := g.CutPower(); err != nil {
		return err
	}
	return g.Start(ctx)
}

// checkKind sees to it that the guest is what it is there for.
func (g guestHost) checkKind(t *testing.T) {
	t.Helper()
	want(t, "the first process", g.sh(t, "cat /proc/1/comm"), "systemd")
	want(t, "the cgroup file system", g.sh(t, "stat -f -c %T /sys/fs/cgroup"), "cgroup2fs")
	want(t, "number of overlay in /proc/filesystems", g.sh(t, "grep -c overlay /proc/filesystems || true"), "0")
}

// up brings the cluster up. Where the cores are wanted by others as well, a wait can end too soon: as it says
// then, up finishes it.
func (g guestHost) up(t *testing.T) time.Duration {
	t.Helper()
	g.sh(t, "sed 's/network: {/network: {nat: false, /' "+guest.Folder+"/examples/small.yaml >"+smallCluster)
	const most = 4
	for n := 1; ; n++ {
		start := time.Now()
		out, err := g.try(background(t), "haplane up -f "+smallCluster+" 2>&1")
		took := time.Since(start).Round(time.Second)
		if strings.Contains(out, "building") {
			t.Errorf("what was copied was built again:\n%s", out)
		}
		if err == nil {
			t.Log(out)
			return took
		}
		t.Logf("up, attempt %d, after %s: %v", n, took, err)
		if n == most || !strings.Contains(err.Error(), "gave up waiting") && !strings.Contains(err.Error(), "deadline exceeded") {
			t.Fatal("the cluster did not come up")
		}
	}
}

// checkMachines wants each machine in a scope of its own, as systemd has machines.
func (g guestHost) checkMachines(t *testing.T) {
	t.Helper()
	scopes := g.sh(t, "find /sys/fs/cgroup/machine.slice -mindepth 1 -maxdepth 1 -type d")
	contains(t, "machine.slice", scopes, "cp-1", "lb-1")
	contains(t, "modules that were loaded", g.sh(t, "lsmod"), "overlay", "br_netfilter", "vxlan")
	want(t, "the unit", g.sh(t, "systemctl is-enabled haplane.small.service"), "enabled")
}

// checkComesBack restarts the host. Nobody but the unit starts the cluster then.
func (g guestHost) checkComesBack(t *testing.T, what string, restart func(context.Context) error) {
	t.Helper()
	node := g.sh(t, bootOfNode)
	start := time.Now()
	if err := restart(background(t)); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	booted := time.Since(start)
	ended := g.waitUnit(t)
	g.waitWhole(t, node)
	t.Logf("%s: the host took commands after %s, the unit had ended after %s, the cluster was whole after %s", what,
		booted.Round(time.Second), (booted + ended).Round(time.Second), time.Since(start).Round(time.Second))
	want(t, "the unit's end", g.sh(t, "systemctl show -P Result haplane.small.service"), "success")
}

// waitUnit waits until the unit has started the cluster.
func (g guestHost) waitUnit(t *testing.T) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(background(t), emulated)
	defer cancel()
	start := time.Now()
	err := poll.Until(ctx, 10*time.Second, func(ctx context.Context) error {
		state, err := g.try(ctx, "systemctl is-active haplane.small.service || true")
		if err == nil && state != "active" {
			err = errors.New("it is " + state)
		}
		return err
	})
	if err != nil {
		t.Fatalf("wait for the end of the unit: %v", err)
	}
	return time.Since(start)
}

const bootOfNode = kubectlSmall + "get node cp-1 -o 'jsonpath={.status.nodeInfo.bootID}'"

// waitWhole waits until the node is ready, since another boot than the last, the pod runs and reaches the API, and
// the data is there. Each look takes the guest seconds that the cluster wants too.
func (g guestHost) waitWhole(t *testing.T, last string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(background(t), emulated)
	defer cancel()
	err := poll.Until(ctx, 15*time.Second, func(ctx context.Context) error {
		boot, err := g.try(ctx, bootOfNode)
		if err != nil {
			return err
		}
		if boot == last {
			return errors.New("the API has the node as it was before")
		}
		for _, line := range []string{
			kubectlSmall + "wait --for=condition=Ready --timeout=20s node/cp-1 pod/ask",
			kubectlSmall + "exec ask -- /web kube /version | grep gitVersion",
		} {
			if _, err := g.try(ctx, line); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("wait for a cluster that is whole: %v", err)
	}
	want(t, "what was kept", g.sh(t, kubectlSmall+"get configmap kept -o 'jsonpath={.data.by}'"), "haplane")
}

// look lists what a cluster may leave in the guest.
func (g guestHost) look(t *testing.T) []string {
	t.Helper()
	return strings.Split(g.sh(t, `exec 2>/dev/null
ip -brief link | sed 's/ .*//; s/^/link /'
ip route show table all | sed 's/^/route /'
ip -6 route show type blackhole | sed 's/^/route /'
for program in iptables-save ip6tables-save; do $program | grep -v -e '^[#*]' -e '^COMMIT' -e ' ACCEPT \[' | sed "s/^/$program /"; done
findmnt --raw --noheadings --output TARGET,FSTYPE | grep -v -e binfmt_misc -e '^/run/user/' | sort | sed 's/^/mount /'
find /sys/fs/cgroup -type d \( -name '*haplane*' -o -name '*kube*' \) | sort | sed 's/^/cgroup /'
find /etc/systemd /run -name '*haplane*' -o -path '/run/netns/*' | sort -u | sed 's/^/file /'
find /root/.haplane -mindepth 1 -maxdepth 1 | sed 's/^/file /'
systemctl list-units --all --plain --no-legend '*haplane*' '*small*' | sed 's/ .*//; s/^/unit /'
for p in /proc/[0-9]*; do [ "$(readlink $p/ns/pid)" = "$(readlink /proc/self/ns/pid)" ] || tr '\0' ' ' <$p/cmdline | sed 's/^/process /; s/$/\n/'; done
pgrep -l 'systemd-nspawn|haplane' | sed 's/^[0-9]* /process /'
grep -o 'haplane-[a-z]*' /root/.kube/config | sort -u | sed 's/^/context /'
true`), "\n")
}
