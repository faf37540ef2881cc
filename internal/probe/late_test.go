package probe

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPunctuality(t *testing.T) {
	began := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return began.Add(time.Duration(ms) * time.Millisecond) }
	p := &punctuality{}
	for _, wake := range []struct{ due, woke int }{{20, 20}, {40, 139}, {159, 259}, {279, 280}, {300, 2700}} {
		p.sleeps(at(wake.due))
		p.woke(at(wake.woke))
	}
	p.sleeps(time.Time{})
	for name, test := range map[string]struct {
		in   window
		want []Lateness
	}{
		"all":                    {window{}, []Lateness{{at(159), at(259)}, {at(300), at(2700)}}},
		"from the middle of one": {window{from: at(2699)}, []Lateness{{at(300), at(2700)}}},
		"until one begins":       {window{to: at(300)}, []Lateness{{at(159), at(259)}}},
		"between two":            {window{at(260), at(300)}, []Lateness{}},
	} {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(test.want, p.within(test.in)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// Whoever runs again before it wakes is told of it, too.
func TestLateStill(t *testing.T) {
	due := time.Now().Add(-time.Second)
	p := &punctuality{}
	p.sleeps(due)
	if got := p.within(window{}); len(got) != 1 || !got[0].Start.Equal(due) || got[0].End.Sub(due) < time.Second {
		t.Errorf("%+v", got)
	}
}

// What failed while the process was late is told beside all that failed, and takes nothing from that.
func TestFailedWhileLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		out := &server{began: began, outs: []out{{2 * time.Second, 3 * time.Second, hang}}}
		far := &remote{samples: []Sample{{Due: began.Add(2500 * time.Millisecond), Err: errors.New("refused")}}}
		s, err := Start(t.Context(), []Lane{{Name: "far", Remote: far}, {Name: "it", Send: out.send}}, Options{Timeout: 100 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(4*time.Second - time.Millisecond)
		if late := s.Late(time.Time{}, time.Time{}); len(late) != 0 {
			t.Errorf("late without reason: %v", late)
		}
		stall := Lateness{began.Add(2500 * time.Millisecond), began.Add(2600 * time.Millisecond)}
		s.self.mu.Lock()
		s.self.late = []Lateness{stall}
		s.self.mu.Unlock()
		r := s.Stop()
		if d := cmp.Diff([]Lateness{stall}, r.Late); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		// Those that were due from 100 ms before it began until it ended.
		if l := r.Lanes[1]; l.Name != "it" || l.Failed != 50 || l.FailedLate != 10 || l.LongestGap != 1020 || !r.Failed() {
			t.Errorf("%+v", l)
		}
		if l := r.Lanes[0]; l.Failed != 1 || l.FailedLate != 0 {
			t.Errorf("of a lane that is walked elsewhere: %+v", l)
		}
		if longest, failed := r.WorstLate(); longest != 100*time.Millisecond || failed != 10 {
			t.Errorf("at most %s, %d failed", longest, failed)
		}
	})
}

// A process that is stopped for a while knows it afterwards.
func TestStopped(t *testing.T) {
	const stopped = 500 * time.Millisecond
	if os.Getenv("PROBE_IS_STOPPED") != "" {
		s, err := Start(t.Context(), []Lane{{Name: "it", Send: func(context.Context) error { return nil }}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = os.Stdout.WriteString("began\n")
		_, _ = os.Stdin.Read(make([]byte, 1)) // until it has been stopped
		_ = json.NewEncoder(os.Stdout).Encode(s.Stop())
		os.Exit(0)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStopped$")
	cmd.Env = append(os.Environ(), "PROBE_IS_STOPPED=yes")
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	began := make([]byte, len("began\n"))
	if _, err := out.Read(began); err != nil || string(began) != "began\n" {
		t.Fatalf("it says %q: %v", began, err)
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(stopped)
	if err := errors.Join(cmd.Process.Signal(syscall.SIGCONT), in.Close()); err != nil {
		t.Fatal(err)
	}
	var r Report
	if err := json.NewDecoder(out).Decode(&r); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	longest, failed := r.WorstLate()
	if longest < stopped-2*wakes || failed != 0 {
		t.Errorf("it was late by %s, %d failed", longest, failed)
	}
	if gap := r.Lanes[0].LongestGap; gap < milliseconds(stopped-2*wakes) {
		t.Errorf("the longest gap is %v ms: it is as long as it was, whoever is to blame", gap)
	}
}
