//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestChangeExternalEtcd moves etcd, with its data, from the control-plane nodes to machines of its own
// while clients go on, takes it there from three members to five, one and three, and back. Nobody notices, and
// nothing is left where a member was.
func TestChangeExternalEtcd(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-move", 24)
	before := lookAtHost(r)
	must(t, 0, c.Up(background(t)))
	d := &day{cluster: c, controlPlane: slices.Clone(controlPlane), workers: []string{"worker-1"}}
	must(t, 0, c.Kubectl(background(t), "create", "configmap", "carried", "--from-literal=key=value"))

	own := []string{"etcd-1", "etcd-2", "etcd-3"}
	unnoticed(t, c.change(t, append([]string{"node", "add", "--role", "etcd"}, own...)...))
	d.joined(&d.etcd, own...)
	d.etcdIsWhere(t)
	for _, node := range d.controlPlane {
		left := c.on(t, node, "ls -A /var/lib/etcd; ls /etc/kubernetes/pki/etcd; systemctl is-enabled etcd.service 2>/dev/null || true")
		want(t, "what is left of etcd on "+node, left, "ca.crt")
	}

	for _, step := range []struct {
		verb  string
		nodes []string
	}{
		{"add", []string{"etcd-4", "etcd-5"}}, {"remove", []string{"etcd-1", "etcd-2", "etcd-3", "etcd-4"}}, {"add", []string{"etcd-1", "etcd-2"}},
	} {
		args := []string{"node", step.verb}
		if step.verb == "add" {
			args = append(args, "--role", "etcd")
			d.joined(&d.etcd, step.nodes...)
		} else {
			d.left(&d.etcd, step.nodes...)
		}
		unnoticed(t, c.change(t, append(args, step.nodes...)...))
		d.etcdIsWhere(t)
	}

	unnoticed(t, c.change(t, append([]string{"node", "remove"}, d.etcd...)...))
	d.etcd = nil
	d.etcdIsWhere(t)
	must(t, 0, c.Down(background(t)))
	before.left(t, lookAtHost(r))
}

// TestChangeExternalEtcdKilled kills haplane in the middle of the move, goes back from there and is killed again, and is
// killed on the way home. Each time the next run goes on, and clients notice next to nothing.
func TestChangeExternalEtcdKilled(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-moved", 25)
	must(t, 0, c.Up(background(t)))
	d := &day{cluster: c, controlPlane: slices.Clone(controlPlane), workers: []string{"worker-1"}}
	must(t, 0, c.Kubectl(background(t), "create", "configmap", "carried", "--from-literal=key=value"))
	clients := c.startTraffic(t)
	defer clients.unnoticed(t, "etcd moves, killed")

	out := []string{"node", "add", "--role", "etcd", "etcd-1"}
	for _, step := range []string{"member-promote@etcd-1", "stop@cp-1/kube-apiserver", "member-remove@cp-1", "write-files@cp-2"} {
		c.killedIn(t, step, out...)
	}
	for _, step := range []string{"member-promote@cp-2", "write-files@cp-1"} {
		c.killedIn(t, step, "apply", "--abort")
	}
	must(t, 0, c.Run(background(t), "apply", "--abort", "--cluster", c.Name, "--yes", "--no-probe"))
	d.etcdIsWhere(t)

	must(t, 0, c.Run(background(t), append(out, "--cluster", c.Name, "--yes", "--no-probe")...))
	d.joined(&d.etcd, "etcd-1")
	d.etcdIsWhere(t)
	home := []string{"node", "remove", "etcd-1"}
	for _, step := range []string{"member-add@cp-1", "start@cp-2/etcd", "member-remove@etcd-1"} {
		c.killedIn(t, step, home...)
	}
	must(t, 0, c.Run(background(t), append(home, "--cluster", c.Name, "--yes", "--no-probe")...))
	d.etcd = nil
	d.etcdIsWhere(t)
}

// killedIn kills haplane as a step of a change begins.
func (c *cluster) killedIn(t *testing.T, id string, args ...string) {
	t.Helper()
	before := c.changeID()
	cmd, stderr := c.start(t, append(slices.Clone(args), "--cluster", c.Name, "--yes", "--no-probe")...)
	wait(t, 2*time.Minute, id+" to begin", func(context.Context) error {
		if c.changeID() == before || !slices.ContainsFunc(c.steps(), func(s step) bool { return s.ID == id }) {
			return fmt.Errorf("steps so far: %v\n%s", c.steps(), stderr)
		}
		return nil
	})
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	contains(t, "status after a kill in "+id, c.Run(background(t), "status", "--cluster", c.Name).Stdout, "cut off")
}

// changeID is that of the change under way, or the one that was cut off last.
func (c *cluster) changeID() string {
	data, _ := os.ReadFile(filepath.Join(c.Store(), "record.json"))
	var record struct{ Change struct{ ID string } }
	_ = json.Unmarshal(data, &record)
	return record.Change.ID
}

// etcdIsWhere fails the test unless the cluster is well with its members where they should be, its API servers
// ask these, and what was written before is there.
func (d *day) etcdIsWhere(t *testing.T) {
	t.Helper()
	d.wellAgain(t)
	asked := "https://127.0.0.1:2379"
	if len(d.etcd) > 0 {
		var urls []string
		for _, node := range d.etcd {
			_, number, _ := strings.Cut(node, "-")
			urls = append(urls, strings.TrimSuffix(d.address("lb-1"), "3")+"3"+number) // etcd-1 is .31
		}
		asked = "https://" + strings.Join(urls, ":2379,https://") + ":2379"
	}
	for _, node := range d.controlPlane {
		for _, a := range d.arguments(t, node, "kube-apiserver") {
			if list, ok := strings.CutPrefix(a, "--etcd-servers="); ok {
				want(t, "members that the API server of "+node+" asks", list, asked)
			}
		}
	}
	contains(t, "what was written before", must(t, 0, d.Kubectl(background(t), "get", "configmap", "carried", "-o", "jsonpath={.data.key}")).Stdout, "value")
}
