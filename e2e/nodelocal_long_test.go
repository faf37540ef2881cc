//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/haplane/haplane/internal/kubeprobe"
	"github.com/haplane/haplane/internal/probe"
)

// TestLongNodeLocal has the only load balancer of a cluster lose its power: kubelets and pods of workers with load balancers of their own, by the
// load balancer's address and by the kubernetes Service, do not notice. Then a worker's own load balancer dies, API servers restart, die, join and leave, and workers lose
// their load balancers and get them again, while the cluster is in use.
func TestLongNodeLocal(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-local", 59)
	c.writeNodeLocal(t, true)
	must(t, 0, c.Up(background(t)))
	workers := []string{"worker-1", "worker-2"}
	has := func(t *testing.T) {
		for _, worker := range workers {
			c.ownLeads(t, worker, 3)
			if through := c.SSH(background(t), "cp-1", "curl --silent --insecure --max-time 5 https://"+c.address(worker)+":7445/readyz"); through.Code == 0 {
				t.Errorf("another machine reaches the API through %s: %s", worker, through.Stdout)
			}
		}
		verdict := c.Run(background(t), "xray", "--cluster", c.Name)
		contains(t, "x-ray", strings.Join(strings.Fields(verdict.Stdout), " "), "lb-1, the only load balancer, is a single point of failure; worker-1, worker-2 and the pods there have load balancers of their own")
	}
	t.Run("workers have their own", has)
	t.Run("the power of the load balancer is gone", func(t *testing.T) { c.checkFrontGone(t, workers) })
	for _, fault := range []struct {
		name, node, line string
		gap              float64 // without a new connection that gets through, in milliseconds; 0 where next to none may fail
	}{
		{"an API server restarts", "cp-1", "systemctl restart kube-apiserver", 0},
		{"an API server is killed", "cp-2", "systemctl kill --signal KILL kube-apiserver", 1000}, // what is under way there, through any load balancer
		{"a worker's own restarts", "worker-1", "systemctl restart haproxy", 0},
		{"a worker's own is killed", "worker-1", "systemctl kill --signal KILL haproxy", 1000}, // until systemd has taken its rules away
	} {
		t.Run(fault.name, func(t *testing.T) {
			for name, l := range c.fromWorker(t, func() {
				c.on(t, fault.node, fault.line)
				c.on(t, fault.node, "sleep 5") // what is measured
				c.ownLeads(t, "worker-1", 3)
			}) {
				if l.Failed > 1+l.Requests/200 && l.LongestGap > fault.gap {
					t.Errorf("%s: %d of %d requests failed: %v", name, l.Failed, l.Requests, l.Outages)
				}
			}
		})
	}
	t.Run("one joins while a worker is off", func(t *testing.T) {
		if err := c.Provider().Kill(background(t), "worker-2"); err != nil {
			t.Fatal(err)
		}
		unnoticed(t, c.change(t, "node", "add", "--role", "control-plane"))
		for _, worker := range workers {
			c.ownLeads(t, worker, 4)
		}
	})
	t.Run("one leaves", func(t *testing.T) {
		unnoticed(t, c.change(t, "node", "remove", "cp-4"))
		for _, worker := range workers {
			c.ownLeads(t, worker, 3)
		}
	})
	t.Run("workers lose their own", func(t *testing.T) {
		c.writeNodeLocal(t, false)
		noneFailed(t, c.change(t, "apply", "-f", c.File()))
		for _, worker := range workers {
			left := c.on(t, worker, "nft list tables | grep haplane-local; ls -d /etc/haproxy/haproxy.cfg /etc/systemd/system/haproxy.service /usr/local/lib/haplane/lead-to-local 2>/dev/null; systemctl is-active haproxy | grep -v inactive; true")
			if left != "" {
				t.Errorf("left on %s: %s", worker, left)
			}
		}
	})
	t.Run("workers get their own", func(t *testing.T) {
		c.writeNodeLocal(t, true)
		o := c.change(t, "apply", "-f", c.File())
		noneFailed(t, o)
		var told []string
		for _, s := range o.Plan.Steps {
			if s.Verb == "lb-backends" {
				told = append(told, s.ID)
			}
		}
		if !slices.Equal(told, []string{"lb-backends@worker-1/local", "lb-backends@worker-2/local"}) {
			t.Errorf("told are %v", told)
		}
		has(t)
	})
}

// frontGone is for how long the load balancer is off: longer than a Node stays Ready whose kubelet reaches nobody.
const frontGone = 75 * time.Second

