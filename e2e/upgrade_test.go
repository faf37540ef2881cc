//go:build e2e

package e2e

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/haplane/haplane/e2e/rig"
)

// The versions between which clusters are upgraded here, and those of haplane's own pods.
const (
	olderKubernetes = "v1.36.3"
	newerKubernetes = "v1.37.2"
	olderDNS        = "v1.14.0"
	newerPause      = "v0.1.99"
)

// upgradeLimit is how long an upgrade of three control-plane nodes and a worker may take.
const upgradeLimit = 150 * time.Second

// TestUpgrade upgrades a cluster of the older minor under all lanes, by machines that are made anew from the
// new image, goes back, and upgrades it again in place. CoreDNS is another one after each of them, and in place so is pause: pods find their
// images wherever they come to, and DNS serves. It needs programs of both minors: make e2e-upgrade builds them.
func TestUpgrade(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-upgrade", 27)
	// The last minor that has this API, for who asks for it.
	c.append(t, "  kubernetesVersion: v1.36 # the older one\n  extraArgs: {kube-apiserver: {runtime-config: networking.k8s.io/v1beta1=true}}\n")
	c.upWithOlderDNS(t)
	d := &day{cluster: c, controlPlane: controlPlane, workers: []string{"worker-1"}}
	want(t, "versions of the kubelets", c.kubelets(t), strings.Repeat(olderKubernetes+" ", len(kubeNodes)))

	for to, says := range map[string]string{
		"v1.38.0": "from v1.36.3 to v1.38.0 skips a minor version: Kubernetes is upgraded by one at a time, so next is v1.37",
		"v1.35.1": "v1.35.1 is older than v1.36.3, which the cluster has",
		"v1.37.9": "kubernetesVersion is v1.37.9, but this haplane builds v1.37.2 and v1.36.3",
		"newest":  "newest",
	} {
		refused := must(t, 2, c.Run(background(t), "upgrade", "--to", to, "--cluster", c.Name, "--yes"))
		contains(t, "what is said of --to "+to, refused.Stderr, says)
	}
	contains(t, "what status says of a newer version", must(t, 0, c.Run(background(t), "status", "--cluster", c.Name)).Stdout,
		"KUBERNETES", olderKubernetes, "haplane upgrade --to "+newerKubernetes)
	contains(t, "what up does of itself", must(t, 0, c.Run(background(t), "up", "--cluster", c.Name)).Stdout, "nothing changed")

	c.asksForRemoved(t)
	serials := c.serials(t)
	began := time.Now()
	o := c.changeWithDNS(t, "upgrade", "--to", newerKubernetes)
	if took := time.Since(began); took > upgradeLimit {
		t.Errorf("the upgrade took %s, wanted at most %s", took, upgradeLimit)
	}
	unnoticed(t, o)
	want(t, "number of certificates that changed", len(o.Certificates), 0)
	want(t, "serials of all certificates", c.serials(t), serials)
	want(t, "versions of the kubelets", c.kubelets(t), strings.Repeat(newerKubernetes+" ", len(kubeNodes)))
	for _, node := range controlPlane {
		contains(t, "version of the API server of "+node, c.on(t, node, "curl --silent --cacert /etc/kubernetes/pki/ca.crt --cert /etc/kubernetes/pki/apiserver-kubelet-client.crt --key /etc/kubernetes/pki/apiserver-kubelet-client.key https://127.0.0.1:6443/version"), newerKubernetes)
	}
	text := c.current(t)
	contains(t, "the cluster file", string(text), "kubernetesVersion: "+newerKubernetes+" # the older one")
	if found, err := filepath.Glob(filepath.Join(c.Store(), "snapshots", "*.tar")); err != nil || len(found) != 1 {
		t.Errorf("snapshots %v, %v", found, err)
	}
	newerDNS := c.dnsImages(t)
	if strings.Contains(newerDNS, olderDNS) {
		t.Errorf("pods of CoreDNS have %s after the upgrade", newerDNS)
	}
	d.wellAgain(t)

	must(t, 0, c.Kubectl(background(t), "cordon", "worker-1")) // which keeps new pods away from its new machine, too
	d.killedInUpgrade(t)
	want(t, "whether worker-1 is cordoned still", c.cordoned(t), "worker-1")
	must(t, 0, c.Kubectl(background(t), "uncordon", "worker-1"))
	want(t, "versions of the kubelets after the way back", c.kubelets(t), strings.Repeat(olderKubernetes+" ", len(kubeNodes)))
	want(t, "serials of all certificates after the way back", c.serials(t), serials)
	want(t, "images of CoreDNS after the way back", c.dnsImages(t), imagesOfDNS(olderDNS))
	d.wellAgain(t)

	machines := c.machineIDs(t)
	r.Components = componentsWith(t, r, map[string]string{"workload/VERSION": newerPause + "\n"})
	o = c.changeWithDNS(t, "upgrade", "--to", "v1.37", "--in-place")
	r.Components = ""
	unnoticed(t, o)
	want(t, "images of CoreDNS after an upgrade in place", c.dnsImages(t), newerDNS)
	running := ""
	for _, node := range kubeNodes {
		contains(t, "configuration of containerd on "+node, c.on(t, node, "cat /etc/containerd/config.toml"), "haplane.local/pause:"+newerPause)
		running += c.on(t, node, "ctr --namespace k8s.io containers list")
	}
	contains(t, "containers after an upgrade in place", running, "haplane.local/pause:"+newerPause)
	c.noImageMissed(t)
	want(t, "number of certificates that changed in place", len(o.Certificates), 0)
	want(t, "machines after an upgrade in place", c.machineIDs(t), machines)
	want(t, "versions of the kubelets after an upgrade in place", c.kubelets(t), strings.Repeat(newerKubernetes+" ", len(kubeNodes)))
	d.wellAgain(t)
}

