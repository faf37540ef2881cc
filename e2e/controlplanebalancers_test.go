//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestLongControlPlaneBalancers has three control-plane nodes be the load balancers too. The one that has the address loses its HAProxy, its
// keepalived and its power; one is made anew, one joins and one leaves, while requests measure the cluster.
func TestLongControlPlaneBalancers(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-nodes", 57)
	text := fmt.Sprintf("apiVersion: haplane/v1alpha1\nkind: Cluster\nmetadata: {name: %s}\nspec:\n  loadBalancer: {kind: controlPlane}\n  network: {machineCIDR: %s, nat: false}\n",
		c.Name, c.Network)
	if err := os.WriteFile(c.File(), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	must(t, 0, c.Up(background(t)))
	virtual := c.address("lb-1") // the third of the network
	t.Run("the address is on one of them", func(t *testing.T) {
		had := c.holder(t)
		if own := c.on(t, had, "ip -brief address show eth0"); !strings.Contains(own, " "+virtual+"/32") || !strings.Contains(own, " "+c.address(had)+"/24") {
			t.Errorf("addresses of %s: %s", had, own)
		}
		listens := c.on(t, had, "ss -Htlnp sport = :6443")
		for address, program := range map[string]string{virtual: "haproxy", c.address(had): "kube-apiserver"} {
			if !strings.Contains(listens, address+":6443") || !strings.Contains(listens, `"`+program+`"`) {
				t.Errorf("no %s at %s:\n%s", program, address, listens)
			}
		}
		for _, node := range []string{"cp-1", "cp-2", "cp-3"} {
			if votes := c.on(t, node, "ss -Hulnp sport = :7444"); strings.Count(votes, "\n") != 0 || !strings.Contains(votes, c.address(node)+":7444") {
				t.Errorf("%s does not have one vote:\n%s", node, votes)
			}
		}
	})
	t.Run("x-ray", func(t *testing.T) {
		verdict := must(t, 0, c.Run(background(t), "xray", "--cluster", c.Name))
		contains(t, "x-ray", verdict.Stdout, "1 of 3 load balancers may fail")
	})
	c.survives(t)
	t.Run("the one that has it is made anew", func(t *testing.T) {
		had := c.holder(t)
		noneFailed(t, c.change(t, "node", "replace", had))
		if now := c.holder(t); now == had {
			t.Errorf("%s has the address still", now)
		}
		c.standsBy(t, had)
		c.drainsNothing(t, "cp-1", "cp-2", "cp-3")
	})
	t.Run("one joins and one leaves", func(t *testing.T) {
		had := c.holder(t)
		nothingLost(t, c.change(t, "node", "add", "--role", "control-plane"))
		c.standsBy(t, "cp-4")
		if now := c.holder(t); now != had {
			t.Errorf("the address moved from %s to %s:\n%s", had, now, c.on(t, had, "journalctl --no-pager --output=short-precise --lines=60 --unit=haproxy --unit=keepalived --unit=haplane-balancer"))
		}
		had = c.holder(t)
		left := c.change(t, "node", "remove", had)
		noneFailed(t, left)
		if !slices.ContainsFunc(left.Plan.Steps, func(s plannedStep) bool { return s.ID == "address-move@"+had }) {
			t.Errorf("%s left with the address: %+v", had, left.Plan.Steps)
		}
		if api := must(t, 0, c.Kubectl(background(t), "get", "--raw", "/readyz")); api.Stdout != "ok" {
			t.Errorf("/readyz: %s", api.Stdout)
		}
	})
}