// checkFrontGone takes the power of the load balancer's machine away for a while.
func (c *cluster) checkFrontGone(t *testing.T, workers []string) {
	client, newest := c.clients(t)["cp-1"], map[string]time.Time{}
	lanes := c.fromWorker(t, func() {
		began := strings.TrimSpace(c.on(t, "worker-1", "date +%s"))
		if err := c.Provider().Kill(background(t), "lb-1"); err != nil {
			t.Fatal(err)
		}
		asked := make(chan string, 1)
		line := fmt.Sprintf("end=$(($(date +%%s) + %d)); while [ $(date +%%s) -lt $end ]; do curl --silent --show-error --fail --insecure --max-time 5 https://%s/readyz >/dev/null 2>&1 && echo yes || echo no; sleep 0.2; done | sort | uniq -c",
			int(frontGone.Seconds())-10, c.endpoint())
		go func() { asked <- c.SSH(background(t), "worker-1", line).Stdout }()
		for end := time.Now().Add(frontGone); time.Now().Before(end); time.Sleep(time.Second) {
			list, err := client.CoordinationV1().Leases("kube-node-lease").List(background(t), metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range list.Items {
				newest[l.Name] = l.Spec.RenewTime.Time
				if age := time.Since(l.Spec.RenewTime.Time); slices.Contains(workers, l.Name) && age > leaseLate {
					t.Errorf("the kubelet of %s has not renewed its Lease for %s", l.Name, ms(age))
				}
			}
			c.readyThroughout(t, client, workers)
		}
		if seen := strings.Fields(<-asked); len(seen) != 2 || seen[1] != "yes" {
			t.Errorf("worker-1 at the load balancer's address: %q", seen)
		} else {
			t.Logf("  worker-1 at the load balancer's address: %s new connections, all got through", seen[0])
		}
		// What they say of a request that fails has where it went.
		said := c.on(t, "worker-1", "journalctl --no-pager --output=cat --unit=kubelet --unit=kube-proxy --unit=flanneld --since=@"+began+" | grep -F "+c.endpoint()+
			" | grep -E 'dial tcp|timeout|connection (refused|reset|lost)|deadline exceeded|EOF'; true")
		if said != "" {
			t.Errorf("worker-1 noticed:\n%s", said)
		}
		must(t, 0, c.Run(background(t), "start", "--cluster", c.Name))
	})
	for _, node := range controlPlane { // or it was not away
		if age := time.Since(newest[node]); age < frontGone/2 {
			t.Errorf("the kubelet of %s, without one of its own, renewed its Lease %s ago", node, ms(age))
		}
	}
	if lanes[kubeprobe.LBNew].Failed == 0 {
		t.Error("clients of the load balancer noticed nothing: it was there")
	}
	for _, name := range []string{kubeprobe.InCluster, kubeprobe.Worker} {
		if l := lanes[name]; l.Failed > 0 {
			t.Errorf("%s: %d of %d requests failed: %v", name, l.Failed, l.Requests, l.Outages)
		}
	}
}

// leaseLate is more than the 10 s after which a kubelet renews its Lease, and less than it has.
const leaseLate = 20 * time.Second

// readyThroughout fails the test where a Node is not Ready.
func (c *cluster) readyThroughout(t *testing.T, client kubernetes.Interface, nodes []string) {
	t.Helper()
	list, err := client.CoreV1().Nodes().List(background(t), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range list.Items {
		for _, condition := range n.Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status != corev1.ConditionTrue && slices.Contains(nodes, n.Name) {
				t.Errorf("Node %s: %s", n.Name, condition.Message)
			}
		}
	}
}

func (c *cluster) writeNodeLocal(t *testing.T, local bool) {
	t.Helper()
	text := fmt.Sprintf("apiVersion: haplane/v1alpha1\nkind: Cluster\nmetadata: {name: %s}\nspec:\n  loadBalancer: {nodeLocal: %v}\n  network: {machineCIDR: %s, nat: false}\n"+
		"  nodes: [{role: control-plane}, {role: control-plane}, {role: control-plane}, {role: worker}, {role: worker}]\n", c.Name, local, c.Network)
	if err := os.WriteFile(c.File(), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// ownLeads waits until a worker's own load balancer sends requests to some API servers, and fails the test unless what the worker sends to the
// API is led there.
func (c *cluster) ownLeads(t *testing.T, worker string, servers int) {
	t.Helper()
	wait(t, time.Minute, "the load balancer of "+worker, func(ctx context.Context) error {
		s, err := c.Status(ctx)
		if err != nil {
			return err
		}
		up := 0
		for _, lb := range s.LoadBalancers {
			for _, b := range lb.Backends {
				if lb.Node == worker && lb.Local && b.Up != nil && *b.Up {
					up++
				}
			}
		}
		if up != servers {
			return fmt.Errorf("it sends requests to %d API servers, want %d", up, servers)
		}
		return nil
	})
	rules := c.on(t, worker, "nft list table ip haplane-local")
	for _, to := range []string{"ip daddr " + c.address("lb-1") + " tcp dport 6443", "ip daddr 10.96.0.1 tcp dport 443"} {
		if rule := to + " dnat to " + c.address(worker) + ":7445"; !strings.Contains(strings.NewReplacer("{ ", "", " }", "").Replace(rules), rule) {
			t.Errorf("no rule %q on %s:\n%s", rule, worker, rules)
		}
	}
}

// fromWorker sends requests through the load balancer from here, and from worker-1 and a pod there, while something happens, and returns what each lane saw.
func (c *cluster) fromWorker(t *testing.T, happens func()) map[string]probe.LaneReport {
	t.Helper()
	target := kubeprobe.ForConfig(c.config(t), nil)
	target.Node = "worker-1"
	lanes, err := target.Lanes(kubeprobe.LBNew, kubeprobe.InCluster, kubeprobe.Worker)
	if err != nil {
		t.Fatal(err)
	}
	session, err := probe.Start(background(t), lanes, probe.Options{Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Stop()
	happens()
	report, out := session.Stop(), map[string]probe.LaneReport{}
	for _, e := range report.Errors {
		t.Errorf("could not be measured: %s", e)
	}
	for _, l := range report.Lanes {
		t.Logf("  lane %-12s %5d requests, %d failed, longest gap %.0f ms", l.Name, l.Requests, l.Failed, l.LongestGap)
		if out[l.Name] = l; l.Requests < 50 {
			t.Errorf("%s: %d requests say nothing", l.Name, l.Requests)
		}
	}
	for _, name := range []string{kubeprobe.LBNew, kubeprobe.InCluster, kubeprobe.Worker} {
		if _, measured := out[name]; !measured {
			t.Errorf("%s was not measured", name)
		}
	}
	return out
}