// tookTurns looks at the time line of an upgrade: each control-plane node had a turn, all workers one together, and what came after a turn, but for the
// last, began when the pause was over.
func tookTurns(t *testing.T, o outcome, pause time.Duration, workers ...string) {
	t.Helper()
	began := map[string]time.Time{}
	for _, m := range o.Report.Marks {
		began[m.Text] = m.At
	}
	var turns []string // the looks with which they end
	for _, s := range o.Plan.Steps {
		if s.Verb == "check-cluster" {
			turns = append(turns, s.ID)
		}
	}
	together := slices.DeleteFunc(slices.Clone(workers), func(w string) bool { return !slices.Contains(turns, "check-cluster@"+w) })
	if len(turns) != len(controlPlane)+1 || len(together) != 1 {
		t.Fatalf("turns that end with %v", turns)
	}
	for _, look := range turns[:len(turns)-1] {
		next := 0
		for _, s := range o.Plan.Steps {
			if !slices.Contains(s.Needs, look) || began[s.ID].IsZero() {
				continue
			}
			if next++; began[s.ID].Sub(began[look]) < pause {
				t.Errorf("%s began %s after %s", s.ID, ms(began[s.ID].Sub(began[look])), look)
			}
		}
		if next == 0 {
			t.Errorf("nothing came after %s", look)
		}
	}
	for _, one := range workers {
		for _, other := range workers {
			if drained, ready := began["node-drain@"+one], began["node-ready@"+other]; drained.IsZero() || ready.IsZero() || drained.After(ready) {
				t.Errorf("%s was drained at %s, and %s to be Ready again at %s", one, drained, other, ready)
			}
		}
	}
}

// asksForRemoved has a client ask for an API that the newer version does not have: an upgrade is refused until the API server that was asked is
// restarted.
func (c *cluster) asksForRemoved(t *testing.T) {
	t.Helper()
	must(t, 0, c.Kubectl(background(t), "get", "--raw", "/apis/networking.k8s.io/v1beta1/servicecidrs"))
	refused := must(t, 1, c.Run(background(t), "upgrade", "--to", newerKubernetes, "--cluster", c.Name, "--yes"))
	says := regexp.MustCompile(`clients have asked (cp-\d) for servicecidrs.v1beta1.networking.k8s.io, which v1.37 does not have any more`).FindStringSubmatch(refused.Stderr)
	if says == nil {
		t.Fatalf("of an API that is removed it says:\n%s", refused.Stderr)
	}
	c.on(t, says[1], "systemctl restart kube-apiserver")
	c.waitStatus(t, "API server of "+says[1], func(s rig.Status) error {
		for _, a := range s.APIServers {
			if a.Node == says[1] && !is(a.Ready, true) {
				return errors.New("it is not ready")
			}
		}
		return nil
	})
}

