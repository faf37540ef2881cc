package xray

import (
	"slices"
	"testing"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

// What a way in cannot see is skipped with a reason, and never passed.
func TestUnseenIsSkipped(t *testing.T) {
	members := []string{"etcd-quorum", "etcd-members-match-nodes", "etcd-odd-members", "etcd-learners", "etcd-same-version", "etcd-alarms-and-quota", "etcd-disk-latency"}
	files := []string{"etcd-own-ca", "etcd-cert-names", "ca-expiry", "chain-valid", "key-permissions", "service-account-key-equal", "ca-equal", "encryption-config-equal"}
	flags := []string{"etcd-tls", "etcd-endpoints-of-api-servers", "front-proxy"}
	for _, way := range []struct {
		name   string
		of     func() *evidence.Evidence
		checks []string
	}{
		{"a kubeconfig", apiOnly(healthy(spec.Shared)), slices.Concat(members, files, flags)},
		{"a kubeconfig of kubeadm", apiOnly(evidencetest.Kubeadm), slices.Concat(members, files)},
		{"a folder", inFolder(healthy(spec.Shared)), members},
		{"a folder of kubeadm", inFolder(evidencetest.Kubeadm), members},
	} {
		for _, id := range way.checks {
			check, _ := Find(id)
			for _, f := range check.findings(NewScene(way.of(), Expectation{})) {
				if f.Status != Skip || f.Observed == "" {
					t.Errorf("%s: want a skip with a reason\n%s", way.name, show([]Finding{f}))
				}
			}
		}
	}
}
