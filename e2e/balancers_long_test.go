//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/haplane/haplane/e2e/rig"
	"github.com/haplane/haplane/e2e/rig/address"
	"github.com/haplane/haplane/internal/provider/nspawn"
)

// TestLongLoadBalancers has one load balancer of a cluster that is in use become two, which move its address between
// them, and become one again. HAProxy and keepalived are killed, and a machine loses its power.
func TestLongLoadBalancers(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-pair", 56)
	must(t, 0, c.Up(background(t)))
	virtual := c.address("lb-1")
	t.Run("one becomes two", func(t *testing.T) {
		unnoticed(t, c.change(t, "node", "add", "--role", "load-balancer"))
		want(t, "who has the address", c.holder(t), "lb-1")
		if own := c.on(t, "lb-1", "ip -brief address show eth0"); !strings.Contains(own, " "+virtual+"/32") || strings.Contains(own, " "+virtual+"/24") {
			t.Errorf("addresses of lb-1: %s", own)
		}
		verdict := c.Run(background(t), "xray", "--cluster", c.Name)
		contains(t, "x-ray", verdict.Stdout, "1 of 2 load balancers may fail")
	})
	c.survives(t)
	t.Run("somebody else speaks VRRP", c.foreignVRRP)
	t.Run("a stranger has the address", c.stranger)
	t.Run("HAProxy refuses, and one dies while it is told", c.changesBackendsInTrouble)
	t.Run("one is made anew", func(t *testing.T) {
		had := c.holder(t)
		noneFailed(t, c.change(t, "node", "replace", had))
		if now := c.holder(t); now == had {
			t.Errorf("%s has the address still", now)
		}
		c.drainsNothing(t, "lb-1", "lb-2")
	})
	t.Run("two become one", func(t *testing.T) {
		var other string
		for _, lb := range []string{"lb-1", "lb-2"} {
			if lb != c.holder(t) {
				other = lb
			}
		}
		unnoticed(t, c.change(t, "node", "remove", other))
		if api := must(t, 0, c.Kubectl(background(t), "get", "--raw", "/readyz")); api.Stdout != "ok" {
			t.Errorf("/readyz: %s", api.Stdout)
		}
	})
}

// survives hurts the load balancer that has the address in each way, and sees that another one takes it: within how long new connections get
// through again, and until kubectl has an answer, a program that starts each time and waits for a second.
func (c *cluster) survives(t *testing.T) {
	t.Helper()
	for _, fault := range []struct{ name, line string }{
		{"HAProxy is killed", "systemctl kill --signal KILL haproxy"},
		{"HAProxy hangs", "systemctl kill --signal STOP haproxy"},
		{"keepalived is stopped", "systemctl stop keepalived"},
	} {
		t.Run(fault.name, func(t *testing.T) {
			had, took := c.holder(t), time.Duration(0)
			gap := c.newConnections(t, func() {
				c.on(t, had, fault.line)
				took = c.moved(t, had)
			})
			t.Logf("new connections failed for %s; kubectl had an answer after %s", ms(gap), ms(took))
			c.on(t, had, "systemctl kill --signal CONT haproxy; systemctl restart haproxy keepalived")
			c.standsBy(t, had)
		})
	}
	t.Run("the power of its machine is gone", func(t *testing.T) {
		had, took := c.holder(t), time.Duration(0)
		gap := c.newConnections(t, func() {
			if err := c.Provider().Kill(background(t), had); err != nil {
				t.Error(err)
				return
			}
			took = c.moved(t, had)
		})
		t.Logf("new connections failed for %s; kubectl had an answer after %s", ms(gap), ms(took))
		must(t, 0, c.Run(background(t), "apply", "--cluster", c.Name, "--yes"))
		c.standsBy(t, had)
	})
}

