package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A store keeps keys and tells those who watch. It can lose one, be out, and cut or freeze watches.
type store struct {
	began time.Time

	mu      sync.Mutex
	keys    []string
	changed chan struct{} // closed and replaced with each key
	cut     chan struct{}

	out     time.Duration // from when Open is refused, for a second
	oldest  int           // versions before it are expired
	frozen  bool
	silent  bool
	lost    string
	removed int
}

func newStore() *store {
	return &store{began: time.Now(), changed: make(chan struct{}), cut: make(chan struct{}), out: time.Hour}
}

func (s *store) Write(_ context.Context, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append(s.keys, key)
	s.wake()
	return nil
}

func (s *store) wake() {
	if !s.frozen {
		close(s.changed)
		s.changed = make(chan struct{})
	}
}

func (s *store) Stored(context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.keys), func(key string) bool { return key == s.lost }), nil
}

func (s *store) Remove(context.Context) error { s.removed++; return nil }

func (s *store) set(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
}

type stream struct {
	*store
	ctx  context.Context
	next int
	cut  chan struct{}
}

func (s *store) Open(ctx context.Context, version string) (Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := time.Since(s.began); at >= s.out && at < s.out+time.Second {
		return nil, errors.New("connection refused")
	}
	next := 0
	if version != "" {
		_, _ = fmt.Sscan(version, &next)
		if next < s.oldest {
			s.oldest = 0
			return nil, ErrExpired
		}
	}
	return &stream{s, ctx, next, s.cut}, nil
}

func (s *stream) Next() (Event, error) {
	for {
		s.mu.Lock()
		changed := s.changed
		if s.next < len(s.keys) && !s.frozen && !s.silent {
			s.next++
			e := Event{Keys: s.keys[s.next-1 : s.next], Version: fmt.Sprint(s.next)}
			s.mu.Unlock()
			return e, nil
		}
		s.mu.Unlock()
		select {
		case <-s.ctx.Done():
			return Event{}, s.ctx.Err()
		case <-s.cut:
			return Event{}, io.EOF
		case <-changed:
		}
	}
}

func (s *stream) Close() {}

func TestWritesAndWatch(t *testing.T) {
	type gap struct {
		Start, End time.Duration
		Over       bool
		FirstError string
	}
	after := func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond }
	for name, test := range map[string]struct {
		happens func(*store) // after a second of four
		lost    []string
		resumed int
		relists int
		missed  int
		longest float64
		gaps    []gap
		failed  bool
	}{
		"nothing": {happens: func(*store) {}},
		"a write is lost": {happens: func(s *store) { s.set(func() { s.lost = "w10" }) },
			lost: []string{"w10"}, failed: true},
		"the watch is cut": {happens: func(s *store) { close(s.cut); s.set(func() { s.cut = make(chan struct{}) }) },
			resumed: 1, longest: 50, gaps: []gap{{after(1010), after(1060), true, "EOF"}}},
		"the watch is cut and refused for a second": {happens: func(s *store) {
			s.set(func() { s.out = after(1000) })
			close(s.cut)
			s.set(func() { s.cut = make(chan struct{}) })
		},
			resumed: 1, longest: 1000, gaps: []gap{{after(1010), after(2010), true, "EOF"}}},
		"the version is too old": {happens: func(s *store) {
			s.set(func() { s.oldest = 10_000 })
			close(s.cut)
			s.set(func() { s.cut = make(chan struct{}) })
		}, relists: 1, longest: 100, gaps: []gap{{after(1010), after(1110), true, "EOF"}}},
		"the watch is silent": {happens: func(s *store) {
			s.set(func() { s.silent = true })
			time.Sleep(2 * time.Second)
			s.set(func() { s.silent = false; s.wake() })
		}, longest: 1990, gaps: []gap{{after(1020), after(3010), true, ""}}, failed: true},
		// The lanes end after 4 s, and the watch has the time of a request, 5 s, for what is left.
		"the watch is silent for good": {happens: func(s *store) { s.set(func() { s.silent = true }) },
			missed: 150, longest: 7990, gaps: []gap{{after(1020), after(9010), false, ""}}, failed: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				st := newStore()
				s, err := Start(t.Context(), []Lane{{Name: "write", Writes: st}, {Name: "watch", Watch: st}}, Options{})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(after(1010))
				test.happens(st)
				time.Sleep(time.Until(st.began.Add(after(4010))))
				r := s.Stop()
				if r.Writes.Acknowledged != 201 || !r.Writes.Checked || r.Writes.Lost != len(test.lost) || st.removed != 1 {
					t.Errorf("%+v, removed %d times", r.Writes, st.removed)
				}
				if d := cmp.Diff(append([]string{}, test.lost...), r.Writes.LostKeys); d != "" {
					t.Errorf("lost (-want +got):\n%s", d)
				}
				var got []gap
				for _, g := range r.Watch.Gaps {
					got = append(got, gap{g.Start.Sub(st.began), g.End.Sub(st.began), g.Over, g.FirstError})
				}
				if d := cmp.Diff(test.gaps, got); d != "" {
					t.Errorf("gaps (-want +got):\n%s", d)
				}
				if w := r.Watch; w.LongestGap != test.longest || w.Resumed != test.resumed || w.Relisted != test.relists || w.Missed != test.missed {
					t.Errorf("longest %v, %d resumed, %d relisted, %d missed", w.LongestGap, w.Resumed, w.Relisted, w.Missed)
				}
				if r.Failed() != test.failed {
					t.Errorf("failed is %v", r.Failed())
				}
			})
		})
	}
}

// Without an answer nothing is known of what was written: that is said, and no loss is made up.
func TestWritesThatCannotBeLookedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Start(t.Context(), []Lane{{Name: "write", Writes: blind{newStore()}}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second - time.Millisecond)
		r := s.Stop()
		want := []string{"look for what was written: connection refused", "remove what was written: connection refused"}
		if d := cmp.Diff(want, r.Errors); d != "" || r.Writes.Checked || r.Writes.Lost != 0 || r.Writes.Acknowledged != 50 {
			t.Errorf("%+v\n%s", r.Writes, d)
		}
	})
}

type blind struct{ *store }

func (blind) Stored(context.Context) ([]string, error) { return nil, errors.New("connection refused") }

func (blind) Remove(context.Context) error { return errors.New("connection refused") }
