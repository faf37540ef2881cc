package store

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Client certificates that are made anew are ours until the change has ended that does it, and are forgotten later.
func TestRetiredCertificates(t *testing.T) {
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	before := map[string]time.Time{"long ago": at.Add(-2 * time.Hour), "lately": at.Add(-time.Minute)}
	r := Record{Retired: before}
	r.Retire([]string{"now"})
	r.Retire(nil)
	want := map[string]time.Time{"long ago": at.Add(-2 * time.Hour), "lately": at.Add(-time.Minute), "now": {}}
	if diff := cmp.Diff(want, r.Retired); diff != "" || len(before) != 2 {
		t.Error(before, diff)
	}
	r.SettleRetired(at)
	if diff := cmp.Diff(map[string]time.Time{"lately": at.Add(-time.Minute), "now": at}, r.Retired); diff != "" {
		t.Error(diff)
	}
	none := Record{}
	none.Retire(nil)
	if none.SettleRetired(at); none.Retired != nil {
		t.Errorf("of nothing there is %v", none.Retired)
	}
}