// noneFailed fails the test unless all lanes measured, and no request failed in any: but for those under way on a connection that was still open when
// a planned move had left it the time that it gets. Where answers take longer than it is until the next request, one always is.
func noneFailed(t *testing.T, o outcome) {
	t.Helper()
	nothingLost(t, o)
	for _, l := range o.Report.Lanes {
		if kept := l.Name == "lb-reused" || l.Name == "write"; !kept && l.Failed > 0 {
			t.Errorf("lane %s: %d of %d requests failed: %+v", l.Name, l.Failed, l.Requests, l.Outages)
			continue
		}
		for _, out := range l.Outages {
			if !strings.Contains(out.FirstError, "connection reset by peer") && !strings.Contains(out.FirstError, "force closed") {
				t.Errorf("lane %s: %d of %d requests failed: %+v", l.Name, l.Failed, l.Requests, out)
			}
		}
	}
}

// drainsNothing fails the test where something of a planned move of the address is left on a node.
func (c *cluster) drainsNothing(t *testing.T, nodes ...string) {
	t.Helper()
	for _, node := range nodes {
		left := c.on(t, node, `nft list tables | grep haplane-drain; ip -oneline address show dev lo to `+c.address("lb-1")+`
ls /run/haplane/drain-kept 2>/dev/null; systemctl list-units --no-legend --all haplane-drain.service
cat /proc/sys/net/ipv4/conf/eth0/arp_ignore /proc/sys/net/ipv4/conf/eth0/arp_announce`)
		if left != "0\n0" {
			t.Errorf("%s: %s", node, left)
		}
	}
}

// holder is the load balancer that has the address that clients use: just one.
func (c *cluster) holder(t *testing.T) string {
	t.Helper()
	var out []string
	wait(t, time.Minute, "one load balancer with the address", func(ctx context.Context) error {
		s, err := c.Status(ctx)
		if err != nil {
			return err
		}
		out = nil
		for _, lb := range s.LoadBalancers {
			if lb.HoldsAddress != nil && *lb.HoldsAddress {
				out = append(out, lb.Node)
			}
		}
		if len(out) != 1 {
			return fmt.Errorf("%v have the address", out)
		}
		return nil
	})
	return out[0]
}

// moved waits until the API answers at the address again, and another load balancer has it.
func (c *cluster) moved(t *testing.T, from string) time.Duration {
	t.Helper()
	took := wait(t, time.Minute, "the API at the address", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if result := c.Kubectl(ctx, "get", "--raw", "/readyz"); result.Code != 0 {
			return errors.New(result.Stderr)
		}
		return nil
	})
	if now := c.holder(t); now == from {
		t.Errorf("%s has the address still", from)
	}
	return took
}

// standsBy waits until a load balancer that was hurt could take the address.
func (c *cluster) standsBy(t *testing.T, node string) {
	t.Helper()
	wait(t, time.Minute, node+" to stand by", address.Machine{Cluster: c.Cluster, Name: node}.CouldTake)
}

// newConnections begins one to the API's address every 40 ms while something is done, and for a second afterwards, and returns the longest time between the
// beginnings of two that were answered. Each has half a second: the kernel sends what was lost again after a second, which is not how long the address was away.
func (c *cluster) newConnections(t *testing.T, do func()) time.Duration {
	t.Helper()
	const every, patience, worst = 40 * time.Millisecond, time.Second / 2, 3 * time.Second
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: c.roots(t)}}}
	ctx, cancel := context.WithCancel(background(t))
	defer cancel()
	var mu sync.Mutex
	var group sync.WaitGroup
	answered := []time.Time{}
	ask := func() {
		began := time.Now()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+c.endpoint()+"/readyz", nil)
		if err != nil {
			return
		}
		if response, err := client.Do(request); err == nil { // whatever it says: it came from an API server
			response.Body.Close()
			mu.Lock()
			answered = append(answered, began)
			mu.Unlock()
		}
	}
	done := make(chan struct{})
	group.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				group.Go(ask)
			}
		}
	})
	time.Sleep(patience) // so that there is one before
	do()
	time.Sleep(time.Second)
	close(done)
	group.Wait()
	slices.SortFunc(answered, time.Time.Compare)
	var gap time.Duration
	for i := range answered[:max(len(answered)-1, 0)] {
		gap = max(gap, answered[i+1].Sub(answered[i]))
	}
	if len(answered) == 0 || gap > worst {
		t.Errorf("of new connections %d were answered, and for %s none was", len(answered), ms(gap))
	}
	return gap
}

