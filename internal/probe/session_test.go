package probe

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A server is out for known times after it began.
type server struct {
	began   time.Time
	answers time.Duration // what an answer takes
	outs    []out
}

type out struct {
	from, to time.Duration
	how      func(ctx context.Context) error
}

func refuse(context.Context) error { return errors.New("connection refused") }

func hang(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func deferred(context.Context) error { return Deferred{After: time.Second} }

func (s *server) send(ctx context.Context) error {
	at := time.Since(s.began)
	for _, o := range s.outs {
		if at >= o.from && at < o.to {
			return o.how(ctx)
		}
	}
	time.Sleep(s.answers)
	return nil
}

// measure runs one lane for a time, in which no real time goes by.
func measure(t *testing.T, lasts time.Duration, s server) (out Report, began time.Time) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s.began = time.Now()
		session, err := Start(t.Context(), []Lane{{Name: "it", Send: s.send}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(lasts - time.Millisecond)
		out, began = session.Stop(), s.began
	})
	return out, began
}

func TestOutages(t *testing.T) {
	type interval struct {
		Start, End time.Duration
		Over       bool
		Failed     int
		FirstError string
	}
	for name, test := range map[string]struct {
		lasts    time.Duration
		answers  time.Duration
		outs     []out
		requests int
		deferred int
		gap, max float64
		want     []interval
	}{
		"none": {lasts: 10 * time.Second, answers: 3 * time.Millisecond, requests: 500, gap: 20, max: 3},
		"refused": {lasts: 10 * time.Second, outs: []out{{2 * time.Second, 3 * time.Second, refuse}}, requests: 500, gap: 1020,
			want: []interval{{2 * time.Second, 3 * time.Second, true, 50, "connection refused"}}},
		"refused between two requests": {lasts: time.Second, outs: []out{{401 * time.Millisecond, 421 * time.Millisecond, refuse}}, requests: 50, gap: 40,
			want: []interval{{420 * time.Millisecond, 440 * time.Millisecond, true, 1, "connection refused"}}},
		"twice": {lasts: 4 * time.Second, outs: []out{{time.Second, 2 * time.Second, refuse}, {3 * time.Second, 3100 * time.Millisecond, refuse}}, requests: 200, gap: 1020,
			want: []interval{{time.Second, 2 * time.Second, true, 50, "connection refused"}, {3 * time.Second, 3100 * time.Millisecond, true, 5, "connection refused"}}},
		// Requests that hang do not keep others from being sent: those are due, and fail as well.
		"hung": {lasts: 10 * time.Second, outs: []out{{2 * time.Second, 4 * time.Second, hang}}, requests: 500, gap: 2020,
			want: []interval{{2 * time.Second, 4 * time.Second, true, 100, "context deadline exceeded"}}},
		"slow": {lasts: 10 * time.Second, outs: []out{{2 * time.Second, 2020 * time.Millisecond, func(context.Context) error { time.Sleep(time.Second); return nil }}},
			requests: 500, gap: 40, max: 1000},
		"still out at the end": {lasts: 2 * time.Second, outs: []out{{time.Second, time.Hour, refuse}}, requests: 100, gap: 1019,
			want: []interval{{time.Second, 1999 * time.Millisecond, false, 50, "connection refused"}}},
		"never there": {lasts: time.Second, outs: []out{{0, time.Hour, refuse}}, requests: 50, gap: 999,
			want: []interval{{0, 999 * time.Millisecond, false, 50, "connection refused"}}},
		"deferred": {lasts: 5 * time.Second, outs: []out{{2 * time.Second, 2100 * time.Millisecond, deferred}}, requests: 250, deferred: 5, gap: 120, max: 1000},
		// Sent eight times each before there is no time left.
		"deferred for too long": {lasts: 100 * time.Millisecond, outs: []out{{0, time.Hour, func(context.Context) error { return Deferred{After: 700 * time.Millisecond} }}},
			requests: 5, deferred: 40, gap: 5080, want: []interval{{0, 5080 * time.Millisecond, false, 5, "no answer in time: told to try again after 700ms"}}},
	} {
		t.Run(name, func(t *testing.T) {
			report, began := measure(t, test.lasts, server{answers: test.answers, outs: test.outs})
			l := report.Lanes[0]
			var got []interval
			failed := 0
			for _, o := range l.Outages {
				got = append(got, interval{o.Start.Sub(began), o.End.Sub(began), o.Over, o.Failed, o.FirstError})
				failed += o.Failed
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("outages (-want +got):\n%s", d)
			}
			if l.Requests != test.requests || l.Deferred != test.deferred || l.LongestGap != test.gap || l.Max != test.max || l.Failed != failed {
				t.Errorf("%d requests, %d failed, %d deferred, longest gap %v, max %v; want %d, %d, %d, %v, %v",
					l.Requests, l.Failed, l.Deferred, l.LongestGap, l.Max, test.requests, failed, test.deferred, test.gap, test.max)
			}
			if report.Failed() != (len(test.want) > 0) {
				t.Errorf("failed is %v", report.Failed())
			}
		})
	}
}

