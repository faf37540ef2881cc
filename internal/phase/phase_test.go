package phase

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type recorder struct {
	mu     sync.Mutex
	events []string
}

func (r *recorder) report(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	line := fmt.Sprint(e.ID, " ", e.State)
	if e.Err != nil {
		line += " " + e.Err.Error()
	}
	r.events = append(r.events, line)
}

func yes(context.Context, *int) (bool, error) { return true, nil }
func no(context.Context, *int) (bool, error)  { return false, nil }
func add(_ context.Context, n *int) error     { *n++; return nil }

func TestRunSkipsWhatIsDone(t *testing.T) {
	var r recorder
	ran := 0
	err := Run(t.Context(), &ran, []Phase[*int]{{ID: "a", Done: yes, Run: add}, {ID: "b", Done: no, Run: add}, {ID: "c", Run: add}}, r.report)
	want := []string{"a started", "a current", "b started", "b finished", "c started", "c finished"}
	if diff := cmp.Diff(want, r.events); diff != "" || ran != 2 || err != nil {
		t.Errorf("ran %d, %v\n%s", ran, err, diff)
	}
}

func TestRunStopsAtTheFirstFailure(t *testing.T) {
	boom := errors.New("boom")
	fail := func(context.Context, *int) error { return boom }
	broken := func(context.Context, *int) (bool, error) { return false, boom }
	for name, p := range map[string]Phase[*int]{
		"run":  {ID: "x", Run: fail},
		"done": {ID: "x", Done: broken, Run: add},
	} {
		t.Run(name, func(t *testing.T) {
			var r recorder
			ran := 0
			err := Run(t.Context(), &ran, []Phase[*int]{p, {ID: "later", Run: add}}, r.report)
			if !errors.Is(err, boom) || err.Error() != "x: boom" || ran != 0 {
				t.Errorf("ran %d, %v", ran, err)
			}
			if !slices.Contains(r.events, "x failed x: boom") {
				t.Error(r.events)
			}
		})
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ran := 0
	err := Run(ctx, &ran, []Phase[*int]{{ID: "a", Run: add}}, func(Event) {})
	if !errors.Is(err, context.Canceled) || !strings.HasPrefix(err.Error(), "a: ") || ran != 0 {
		t.Error(err, ran)
	}
}
