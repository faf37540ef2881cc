//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/haplane/haplane/e2e/rig"
)

// checkAvailability takes API servers and a machine away while clients send requests.
func (c *cluster) checkAvailability(t *testing.T) {
	c.waitHealthy(t)
	before := c.versions(t)
	for _, node := range controlPlane {
		t.Run("stop-api-server-"+node, func(t *testing.T) { c.checkStop(t, node) })
	}
	t.Run("kill-api-server", func(t *testing.T) { c.checkKill(t, "cp-3") })
	// The first two are the Endpoints and the EndpointSlice: an API server that blanks
	// them when it stops would have made new versions of them, repaired or not.
	if after := c.versions(t); !slices.Equal(before[:2], after[:2]) {
		t.Errorf("the endpoints of default/kubernetes were written to: %v, before: %v", after[:2], before[:2])
	}
	t.Run("power-cut", c.checkPowerCut)
}

// checkStop stops an API server in order and starts it again. Nobody notices: the
// load balancer sends it nothing new, and leaves it the connections that it has.
func (c *cluster) checkStop(t *testing.T, node string) {
	tr := c.startTraffic(t)
	tr.answers(t, 10*time.Second)
	start := time.Now()
	c.on(t, node, "systemctl stop kube-apiserver")
	stopped := time.Since(start)
	c.waitStatus(t, "status to show it", func(s rig.Status) error { return shows(s, node, false) })
	want(t, "number of requests that failed during a planned stop", tr.report(t, "API server of "+node+" stopped"), 0)
	c.on(t, node, "systemctl start kube-apiserver")
	c.waitHealthy(t)
	want(t, "number of requests that failed during the start", tr.report(t, "API server of "+node+" started"), 0)
	t.Logf("the stop took %s", stopped.Round(100*time.Millisecond))
}

func (c *cluster) checkKill(t *testing.T, node string) {
	tr := c.startTraffic(t)
	tr.answers(t, 10*time.Second)
	pid := c.on(t, node, "systemctl show --property=MainPID --value kube-apiserver")
	c.on(t, node, "systemctl kill --signal=KILL kube-apiserver")
	tr.answers(t, 30*time.Second)
	c.waitStatus(t, "another process to be ready", func(s rig.Status) error {
		if now := c.on(t, node, "systemctl show --property=MainPID --value kube-apiserver"); now == pid || now == "0" {
			return errors.New("the process is " + now)
		}
		return shows(s, node, true)
	})
	tr.report(t, "API server of "+node+" killed")
	c.waitHealthy(t)
}

// checkPowerCut takes the machine of the etcd leader away, and lets `haplane up`
// bring it back.
func (c *cluster) checkPowerCut(t *testing.T) {
	status, err := c.Status(background(t))
	if err != nil {
		t.Fatal(err)
	}
	node := etcdLeader(status)
	tr := c.startTraffic(t)
	tr.answers(t, 10*time.Second)
	if err := c.Provider().Kill(background(t), node); err != nil {
		t.Fatal(err)
	}
	tr.answers(t, 60*time.Second)
	c.waitStatus(t, "status to show it, and another leader of etcd", func(s rig.Status) error {
		if now := etcdLeader(s); now == "" || now == node {
			return fmt.Errorf("leader of etcd is %q", now)
		}
		return shows(s, node, false)
	})
	tr.report(t, "machine "+node+" without power")
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "written-without-" + node}}
	if _, err := c.client(t).CoreV1().ConfigMaps("default").Create(background(t), object, metav1.CreateOptions{}); err != nil {
		t.Errorf("write with a machine less: %v", err)
	}
	up := must(t, 0, c.Up(background(t)))
	t.Logf("up repaired it in %s", up.Elapsed.Round(100*time.Millisecond))
	if strings.Contains(up.Stdout, "nothing changed") {
		t.Errorf("up says that nothing changed:\n%s", up)
	}
	c.waitHealthy(t)
	tr.report(t, "machine "+node+" back")
	out := c.on(t, node, etcdctl+"get --keys-only /registry/configmaps/default/written-without-"+node)
	contains(t, "the key that was written meanwhile, from its own member", out, "written-without-"+node)
	c.waitForWorkload(t)
	again := must(t, 0, c.Up(background(t)))
	contains(t, "what up says then", again.Stdout, "nothing changed")
}

func (c *cluster) waitStatus(t *testing.T, what string, ok func(rig.Status) error) {
	t.Helper()
	wait(t, 90*time.Second, what, func(ctx context.Context) error {
		s, err := c.Status(ctx)
		if err != nil {
			return err
		}
		return ok(s)
	})
}

func etcdLeader(s rig.Status) string {
	for _, m := range s.Etcd.Members {
		if is(m.Leader, true) {
			return m.Name
		}
	}
	return ""
}

// shows fails unless a status says of all that is on a node that it is, or is not, well.
func shows(s rig.Status, node string, well bool) error {
	for _, a := range s.APIServers {
		if is(a.Ready, true) != (a.Node != node || well) {
			return fmt.Errorf("API server of %s: ready is not %v", a.Node, a.Node != node || well)
		}
	}
	for _, lb := range s.LoadBalancers {
		for _, b := range lb.Backends {
			if is(b.Up, true) != (b.Node != node || well) {
				return fmt.Errorf("backend %s: up is not %v", b.Node, b.Node != node || well)
			}
		}
	}
	if len(s.APIServers) != 3 || len(s.LoadBalancers) != 1 || len(s.LoadBalancers[0].Backends) != 3 {
		return errors.New("status shows fewer API servers or backends than there are")
	}
	return nil
}