// TestUpgradeKilled kills haplane at the first step of each kind of an upgrade, by machines that are made anew and in place: the
// same command goes on each time, in place also after a machine had no room. Between the two, it goes back with two workers at once. Clients notice none of it.
func TestUpgradeKilled(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-upgkill", 28)
	c.append(t, "  kubernetesVersion: v1.36\n")
	c.upWithOlderDNS(t)
	d := &day{cluster: c, controlPlane: controlPlane, workers: []string{"worker-1"}}
	serials := c.serials(t)
	all := func(version string) string { return strings.Repeat(version+" ", len(d.controlPlane)+len(d.workers)) }
	for _, way := range []struct {
		name string
		args []string
		anew bool
		at   []string
	}{
		{"replacing", []string{"upgrade", "--to", newerKubernetes}, true, []string{"etcd-snapshot/", "remove-machine/", "create-machine/", "member-promote/", "activate/"}},
		{"in-place", []string{"upgrade", "--to", newerKubernetes, "--in-place"}, false, []string{"bring-programs/", "etcd-snapshot/", "use-programs/", "activate/"}},
	} {
		if !t.Run(way.name, func(t *testing.T) {
			if !way.anew {
				c.withoutRoom(t, "cp-2", "/usr/local/lib/haplane/programs", func() {
					c.noRoom(t, c.Run(background(t), append(way.args, "--cluster", c.Name, "--yes", "--no-probe")...), "cp-2", "haplane upgrade --resume")
				})
			}
			want(t, "versions of the kubelets before", c.kubelets(t), all(olderKubernetes))
			machines, clients := c.machineIDs(t), d.startTraffic(t)
			c.runKilled(t, killing{args: way.args, kind: kind, at: way.at})
			clients.unnoticed(t, "killed at each kind of step")
			want(t, "versions of the kubelets", c.kubelets(t), all(newerKubernetes))
			want(t, "machines are others", c.machineIDs(t) != machines, way.anew)
			want(t, "serials of all certificates", c.serials(t), serials)
			if images := c.dnsImages(t); strings.Contains(images, olderDNS) {
				t.Errorf("pods of CoreDNS have %s", images)
			}
			c.noImageMissed(t)
			d.wellAgain(t)
		}) {
			return
		}
		if way.anew {
			must(t, 0, c.Run(background(t), "node", "add", "worker-2", "--cluster", c.Name, "--yes", "--no-probe"))
			d.joined(&d.workers, "worker-2")
			o := c.change(t, "upgrade", "--back", "--workers-at-once", "2", "--pause-between", "1s")
			unnoticed(t, o)
			tookTurns(t, o, time.Second, d.workers...)
			d.wellAgain(t)
		}
	}
}

// componentsWith copies the components' modules, and gives some files of them another text.
func componentsWith(t *testing.T, r *rig.Rig, texts map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "components")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(r.Root, "components"))); err != nil {
		t.Fatal(err)
	}
	for file, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// upWithOlderDNS brings the cluster up with a CoreDNS that says that it is of an older version: the code is that of the one which
// haplane builds, so that its modules are there, and its program and container image are others.
func (c *cluster) upWithOlderDNS(t *testing.T) {
	t.Helper()
	read := func(file string) string {
		text, err := os.ReadFile(filepath.Join(c.Root, "components", "coredns", file))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	pinned := regexp.MustCompile(`(?m)^require github.com/coredns/coredns (v\S+)$`)
	module := pinned.ReplaceAllString(read("go.mod"), "require github.com/coredns/coredns "+olderDNS+"\n\nreplace github.com/coredns/coredns => github.com/coredns/coredns $1")
	program := strings.Replace(read("main.go"), "import (\n", "import (\n\t\"fmt\"\n\t\"os\"\n", 1)
	program = strings.Replace(program, "func main() {\n", "func main() {\n\tif len(os.Args) == 2 && os.Args[1] == \"-version\" {\n\t\tfmt.Println(\"CoreDNS "+olderDNS+"\")\n\t\treturn\n\t}\n", 1)
	c.Components = componentsWith(t, c.Rig, map[string]string{"coredns/go.mod": module, "coredns/main.go": program})
	must(t, 0, c.Up(background(t)))
	c.Components = ""
	want(t, "images of CoreDNS", c.dnsImages(t), imagesOfDNS(olderDNS))
}

// imagesOfDNS are what dnsImages says of one version.
func imagesOfDNS(version string) string {
	return strings.Repeat("haplane.local/coredns:"+version+" ", 2)
}

// dnsImages are those of the pods of CoreDNS, each with a space behind it.
func (c *cluster) dnsImages(t *testing.T) string {
	t.Helper()
	return must(t, 0, c.Kubectl(background(t), "--namespace", "kube-system", "get", "pods", "--selector", "k8s-app=kube-dns", "--field-selector", "status.phase=Running",
		"-o", "jsonpath={range .items[*]}{.spec.containers[0].image}{' '}{end}")).Stdout
}

// changeWithDNS is change with a look at DNS every two seconds: a pod of it serves throughout, no pod lacks its image, and pods of the
// new version are told of before a node is drained, when each has the image.
func (c *cluster) changeWithDNS(t *testing.T, args ...string) outcome {
	t.Helper()
	ctx, stop := context.WithCancel(background(t))
	defer stop()
	least := make(chan int, 1)
	go func() {
		few := 2
		defer func() { least <- few }()
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(2 * time.Second):
			}
			seen := c.Kubectl(ctx, "--namespace", "kube-system", "get", "deployment", "coredns", "-o", "jsonpath=available: {.status.availableReplicas}")
			if text, ok := strings.CutPrefix(seen.Stdout, "available: "); seen.Code == 0 && ok {
				n, _ := strconv.Atoi(text) // nothing where it is none
				few = min(few, n)
			}
		}
	}()
	o := c.change(t, args...)
	stop()
	if few := <-least; few < 1 {
		t.Error("no pod of CoreDNS served for a time")
	}
	told, drained, brought := -1, -1, 0
	for i, s := range o.Plan.Steps {
		switch {
		case s.Verb == "bring-images" && told < 0:
			brought++
		case s.Verb == "apply-manifests":
			told = i
		case s.Verb == "node-drain" && drained < 0:
			drained = i
		}
	}
	want(t, "machines to which container images are brought first", brought, len(kubeNodes))
	if told < 0 || drained < told {
		t.Errorf("pods are told of at step %d, and a node is drained at %d", told, drained)
	}
	c.noImageMissed(t)
	return o
}

