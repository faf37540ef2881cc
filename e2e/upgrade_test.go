//go:build e2e

package e2e

import (
	"errors"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haplane/haplane/e2e/rig"
)

// The versions between which clusters are upgraded here.
const (
	olderKubernetes = "v1.36.3"
	newerKubernetes = "v1.37.2"
)

// upgradeLimit is how long an upgrade of three control-plane nodes and a worker may take.
const upgradeLimit = 150 * time.Second

// TestUpgrade upgrades a cluster of the older minor under all lanes, by machines that are made anew from the
// new image, goes back, and upgrades it again in place. It needs programs of both minors: make e2e-upgrade builds them.
func TestUpgrade(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-upgrade", 27)
	// The last minor that has this API, for who asks for it.
	c.append(t, "  kubernetesVersion: v1.36 # the older one\n  extraArgs: {kube-apiserver: {runtime-config: networking.k8s.io/v1beta1=true}}\n")
	must(t, 0, c.Up(background(t)))
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
	o := c.change(t, "upgrade", "--to", newerKubernetes)
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
	d.wellAgain(t)

	must(t, 0, c.Kubectl(background(t), "cordon", "worker-1")) // which keeps new pods away from its new machine, too
	d.killedInUpgrade(t)
	want(t, "whether worker-1 is cordoned still", c.cordoned(t), "worker-1")
	must(t, 0, c.Kubectl(background(t), "uncordon", "worker-1"))
	want(t, "versions of the kubelets after the way back", c.kubelets(t), strings.Repeat(olderKubernetes+" ", len(kubeNodes)))
	want(t, "serials of all certificates after the way back", c.serials(t), serials)
	d.wellAgain(t)

	machines := c.machineIDs(t)
	o = c.change(t, "upgrade", "--to", "v1.37", "--in-place")
	unnoticed(t, o)
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
	must(t, 0, c.Up(background(t)))
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
