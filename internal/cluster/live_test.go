package cluster

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/spec"
)

// testOptions are those of a run without a user.
func testOptions(t *testing.T, s store.Store) Options {
	t.Helper()
	return Options{Store: s, Cache: t.TempDir(), Report: func(Progress) {}, Log: slog.New(slog.DiscardHandler)}
}

// The first bring-up was cut off: there is nothing yet that could be changed.
func TestUnfinishedClusterIsNotChanged(t *testing.T) {
	s := testStore(t)
	c := spec.Default("demo")
	if err := s.Update(func(r *store.Record) error { r.Wanted = c; return nil }); err != nil {
		t.Fatal(err)
	}
	_, err := Apply(t.Context(), Request{Wanted: c}, testOptions(t, s))
	var hinted *HintedError
	if !errors.Is(err, errUnfinished) || !errors.As(err, &hinted) || hinted.Hint != "haplane up --cluster demo finishes it" {
		t.Errorf("error %v", err)
	}
}