// foreignVRRP has another keepalived speak to the load balancers with their router ID. They do not heed it, and an x-ray says so.
func (c *cluster) foreignVRRP(t *testing.T) {
	had, network := c.holder(t), strings.TrimSuffix(c.address("lb-1"), "3")
	c.on(t, "cp-1", "cat >/run/foreign.conf <<EOF\nglobal_defs {\n vrrp_version 3\n}\nvrrp_instance theirs {\n state MASTER\n interface eth0\n virtual_router_id 3\n priority 254\n advert_int 1\n"+
		" unicast_src_ip "+c.address("cp-1")+"\n unicast_peer {\n  "+network+"4\n  "+network+"5\n }\n virtual_ipaddress {\n  "+network+"200/32 dev eth0\n }\n}\nEOF\n"+
		"systemd-run --unit=foreign /usr/sbin/keepalived --dont-fork --vrrp --log-console --pid=/run/foreign.pid --vrrp_pid=/run/foreign.vrrp --use-file=/run/foreign.conf")
	defer c.on(t, "cp-1", "systemctl stop foreign")
	wait(t, time.Minute, had+" to hear it", func(ctx context.Context) error { // the other one is in fault, and does not look at what comes
		if heard := c.SSH(ctx, had, "journalctl --no-pager --unit=keepalived --since=-1min | grep -E 'not a unicast peer|not present in MASTER advert'"); heard.Code != 0 {
			return errors.New("it says nothing of it")
		}
		return nil
	})
	gap := c.newConnections(t, func() { time.Sleep(3 * time.Second) })
	want(t, "who has the address", c.holder(t), had)
	t.Logf("longest time between two new connections meanwhile: %s", ms(gap))
	verdict := c.Run(background(t), "xray", "--cluster", c.Name)
	contains(t, "x-ray", verdict.Stdout, "1 of 2 load balancers may fail")
	all := c.Run(background(t), "xray", "--cluster", c.Name, "-o", "json")
	contains(t, "x-ray in full", all.Stdout, "keepalived does not heed it, and says: ")
}