// noImageMissed fails the test where a pod of kube-system lacked its image for a time.
func (c *cluster) noImageMissed(t *testing.T) {
	t.Helper()
	events := must(t, 0, c.Kubectl(background(t), "--namespace", "kube-system", "get", "events", "-o", "jsonpath={range .items[*]}{.involvedObject.name}: {.message}{\"\\n\"}{end}")).Stdout
	for line := range strings.Lines(events) {
		if strings.Contains(line, "Failed to pull image") || strings.Contains(line, "Back-off pulling image") {
			t.Errorf("a pod lacked its image: %s", line)
		}
	}
}

// machineIDs tells which machine each node is, and when its init began: one that was made anew has others.
func (c *cluster) machineIDs(t *testing.T) string {
	t.Helper()
	out := ""
	for _, node := range kubeNodes {
		out += node + " " + c.on(t, node, "stat --format=%Y /proc/1; cat /etc/machine-id")
	}
	return out
}

// killedInUpgrade goes back to the older version, is killed on the way, and goes on with that.
func (d *day) killedInUpgrade(t *testing.T) {
	t.Helper()
	cmd, _ := d.start(t, "upgrade", "--back", "--cluster", d.Name, "--yes", "--no-probe")
	d.waitStep(t, cmd, "remove-machine@cp-2")
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	contains(t, "status of an upgrade that was cut off", d.Run(background(t), "status", "--cluster", d.Name).Stdout,
		"an upgrade from "+newerKubernetes+" to "+olderKubernetes+" was cut off", "haplane upgrade --resume")
	contains(t, "what apply --abort says", must(t, 1, d.Run(background(t), "apply", "--abort", "--cluster", d.Name, "--yes")).Stderr, "haplane upgrade --resume")
	unnoticed(t, d.change(t, "upgrade", "--resume"))
}

// kubelets are the versions that nodes tell, each with a space behind it.
func (c *cluster) kubelets(t *testing.T) string {
	t.Helper()
	return must(t, 0, c.Kubectl(background(t), "get", "nodes", "-o", "jsonpath={range .items[*]}{.status.nodeInfo.kubeletVersion}{' '}{end}")).Stdout
}

// cordoned are the nodes that take no new pods.
func (c *cluster) cordoned(t *testing.T) string {
	t.Helper()
	return must(t, 0, c.Kubectl(background(t), "get", "nodes", "-o", "jsonpath={.items[?(@.spec.unschedulable)].metadata.name}")).Stdout
}

// serials are those of every certificate on every node, by its path.
func (c *cluster) serials(t *testing.T) string {
	t.Helper()
	out := ""
	for _, node := range allNodes {
		out += node + "\n" + c.on(t, node, "for f in $(find /etc/kubernetes /var/lib/kubelet/pki /etc/haproxy -name '*.crt' 2>/dev/null | sort); do echo $f $(openssl x509 -in $f -noout -serial); done")
	}
	return out
}
