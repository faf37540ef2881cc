package probe

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Silence is what no lane explains by itself: neither by its pause between two requests, nor by this process.
func TestLongestSilence(t *testing.T) {
	second := func(n int) time.Duration { return time.Duration(n) * time.Second }
	for name, test := range map[string]struct {
		rate float64
		outs []out
		late []Lateness // since the session began
		from time.Duration
		want time.Duration
	}{
		"none":                   {rate: 10},
		"a slow lane":            {rate: 0.1},
		"refused":                {rate: 10, outs: []out{{second(2), second(8), refuse}}, want: second(6)},
		"before it was asked":    {rate: 10, outs: []out{{second(2), second(8), refuse}}, from: second(9)},
		"until now":              {rate: 10, outs: []out{{second(14), second(99), refuse}}, want: second(6)},
		"haplane late all of it": {rate: 10, outs: []out{{second(2), second(8), refuse}}, late: []Lateness{{Start: time.Time{}.Add(second(1)), End: time.Time{}.Add(second(9))}}},
		"haplane late in part":   {rate: 10, outs: []out{{second(2), second(8), refuse}}, late: []Lateness{{Start: time.Time{}.Add(second(3)), End: time.Time{}.Add(second(5))}}, want: second(4)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				it := server{began: time.Now(), outs: test.outs}
				s, err := Start(t.Context(), []Lane{{Name: "it", Send: it.send, Rate: test.rate}}, Options{Timeout: 50 * time.Millisecond})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(second(20) - time.Millisecond)
				for _, l := range test.late {
					s.self.late = append(s.self.late, Lateness{it.began.Add(l.Start.Sub(time.Time{})), it.began.Add(l.End.Sub(time.Time{}))})
				}
				got := s.LongestSilence(it.began.Add(test.from))
				if off := got.Time - test.want; off.Abs() > 100*time.Millisecond || test.want > 0 && got.Lane != "it" {
					t.Errorf("%+v, want %s", got, test.want)
				}
				s.Stop()
			})
		})
	}
}

// A watch that tells nothing of what is written is silent as well.
func TestSilenceOfAWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStore()
		s, err := Start(t.Context(), []Lane{{Name: "write", Writes: st}, {Name: "watch", Watch: st}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(1010 * time.Millisecond)
		st.set(func() { st.silent = true })
		time.Sleep(7 * time.Second)
		if got := s.LongestSilence(time.Time{}); got.Lane != "watch" || got.Time < 6900*time.Millisecond || got.Time > 7*time.Second {
			t.Errorf("%+v", got)
		}
		s.Stop()
	})
}

// slow has what was stored when it was asked, and takes a while to tell.
type slow struct{ *store }

func (s slow) Stored(ctx context.Context) ([]string, error) {
	stored, err := s.store.Stored(ctx)
	time.Sleep(time.Second)
	return stored, err
}

// While lanes run, what is acknowledged after the look began is no loss.
func TestLostWhileLanesRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := newStore()
		s, err := Start(t.Context(), []Lane{{Name: "write", Writes: slow{st}}, {Name: "it", Send: func(context.Context) error { return nil }}}, Options{Rate: 10})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(1950 * time.Millisecond)
		for _, want := range []string{"", "w3"} {
			st.set(func() { st.lost = want })
			lost, err := s.Lost(t.Context(), time.Time{})
			if want == "" && len(lost) > 0 || want != "" && cmp.Diff([]string{want}, lost) != "" || err != nil {
				t.Errorf("lost %q, %v, want %q", lost, err, want)
			}
		}
		if lost, err := s.Lost(t.Context(), time.Now().Add(-time.Second)); len(lost) > 0 || err != nil {
			t.Errorf("of before the time that was asked for: %q, %v", lost, err)
		}
		if st.removed > 0 {
			t.Error("what was written was removed")
		}
		s.Stop()
	})
	synctest.Test(t, func(t *testing.T) {
		s, err := Start(t.Context(), []Lane{{Name: "write", Writes: blind{newStore()}}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if lost, err := s.Lost(ctx, time.Time{}); err == nil || lost != nil {
			t.Errorf("nobody can look: %v, %v", lost, err)
		}
		s.Stop()
	})
}
