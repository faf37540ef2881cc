//go:build e2e

package e2e

import "testing"

// TestCluster brings a cluster up, looks at it from all sides, breaks and mends
// it, and takes it down. Each part leaves the cluster as healthy as it found it.
func TestCluster(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-main", 1)
	before := lookAtHost(r)
	first := c.bringUp(t)
	for _, part := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"up", func(t *testing.T) { c.checkFirstUp(t, first) }},
		{"up-again", c.checkSecondUp},
		{"status", c.checkStatus},
		{"identity", c.checkIdentity},
		{"kubeconfig", c.checkKubeconfig},
		{"workload", c.checkWorkload},
		{"security", c.checkSecurity},
		{"agent", c.checkAgent},
		{"availability", c.checkAvailability},
		{"flags", c.checkFlags},
		{"name-in-use", c.checkNameInUse},
		{"down", func(t *testing.T) { c.checkDown(t, before) }},
	} {
		t.Run(part.name, part.run)
	}
}
