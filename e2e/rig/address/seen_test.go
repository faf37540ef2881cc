package address

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var start = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// at is a time of the tests, in milliseconds.
func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

// answered is an answer of a machine, or through nobody's seat, to a question that took 4 ms; lost is one that never came.
func answered(machine string, ms int) Answer {
	return Answer{Machine: machine, Asked: at(ms), Taken: at(ms + 2)}
}

func lost(machine string, ms int) Answer {
	return Answer{Machine: machine, Asked: at(ms), Err: errors.New("timed out")}
}

func TestTwice(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers []Answer
		want    []Span
	}{
		{"one after another", []Answer{answered("lb-1", 0), lost("lb-2", 5), answered("lb-1", 20), answered("lb-2", 25), lost("lb-1", 40), answered("lb-2", 45)}, nil},
		{"both for a while", []Answer{answered("lb-1", 0), answered("lb-2", 5), answered("lb-1", 20), answered("lb-2", 25), lost("lb-1", 40), answered("lb-2", 45)},
			[]Span{{at(5), at(22)}}},
		{"the other one once, in the midst", []Answer{answered("lb-2", 0), answered("lb-1", 5), answered("lb-2", 20)}, []Span{{at(5), at(7)}}},
		{"there and back, no sooner than a machine may have it again", []Answer{answered("lb-1", 0), answered("lb-2", 260), answered("lb-1", 520)}, nil},
		{"a third one takes it", []Answer{answered("cp-1", 0), answered("cp-2", 20), answered("cp-3", 40)}, nil},
		{"asked at the same moment, so in whatever order", []Answer{answered("lb-1", 0), answered("lb-2", 1), answered("lb-1", 2)}, nil},
		{"the host's own are nobody's", []Answer{answered("lb-1", 0), answered("", 5), answered("lb-1", 20)}, nil},
		{"twice", []Answer{answered("lb-1", 0), answered("lb-2", 5), answered("lb-1", 20), answered("lb-1", 900), answered("lb-2", 905), answered("lb-1", 920)},
			[]Span{{at(5), at(7)}, {at(905), at(907)}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.want, Seen{From: start, To: at(1000), Answers: c.answers}.Twice()); d != "" {
				t.Error("-want +got\n" + d)
			}
		})
	}
}

func TestGaps(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers []Answer
		want    []Span
	}{
		{"none", []Answer{answered("", 0), answered("", 20), answered("", 60)}, nil},
		{"one", []Answer{answered("", 0), lost("", 20), lost("", 40), answered("lb-1", 50), answered("", 60), answered("", 80)}, []Span{{start, at(60)}}},
		{"from the beginning", []Answer{lost("", 20), answered("", 40)}, []Span{{start, at(40)}}},
		{"to the end", []Answer{answered("", 100), lost("", 120)}, []Span{{at(100), at(1000)}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Seen{From: start, To: at(1000), Answers: c.answers}
			if d := cmp.Diff(c.want, s.Gaps()); d != "" {
				t.Error("-want +got\n" + d)
			}
		})
	}
	if failed, all := (Seen{Answers: []Answer{lost("", 0), answered("", 20), lost("lb-1", 30)}}).Failed(); failed != 1 || all != 2 {
		t.Errorf("%d of %d failed, want 1 of 2", failed, all)
	}
}

func TestChanges(t *testing.T) {
	there, gone := func(m string, ms int) Change { return Change{m, at(ms), true} }, func(m string, ms int) Change { return Change{m, at(ms), false} }
	for _, c := range []struct {
		name      string
		changes   []Change
		moves     int
		two, none int // milliseconds
	}{
		{"it stays", []Change{there("lb-1", 0)}, 0, 0, 0},
		{"taken over", []Change{there("lb-1", 0), there("lb-2", 300), gone("lb-1", 310)}, 1, 10, 0},
		{"lost, then taken", []Change{there("lb-1", 0), gone("lb-1", 300), there("lb-2", 700)}, 1, 0, 400},
		{"lost and had again by the same one", []Change{there("lb-1", 0), gone("lb-1", 300), there("lb-1", 400)}, 0, 0, 100},
		{"there and back", []Change{there("lb-1", 0), gone("lb-1", 100), there("lb-2", 110), gone("lb-2", 600), there("lb-1", 640)}, 2, 0, 40},
		{"nobody", nil, 0, 0, 1000},
		{"a frozen one keeps it", []Change{there("lb-1", 0), there("lb-2", 500), gone("lb-1", 950)}, 1, 450, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Seen{From: start, To: at(1000), Changes: c.changes}
			two, none := s.Had()
			if s.Moves() != c.moves || two.Milliseconds() != int64(c.two) || none.Milliseconds() != int64(c.none) {
				t.Errorf("%d moves, on two for %s, on none for %s; want %d, %d ms, %d ms", s.Moves(), two, none, c.moves, c.two, c.none)
			}
		})
	}
}

// What cannot be helped, because no machine was well, does not count.
func TestWithin(t *testing.T) {
	gaps := []Span{{at(0), at(500)}, {at(600), at(1000)}}
	for _, c := range []struct {
		name   string
		others []Span
		want   int
	}{
		{"nothing", nil, 500},
		{"all of one", []Span{{at(0), at(550)}}, 400},
		{"parts that overlap, in any order", []Span{{at(700), at(900)}, {at(100), at(300)}, {at(50), at(200)}}, 250},
		{"everything", []Span{{at(0), at(1000)}}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Within(gaps, c.others); got.Milliseconds() != int64(c.want) {
				t.Errorf("%s, want %d ms", got, c.want)
			}
		})
	}
	if got := Longest(gaps); got != 500*time.Millisecond {
		t.Errorf("the longest is %s", got)
	}
}

func TestBoth(t *testing.T) {
	a, b := []Span{{at(0), at(100)}, {at(200), at(300)}}, []Span{{at(50), at(250)}}
	if d := cmp.Diff([]Span{{at(50), at(100)}, {at(200), at(250)}}, Both(a, b)); d != "" {
		t.Error("-want +got\n" + d)
	}
	if got := Both(a, nil); got != nil {
		t.Errorf("%v", got)
	}
}