// Half of the requests take 10 ms, and two of a hundred take a second.
func TestPercentiles(t *testing.T) {
	var count atomic.Int64
	synctest.Test(t, func(t *testing.T) {
		s, err := Start(t.Context(), []Lane{{Name: "it", Rate: 10, Send: func(context.Context) error {
			switch n := count.Add(1); {
			case n%100 < 2:
				time.Sleep(time.Second)
			case n%2 == 0:
				time.Sleep(10 * time.Millisecond)
			default:
				time.Sleep(20 * time.Millisecond)
			}
			return nil
		}}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(20*time.Second - time.Millisecond)
		l := s.Stop().Lanes[0]
		if l.Requests != 200 || l.P50 < 19.9 || l.P50 > 20.1 || l.P99 < 999 || l.P99 > 1001 || l.Max != 1000 {
			t.Errorf("%d requests, p50 %v, p99 %v, max %v", l.Requests, l.P50, l.P99, l.Max)
		}
	})
}

// With all places taken by requests that hang, what is due is late and says so.
func TestInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var most, now atomic.Int64
		s, err := Start(t.Context(), []Lane{{Name: "it", Send: func(context.Context) error {
			most.Store(max(most.Load(), now.Add(1)))
			time.Sleep(100 * time.Millisecond)
			now.Add(-1)
			return nil
		}}}, Options{InFlight: 2, Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second - time.Millisecond)
		l := s.Stop().Lanes[0]
		// Two at once, each 100 ms: 20 in a second, the last due at 380 ms and answered after a second.
		if most.Load() != 2 || l.Requests != 20 || l.Max != 640 {
			t.Errorf("%d at once, %d requests, max %v", most.Load(), l.Requests, l.Max)
		}
	})
}

func TestLanesComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var closed atomic.Int64
		up := func(name string) Lane {
			return Lane{Name: name, Send: func(context.Context) error { return nil }, Close: func() { closed.Add(1) }}
		}
		s, err := Start(t.Context(), []Lane{up("cp-1"), up("cp-2")}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(999 * time.Millisecond)
		s.Mark("remove cp-1")
		if err := errors.Join(s.End("cp-1"), s.Add(up("cp-3"))); err != nil {
			t.Fatal(err)
		}
		if err := s.Add(up("cp-3")); err == nil || !strings.Contains(err.Error(), "there is one of that name") {
			t.Errorf("adding it twice: %v", err)
		}
		if err := s.End("cp-1"); err == nil || !strings.Contains(err.Error(), "there is none") {
			t.Errorf("ending it twice: %v", err)
		}
		if d := cmp.Diff([]string{"cp-2", "cp-3"}, s.Names()); d != "" {
			t.Error(d)
		}
		time.Sleep(999 * time.Millisecond)
		since := s.Between(began.Add(999*time.Millisecond), time.Time{})
		first := s.Between(time.Time{}, began.Add(999*time.Millisecond))
		report := s.Stop()
		counts := map[string]int{}
		for _, l := range report.Lanes {
			counts[l.Name] = l.Requests
		}
		if d := cmp.Diff(map[string]int{"cp-1": 50, "cp-2": 100, "cp-3": 50}, counts); d != "" {
			t.Error(d)
		}
		if since.Lanes[0].Requests != 0 || since.Lanes[1].Requests != 50 || len(since.Marks) != 1 {
			t.Errorf("in the second second %+v", since)
		}
		if first.Lanes[0].Requests != 50 || first.Lanes[1].Requests != 50 || first.Lanes[2].Requests != 0 || len(first.Marks) != 0 || first.Seconds != 0.999 {
			t.Errorf("in the first second %+v", first)
		}
		if d := cmp.Diff([]Mark{{began.Add(999 * time.Millisecond), "remove cp-1"}}, report.Marks); d != "" {
			t.Error(d)
		}
		if closed.Load() != 3 || report.Failed() || report.Seconds != 1.998 || report.Cost.RequestsPerSecond < 100 {
			t.Errorf("%d closed, %+v", closed.Load(), report)
		}
		if again := s.Stop(); again.Seconds != report.Seconds {
			t.Errorf("stopped twice: %+v", again)
		}
	})
}

