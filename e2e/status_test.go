//go:build e2e

package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

// statusFields is the contract for scripts, by exact name; Status of package rig
// reads names in any case.
var statusFields = map[string][]string{
	"nodes":         {"name", "role", "ready"},
	"apiServers":    {"node", "ready"},
	"etcd.members":  {"name", "leader", "learner", "healthy"},
	"loadBalancers": {"node", "holdsAddress", "backends"},
}

func (c *cluster) checkStatus(t *testing.T) {
	c.waitHealthy(t)
	out := must(t, 0, c.Run(background(t), "status", "--cluster", c.Name, "-o", "json"))
	var s map[string]any
	if err := json.Unmarshal([]byte(out.Stdout), &s); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	for path, names := range statusFields {
		checkItems(t, path, dig(s, strings.Split(path, ".")...), names)
	}
	backends := dig(dig(s, "loadBalancers").([]any)[0], "backends")
	checkItems(t, "backends", backends, []string{"node", "up"})
	leaders, _ := s["leaders"].(map[string]any)
	for _, name := range []string{"kube-controller-manager", "kube-scheduler"} {
		if holder, ok := leaders[name].(string); !ok || !onControlPlane(holder) {
			t.Errorf("leaders.%s is %v", name, leaders[name])
		}
	}
	if endpoints, ok := s["kubernetesServiceEndpoints"].([]any); !ok || len(endpoints) != 1 || endpoints[0] != c.endpoint() {
		t.Errorf("kubernetesServiceEndpoints is %v, want %s alone", s["kubernetesServiceEndpoints"], c.endpoint())
	}
	text := must(t, 0, c.Run(background(t), "status", "--cluster", c.Name))
	contains(t, "status", text.Stdout, append([]string{"shared", c.endpoint(), "healthy, leader"}, allNodes...)...)
	if strings.Contains(text.Stdout, "not ready") || strings.Contains(text.Stdout, "could not look") {
		t.Errorf("status of a healthy cluster:\n%s", text.Stdout)
	}
}

func dig(v any, path ...string) any {
	for _, name := range path {
		object, _ := v.(map[string]any)
		v = object[name]
	}
	return v
}

func checkItems(t *testing.T, path string, v any, names []string) {
	t.Helper()
	list, _ := v.([]any)
	if len(list) == 0 {
		t.Errorf("%s is %v, want a list", path, v)
	}
	for _, item := range list {
		for _, name := range names {
			if dig(item, name) == nil {
				t.Errorf("%s has an item without %s: %v", path, name, item)
			}
		}
	}
}
