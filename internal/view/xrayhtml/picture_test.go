package xrayhtml

import (
	"slices"
	"strings"
	"testing"
)

func TestPictureShows(t *testing.T) {
	for name, want := range map[string][]string{
		"shared": {"10.10.10.3:6443", "lb-1", "haproxy", "listens :6443", "3 backends", "Service kubernetes", "10.96.0.1",
			"cp-1", "10.10.10.11", "advertises", "10.10.10.3", "certificate for", "and 7 other names", "leader", "scheduler",
			"kubelet → load balancer", "etcd", "3.7.1", "etcd: 3 voting members, quorum 2", "worker-1", "ready"},
		"kubeadm":       {"load balancer, not looked into", "cp-2", "10.10.10.12", "leader"},
		"dead-node":     {"not ready", "no answer", "1 down"},
		"many-faults":   {"10.10.10.99", "api.old-name.example.org", "→ 10.10.10.12:6443", "not ready", "unhealthy", "1 down"},
		"ghosts":        {"not seen", "backend", "endpoint of the Service", "etcd member cp-4", "10.10.10.14", "10.10.10.15"},
		"external-etcd": {"etcd-1", "etcd-3", "unhealthy", "etcd: 3 voting members, quorum 2"},
		"five":          {"cp-5", "10.10.10.15 +1", "etcd: 5 voting members, quorum 3"},
		"two-balancers": {"lb-2", "2 backends"},
		"many-workers":  {"41 nodes", "5 not ready"},
		"folder":        {"not asked", "etcd: members not asked"},
		"by-api":        {"not looked into", "controller-manager", "leader"},
	} {
		for _, d := range drawings(caseOf(t, name)) {
			shown := texts(d.Boxes)
			for _, text := range want {
				if !slices.Contains(shown, text) {
					t.Errorf("%s, %s: %q is not in the picture: %q", name, d.Name, text, shown)
				}
			}
		}
	}
}

func texts(boxes []box) []string {
	var out []string
	for _, b := range boxes {
		for _, l := range b.Labels {
			out = append(out, l.Text)
		}
		out = append(out, texts(b.Inner)...)
	}
	return out
}

// Who leads is shown where it runs.
func TestLeadersAreMarked(t *testing.T) {
	for _, d := range drawings(caseOf(t, "shared")) {
		for node, want := range map[string]string{"node-0": "etcd", "node-1": "controller-manager", "node-2": "scheduler"} {
			if got := led(*find(d.Boxes, "at "+node)); got != want {
				t.Errorf("%s: %s leads %q, want %q", d.Name, node, got, want)
			}
		}
	}
}

// led is what stands before the word leader.
func led(b box) string {
	for _, l := range b.Labels {
		if l.Text != "leader" {
			continue
		}
		for _, other := range b.Labels {
			if other.Y == l.Y && other.Text != l.Text {
				return other.Text
			}
		}
	}
	for _, in := range b.Inner {
		if text := led(in); text != "" {
			return text
		}
	}
	return ""
}

// Those who do not see the picture are told the same.
func TestDescription(t *testing.T) {
	for name, want := range map[string]string{
		"many-faults": "Load balancer lb-1 has 3 backends, 1 down.",
		"shared":      "Control-plane node cp-1 advertises 10.10.10.3, is ready, has an etcd member: leader.",
		"ghosts":      "10.10.10.15 was not seen, but is named as endpoint of the Service.",
		"single":      "Endpoints of the kubernetes Service: 10.10.10.11.",
		"by-api":      "Control-plane node cp-2 leads kube-controller-manager.",
	} {
		for _, d := range drawings(caseOf(t, name)) {
			if !strings.Contains(d.Desc, want) {
				t.Errorf("%s, %s: description lacks %q: %s", name, d.Name, want, d.Desc)
			}
		}
	}
}
