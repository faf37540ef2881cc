package cluster

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/store"
)

// A way back counts where the data was not put in place again since, as an older haplane went on after it.
func TestWentBack(t *testing.T) {
	began := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	step := func(verb, node, state string, minute int) store.StepRecord {
		return store.StepRecord{ID: verb + "@" + node, Verb: verb, Node: node, State: state, At: began.Add(time.Duration(minute) * time.Minute)}
	}
	for name, test := range map[string]struct {
		steps []store.StepRecord
		want  bool
	}{
		"nothing":                      {nil, false},
		"on its way":                   {[]store.StepRecord{step(change.SwapData, "cp-1", store.Done, 1), step(change.WriteObject, "", store.Done, 2)}, false},
		"back":                         {[]store.StepRecord{step(change.SwapData, "cp-1", store.Done, 1), step(change.SwapDataBack, "cp-1", store.Done, 2)}, true},
		"perhaps back":                 {[]store.StepRecord{step(change.SwapData, "cp-1", store.Done, 1), step(change.SwapDataBack, "cp-1", store.Doing, 2)}, true},
		"back, and forward again":      {[]store.StepRecord{step(change.SwapDataBack, "cp-1", store.Done, 1), step(change.SwapData, "cp-1", store.Done, 2), step(change.WriteObject, "", store.Done, 3)}, false},
		"back, and not forward wholly": {[]store.StepRecord{step(change.SwapDataBack, "cp-1", store.Done, 1), step(change.SwapData, "cp-1", store.Doing, 2)}, true},
		"another one went forward":     {[]store.StepRecord{step(change.SwapDataBack, "cp-1", store.Done, 1), step(change.SwapData, "cp-2", store.Done, 2)}, true},
		"writes before any exchange":   {[]store.StepRecord{step(change.WriteObject, "", store.Done, 1)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := wentBack(test.steps); got != test.want {
				t.Errorf("it is %v", got)
			}
		})
	}
}

// What a restore does without --abort, where its way back stopped, depends on how far that came.
func TestWayOnFromAWayBack(t *testing.T) {
	swap := store.StepRecord{ID: "etcd-swap@cp-1", Verb: change.SwapData, Node: "cp-1", State: store.Done}
	back := store.StepRecord{ID: "etcd-swap-back@cp-1", Verb: change.SwapDataBack, Node: "cp-1", State: store.Doing}
	for want, steps := range map[string][]store.StepRecord{"goes on": {swap}, "begins anew": {swap, back}} {
		s := applied(t, commented)
		q := opened(t).Request()
		q.Abort, q.Task = true, &change.Task{ID: "a", Kind: change.RestoreData}
		if err := s.Update(func(r *store.Record) error {
			r.Change = &store.Change{ID: "1", Command: "haplane etcd restore", Task: (*store.Task)(q.Task), Steps: steps}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		l := asked(t, s, q)
		l.touched.Store(true)
		var hinted *HintedError
		if err := l.wayOn(errors.New("it stopped")); !errors.As(err, &hinted) || !strings.HasSuffix(hinted.Hint, "goes on with the way back; without --abort the restore "+want) {
			t.Errorf("%s: %v, %+v", want, err, hinted)
		}
	}
}
