package apply

import (
	"testing"

	"github.com/haplane/haplane/internal/change"
)

// What the user cordoned stays so: also where haplane drains the node, and where it makes it anew. What haplane cordoned it uncordons.
func TestCordonIsKept(t *testing.T) {
	now := of(three...)
	one := func(verb string) *change.Change {
		return &change.Change{Steps: []change.Step{{ID: verb + "@worker-1", Verb: verb, Node: "worker-1"}}}
	}
	for name, byUser := range map[string]bool{"by the user": true, "by haplane": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, now)
			w.api.cordoned["worker-1"] = byUser
			for _, verb := range []string{change.DrainNode, change.DrainNode, change.UncordonNode, change.UncordonNode} {
				if err := w.runner(now).Run(t.Context(), one(verb)); err != nil {
					t.Fatal(err)
				}
				if want := byUser || verb == change.DrainNode; w.api.cordoned["worker-1"] != want {
					t.Errorf("after %s it is cordoned: %v", verb, !want)
				}
			}
			w.api.cordoned["worker-1"] = false // a new Node
			r := w.runner(now)
			if byUser {
				r.Cordoned = []string{"worker-1"}
			}
			if err := r.Run(t.Context(), one(change.NodeReady)); err != nil || w.api.cordoned["worker-1"] != byUser {
				t.Errorf("made anew, it is cordoned: %v, %v", w.api.cordoned["worker-1"], err)
			}
		})
	}
}