// What was under way when the user lost patience is no failure.
func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s, err := Start(ctx, []Lane{{Name: "it", Send: hang}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		cancel()
		if r := s.Stop(); r.Lanes[0].Requests != 0 || r.Seconds != 1 {
			t.Errorf("%+v", r)
		}
	})
}

// What happened in a time is known once requests that were due in it have ended.
func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Start(t.Context(), []Lane{{Name: "it", Send: hang}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(999 * time.Millisecond)
		at := time.Now()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Settle(short, at); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("settled after a second: %v", err)
		}
		if l := s.Between(time.Time{}, at).Lanes[0]; l.Requests != 0 {
			t.Errorf("%d requests before they ended", l.Requests)
		}
		if err := s.Settle(t.Context(), at); err != nil {
			t.Fatal(err)
		}
		if l := s.Between(time.Time{}, at).Lanes[0]; l.Failed != 50 {
			t.Errorf("%d failed, want 50", l.Failed)
		}
		s.Stop()
	})
}

type remote struct {
	start   error
	samples []Sample
	stop    error
	stopped int
}

func (r *remote) Start(context.Context, Schedule) error { return r.start }

func (r *remote) Stop(context.Context) ([]Sample, error) { r.stopped++; return r.samples, r.stop }

func TestRemote(t *testing.T) {
	at := time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC)
	samples := []Sample{{Due: at.Add(2 * time.Second), Took: time.Second}, {Due: at, Took: time.Second}, {Due: at.Add(time.Second), Err: errors.New("refused")}}
	r := &remote{samples: samples}
	s, err := Start(t.Context(), []Lane{{Name: "far", Remote: r}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	l := s.Stop().Lanes[0]
	want := LaneReport{Name: "far", Start: at, End: at.Add(3 * time.Second), Requests: 3, Failed: 1, LongestGap: 2000,
		Percentiles: Percentiles{l.P50, l.P99, 1000},
		Outages:     []Outage{{Start: at.Add(time.Second), End: at.Add(2 * time.Second), Over: true, Failed: 1, FirstError: "refused"}}}
	if d := cmp.Diff(want, l); d != "" || r.stopped != 1 {
		t.Errorf("%d stops; (-want +got):\n%s", r.stopped, d)
	}
}

func TestRemoteThatFails(t *testing.T) {
	bad := &remote{start: errors.New("no pod")}
	if _, err := Start(t.Context(), []Lane{{Name: "far", Remote: bad}}, Options{}); err == nil || err.Error() != "start lane far: no pod" || bad.stopped != 1 {
		t.Errorf("%v, %d stops", err, bad.stopped)
	}
	for want, r := range map[string]*remote{"collect lane far: no log": {stop: errors.New("no log")}, "collect lane far: it sent no request": {}} {
		s, err := Start(t.Context(), []Lane{{Name: "far", Remote: r}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{want}, s.Stop().Errors); d != "" {
			t.Error(d)
		}
	}
}
