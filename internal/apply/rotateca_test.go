package apply

import (
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/phase"
	"github.com/haplane/haplane/internal/pki"
)

// What was published of an authority is taken out when no API server has it in memory any more: one that has would add it again.
func TestUnpublishWaitsForEachAPIServer(t *testing.T) {
	now := of(three...)
	w := newWorld(t, now)
	next, err := pki.Next(w.keys, pki.Catalogue(now), pki.CA, time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	kept := string(w.keys.Pairs[pki.CA].Cert)
	w.api.published, w.api.stale = kept+string(next.Cert), map[string]string{"cp-2": string(next.Cert)}
	r := w.runner(now)
	r.Rotation = &Rotation{Name: pki.RotateCA, Next: next}
	var waited []string
	r.Waiting = func(_, what string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if what == "" || slices.Contains(waited, what) {
			return
		}
		waited = append(waited, what)
		if !strings.Contains(w.api.published, string(next.Cert)) {
			t.Error("it was taken out before cp-2 had read its files again")
		}
		delete(w.api.stale, "cp-2") // it reads them
	}
	r.Report = func(phase.Event) {}
	if err := r.Run(t.Context(), &change.Change{Steps: []change.Step{{ID: "unpublish", Verb: change.Unpublish}}}); err != nil {
		t.Fatal(err)
	}
	if w.api.published != kept {
		t.Errorf("published is\n%s", w.api.published)
	}
	if want := "cp-2: API server accepts clients of CN=kubernetes-2 still"; !slices.Equal(waited, []string{want}) {
		t.Errorf("waited for %q, want %s", waited, want)
	}
}
