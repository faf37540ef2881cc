package phase

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A diary of the tasks of a graph: what ran, in the order in which it ended.
type diary struct {
	mu  sync.Mutex
	ran []string
}

func (d *diary) task(id string, err error, needs ...string) Task {
	return Task{ID: id, Needs: needs, Run: func(context.Context) (State, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.ran = append(d.ran, id)
		return Finished, err
	}}
}

func TestGraphKeepsTheOrder(t *testing.T) {
	var d diary
	err := RunGraph(t.Context(), []Task{d.task("c", nil, "b", "met-before"), d.task("a", nil), d.task("b", nil, "a")}, func(Event) {})
	if err != nil || !slices.Equal(d.ran, []string{"a", "b", "c"}) {
		t.Errorf("ran %v, error %v", d.ran, err)
	}
}

func TestGraphRunsSideBySide(t *testing.T) {
	first, second := make(chan struct{}), make(chan struct{})
	meet := func(mine, other chan struct{}) func(context.Context) (State, error) {
		return func(context.Context) (State, error) { close(mine); <-other; return Finished, nil }
	}
	if err := RunGraph(t.Context(), []Task{{ID: "a", Run: meet(first, second)}, {ID: "b", Run: meet(second, first)}}, func(Event) {}); err != nil {
		t.Error(err)
	}
}

func TestGraphStopsAfterAFailure(t *testing.T) {
	var d diary
	var events []Event
	var mu sync.Mutex
	err := RunGraph(t.Context(), []Task{d.task("a", errors.New("broken")), d.task("b", nil, "a"), d.task("c", nil, "b")}, func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, e)
	})
	if err == nil || !strings.Contains(err.Error(), "a: broken") || !slices.Equal(d.ran, []string{"a"}) {
		t.Errorf("ran %v, error %v", d.ran, err)
	}
	if len(events) != 2 || events[1].State != Failed {
		t.Errorf("events %v", events)
	}
}

func TestGraphEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var d diary
	err := RunGraph(ctx, []Task{
		{ID: "a", Run: func(context.Context) (State, error) { cancel(); return Finished, nil }},
		d.task("b", nil, "a"),
	}, func(Event) {})
	if !errors.Is(err, context.Canceled) || len(d.ran) > 0 {
		t.Errorf("ran %v, error %v", d.ran, err)
	}
}
