package cluster

import (
	"testing"
	"time"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/store"
)

// A control-plane machine that is removed while the key of service accounts is rotated takes its audit log along.
func TestAuditLogsThatAreGone(t *testing.T) {
	for name, want := range map[string]int{pki.RotateServiceAccount: 1, pki.RotateCA: 0} {
		s := applied(t, commented)
		if err := s.Update(func(r *store.Record) error {
			r.Rotation = &store.Rotation{Name: name, Phase: pki.Switch}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		j := &journal{live: asked(t, s, opened(t).Request())}
		for _, step := range []change.Step{{ID: "a", Verb: change.RemoveMachine, Node: "cp-2"}, {ID: "b", Verb: change.RemoveMachine, Node: "worker-1"}, {ID: "c", Verb: change.Restart, Node: "cp-1"}} {
			for _, state := range []string{store.Doing, store.Done} {
				if err := j.Note(step, state); err != nil {
					t.Fatal(err)
				}
			}
		}
		gone := must[*store.Record](t)(s.Record()).Rotation.Gone
		if len(gone) != want || want > 0 && time.Since(gone["cp-2"]) > time.Minute {
			t.Errorf("%s: gone are %v", name, gone)
		}
	}
}
