package cluster

import (
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/spec"
)

// Load balancers that share an address are made anew one after the other: one of them has it meanwhile.
func TestOneLoadBalancerAtATime(t *testing.T) {
	file := "apiVersion: haplane/v1alpha1\nkind: Cluster\nspec:\n  nodes: [{role: control-plane}, {role: load-balancer}, {role: load-balancer}]\n"
	c, err := spec.Parse("f.yaml", []byte(file))
	if err != nil {
		t.Fatal(err)
	}
	r := &store.Record{Applied: c}
	for _, n := range c.Spec.Nodes {
		r.Nodes = append(r.Nodes, store.Node{Name: n.Name, Role: n.Role, Address: n.Address, State: store.Active})
	}
	if err := checkRequest(r, Request{Wanted: c, Replace: []string{"lb-1"}}); err != nil {
		t.Error(err)
	}
	err = checkRequest(r, Request{Wanted: c, Replace: []string{"lb-1", "lb-2"}})
	if want := "replace lb-1, lb-2: nobody would have 10.10.10.3 meanwhile"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}