// stranger has somebody at the bridge take the address while no load balancer has power. Nothing is started before he has gone.
func (c *cluster) stranger(t *testing.T) {
	const ns, port = "e2e-stranger", "e2e-stranger0"
	ctx, bridge, virtual := background(t), nspawn.BridgeName(c.Name), c.address("lb-1")
	ip := func(args ...string) string {
		t.Helper()
		out, err := exec.CommandContext(context.WithoutCancel(ctx), "ip", args...).CombinedOutput()
		if err != nil {
			t.Errorf("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	if err := c.Provider().Kill(ctx, "lb-1", "lb-2"); err != nil {
		t.Fatal(err)
	}
	ip("netns", "add", ns)
	gone := sync.OnceFunc(func() { ip("netns", "del", ns) })
	defer gone()
	ip("link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", ns)
	ip("link", "set", port, "master", bridge, "up")
	ip("-n", ns, "address", "add", virtual+"/24", "dev", "eth0")
	ip("-n", ns, "link", "set", "eth0", "up")
	mac := strings.Fields(ip("-n", ns, "-brief", "link", "show", "dev", "eth0"))[2]
	refused := must(t, 1, c.Run(ctx, "start", "--cluster", c.Name))
	contains(t, "start", refused.Stderr, "spec.loadBalancer.address: "+virtual+" is answered by the MAC address "+mac, port, bridge, "unplug it")
	list, err := c.Provider().List()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		if m.Running == strings.HasPrefix(m.Name, "lb-") {
			t.Errorf("%s runs: %v", m.Name, m.Running)
		}
	}
	gone()
	must(t, 0, c.Run(ctx, "start", "--cluster", c.Name))
	for _, lb := range []string{"lb-1", "lb-2"} {
		wait(t, time.Minute, lb+" to be well", func(ctx context.Context) error {
			if result := c.SSH(ctx, lb, "cat /run/haplane/haproxy"); strings.TrimSpace(result.Stdout) != "0" {
				return errors.New(result.String())
			}
			return nil
		})
	}
	c.holder(t)
}

// changesBackendsInTrouble has the configuration of both load balancers change. The HAProxy of the one that stands by refuses the new one; later the machine
// of the one that has the address loses its power while it is told. Each time the change ends there, the API is there, and the same change goes on.
func (c *cluster) changesBackendsInTrouble(t *testing.T) {
	had := c.holder(t)
	other := map[string]string{"lb-1": "lb-2", "lb-2": "lb-1"}[had]
	c.addPort(t, 8443)
	apply := func() rig.Result { return c.Run(background(t), "apply", "-f", c.File(), "--cluster", c.Name, "--yes") }
	reload := func(node, line string) { // what HAProxy's unit does before it loads its configuration, until the machine boots
		c.on(t, node, "mkdir -p /run/systemd/system/haproxy.service.d; printf '[Service]\\nExecReload=\\nExecReload="+line+"\\n' >/run/systemd/system/haproxy.service.d/e2e.conf")
	}
	serves := func() {
		t.Helper()
		if api := must(t, 0, c.Kubectl(background(t), "get", "--raw", "/readyz")); api.Stdout != "ok" {
			t.Errorf("/readyz: %s", api.Stdout)
		}
	}
	listens := func(node string) bool { return c.on(t, node, "ss -Htln sport = :8443") != "" }

	c.on(t, other, "echo nonsense >/run/refused.cfg")
	reload(other, "/usr/sbin/haproxy -c -q -f /run/refused.cfg")
	refused := must(t, 1, apply())
	contains(t, "a change that HAProxy refuses", refused.Stderr, other, "haproxy", "goes on with the one of before", "haplane apply --cluster "+c.Name+" goes on from there")
	if c.on(t, other, "grep -c 8443 /etc/haproxy/haproxy.cfg || true") != "0" || listens(other) || listens(had) {
		t.Error("somebody has the new configuration")
	}
	want(t, "who has the address", c.holder(t), had)
	serves()
	c.on(t, other, "rm -r /run/systemd/system/haproxy.service.d; systemctl daemon-reload")

	reload(had, "/bin/sleep 20")
	ended := make(chan rig.Result, 1)
	go func() { ended <- apply() }()
	wait(t, time.Minute, had+" to be told", func(ctx context.Context) error {
		if result := c.SSH(ctx, had, "pgrep -f '^/bin/sleep 20$'"); result.Code != 0 {
			return errors.New("its HAProxy is not told yet")
		}
		return nil
	})
	if err := c.Provider().Kill(background(t), had); err != nil {
		t.Fatal(err)
	}
	t.Logf("the address moved after %s", ms(c.moved(t, had)))
	contains(t, "a change in which a load balancer dies", must(t, 1, <-ended).Stderr, had, "the machine is off", "haplane apply --cluster "+c.Name+" goes on from there")
	serves()
	if !listens(other) {
		t.Errorf("%s was told first, and does not have the new configuration", other)
	}
	must(t, 0, apply())
	c.standsBy(t, had)
	for _, lb := range []string{"lb-1", "lb-2"} {
		if !listens(lb) {
			t.Errorf("%s does not listen at the new port", lb)
		}
	}
}

// addPort has the cluster's file ask for another port of the load balancer.
func (c *cluster) addPort(t *testing.T, port int) {
	t.Helper()
	var file map[string]any
	if err := yaml.Unmarshal(c.current(t), &file); err != nil {
		t.Fatal(err)
	}
	spec, _ := file["spec"].(map[string]any)
	balancer, _ := spec["loadBalancer"].(map[string]any)
	if balancer == nil {
		balancer = map[string]any{}
	}
	balancer["additionalPorts"], spec["loadBalancer"] = []int{port}, balancer
	text, err := yaml.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.File(), text, 0o644); err != nil {
		t.Fatal(err)
	}
}
