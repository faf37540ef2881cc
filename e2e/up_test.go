//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/haplane/haplane/e2e/rig"
)

// phases are those of `haplane up` in the order in which they end, with a step of each.
var phases = [][2]string{{"check-host", "check-host"}, {"build-components", "build-components"}, {"build-image", "build-image"},
	{"issue-certificates", "issue-certificates"}, {"create-machine", "create-machine@cp-1"}, {"write-files", "write-files@lb-1"},
	{"start/api", "start@cp-2/api"}, {"apply-manifests", "apply-manifests"}, {"start/node", "start@worker-1/node"},
	{"node-ready", "node-ready@cp-3"}, {"activate", "activate@lb-1"}, {"dns-ready", "dns-ready"}}

// otherContext is what the user had in the kubeconfig before.
const otherContext = `apiVersion: v1
kind: Config
clusters: [{name: work, cluster: {server: "https://work.example:6443"}}]
users: [{name: me, user: {token: mine}}]
contexts: [{name: work, context: {cluster: work, user: me}}]
current-context: work
`

// bringUp runs the first `haplane up`, with a pipe that a process which goes on
// afterwards must not hold open.
func (c *cluster) bringUp(t *testing.T) rig.Result {
	t.Helper()
	if err := os.WriteFile(c.Kubeconfig(), []byte(otherContext), 0o600); err != nil {
		t.Fatal(err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd := c.Command(background(t), c.UpArgs()...)
	cmd.ExtraFiles = []*os.File{write}
	result := must(t, 0, rig.Finish(cmd))
	write.Close()
	_ = read.SetReadDeadline(time.Now().Add(time.Second))
	if _, err := read.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a machine holds open a file that haplane was started with: %v", err)
	}
	t.Logf("first up took %s", result.Elapsed.Round(100*time.Millisecond))
	return result
}

func (c *cluster) checkFirstUp(t *testing.T, up rig.Result) {
	want(t, "stdout", up.Stdout, fmt.Sprintf("cluster %s is up; kubectl context: haplane-%s\n", c.Name, c.Name))
	var ended []string
	for _, m := range regexp.MustCompile(`(?m)^✓ (\S+) +\d+\.\ds`).FindAllStringSubmatch(up.Stderr, -1) {
		ended = append(ended, m[1])
	}
	log, all := c.log(t), []string(nil)
	for _, phase := range phases {
		all = append(all, phase[0])
		contains(t, "log", log, "msg=started phase="+phase[1]+" ")
	}
	if !same(ended, all) {
		t.Errorf("phases with their times on stderr are %v, want %v:\n%s", ended, all, up.Stderr)
	}
	contains(t, "log", log, "msg=finished phase=create-machine@cp-1", "machine=cp-1", "elapsed=")
}

// log is the text of the only log of `haplane up` so far.
func (c *cluster) log(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(c.Store(), "logs", "up-*.log"))
	if err != nil || len(files) != 1 {
		t.Fatalf("log files of up: %v, %v; want one", files, err)
	}
	info, err := os.Stat(files[0])
	if err != nil {
		t.Fatal(err)
	}
	want(t, "mode of the log", info.Mode().Perm(), 0o600)
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func (c *cluster) checkSecondUp(t *testing.T) {
	before := c.footprint(t)
	up := must(t, 0, c.Up(background(t)))
	t.Logf("second up took %s", up.Elapsed.Round(100*time.Millisecond))
	want(t, "stdout", up.Stdout, fmt.Sprintf("cluster %s is up; nothing changed\n", c.Name))
	for what, now := range c.footprint(t) {
		if d := cmp.Diff(before[what], now); d != "" {
			t.Errorf("%s changed (-before +after the second up):\n%s", what, d)
		}
	}
}

// footprintScript prints every file that haplane writes, and no kubelet renews by itself, with its times and its
// sum, and when each of the units' processes started.
const footprintScript = `find /etc /usr/local /opt/cni /var/lib/kubelet/config.yaml /var/lib/kubelet/pki /var/lib/kube-proxy \
  -type f ! -name 'kubelet-client-*' -printf '%p mode=%m owner=%u modified=%T@ changed=%C@\n' 2>/dev/null | sort
find /etc/kubernetes /etc/haproxy -type f -exec sha256sum {} + 2>/dev/null | sort
systemctl show --property=Id,MainPID,NRestarts,ExecMainStartTimestampMonotonic,InvocationID -- \
  etcd kube-apiserver kube-controller-manager kube-scheduler haplane-agent kubelet kube-proxy containerd flanneld haproxy`

// footprint is all that a second up could change: files and processes of the
// machines, keys, objects.
func (c *cluster) footprint(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{"keys": fields(-1, "find", filepath.Join(c.Store(), "pki"), filepath.Join(c.Store(), "ssh", "host-keys"),
		"-type", "f", "-printf", `%p %T@ %s\n`)}
	for _, node := range allNodes {
		out[node] = strings.Split(c.on(t, node, footprintScript), "\n")
		if n := len(out[node]); n < 50 {
			t.Errorf("footprint of %s has %d lines only", node, n)
		}
	}
	out["objects"] = c.versions(t)
	return out
}

// versions are the resource versions of what haplane applied or keeps, and the
// generation of what Kubernetes writes to by itself.
func (c *cluster) versions(t *testing.T) []string {
	t.Helper()
	ctx, client := background(t), c.client(t)
	var out []string
	add := func(o metav1.Object, err error) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s/%s %s", o.GetNamespace(), o.GetName(), o.GetResourceVersion()))
	}
	core, rbac := client.CoreV1(), client.RbacV1()
	add(core.Endpoints("default").Get(ctx, "kubernetes", metav1.GetOptions{}))
	add(client.DiscoveryV1().EndpointSlices("default").Get(ctx, "kubernetes", metav1.GetOptions{}))
	add(core.ConfigMaps("kube-system").Get(ctx, "coredns", metav1.GetOptions{}))
	add(core.Services("kube-system").Get(ctx, "kube-dns", metav1.GetOptions{}))
	add(rbac.ClusterRoleBindings().Get(ctx, "haplane:cluster-admins", metav1.GetOptions{}))
	add(rbac.ClusterRoleBindings().Get(ctx, "haplane:kubelet-api", metav1.GetOptions{}))
	add(rbac.Roles("default").Get(ctx, "haplane:agent", metav1.GetOptions{}))
	coredns, err := client.AppsV1().Deployments("kube-system").Get(ctx, "coredns", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return append(out, fmt.Sprintf("coredns generation %d", coredns.Generation))
}

// checkNameInUse tries to make a cluster of the same name from another home.
func (c *cluster) checkNameInUse(t *testing.T) {
	home := t.TempDir()
	cmd := c.Command(background(t), c.UpArgs()...)
	cmd.Env = append(cmd.Env, "HAPLANE_HOME="+home)
	result := must(t, 1, rig.Finish(cmd))
	contains(t, "error", result.Stderr, "error: check-host: ", "is not of this cluster", c.Home(), "use another cluster name")
	c.waitHealthy(t)
	contexts := c.Kubectl(background(t), "--kubeconfig", c.Kubeconfig(), "config", "get-contexts", "-o", "name")
	if got := strings.Fields(contexts.Stdout); !slices.Contains(got, "haplane-"+c.Name) {
		t.Errorf("contexts are %v", got)
	}
}

func (c *cluster) checkDown(t *testing.T, before host) {
	down := must(t, 0, c.Down(background(t)))
	t.Logf("down took %s", down.Elapsed.Round(100*time.Millisecond))
	before.left(t, lookAtHost(c.Rig))
	for _, what := range append([]string{"bridge ", "blackhole route " + c.Network.String(), "context haplane-" + c.Name, c.Store()}, allNodes...) {
		contains(t, "what down says", down.Stdout, what)
	}
	kubeconfig, err := os.ReadFile(c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	contains(t, "kubeconfig", string(kubeconfig), "work.example")
	if strings.Contains(string(kubeconfig), c.Name) {
		t.Errorf("the kubeconfig still has the cluster:\n%s", kubeconfig)
	}
	again := must(t, 0, c.Down(context.WithoutCancel(background(t))))
	want(t, "what a second down says", again.Stdout, fmt.Sprintf("nothing to remove: there is no cluster %s\n", c.Name))
	before.left(t, lookAtHost(c.Rig))
}
