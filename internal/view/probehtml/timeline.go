package probehtml

import (
	"fmt"
	"math"
	"time"

	"github.com/haplane/haplane/internal/probe"
)

// Measures of the drawing, in its own units.
const (
	left      = 130.0 // of the bars, after the names
	right     = 985.0
	width     = 1000.0
	rowStep   = 30.0
	barTop    = 5.0
	barHigh   = 18.0
	head      = 26.0 // above the first row, for numbers of marks
	narrowest = 3.0  // of what must be seen
)

// A timeline is what is drawn. Coordinates are in its own units.
type timeline struct {
	Width, Height float64
	Left, Right   float64
	Rows          []row
	Marks         []mark
	Ticks         []tick
	Foot          float64 // where the rows end
}

type row struct {
	Name        string
	Text        float64 // baseline of the name
	Y, H        float64
	X, W        float64 // of the time in which the lane ran
	Bad         []box
	Description string
}

// A box is a time that was bad, and what a reader is told of it.
type box struct {
	X, W float64
	Tone string
	Text string
}

type mark struct {
	X      float64
	Number int
	Text   string
}

type tick struct {
	X     float64
	Label string
}

// A scale places a time.
type scale struct {
	from time.Time
	per  float64 // units a second
}

func (s scale) x(t time.Time) float64 {
	return min(max(left+t.Sub(s.from).Seconds()*s.per, left), right)
}

// span is never too narrow to be seen.
func (s scale) span(from, to time.Time) (x, w float64) {
	x = s.x(from)
	w = max(s.x(to)-x, narrowest)
	return min(x, right-w), w
}

func newTimeline(r probe.Report) timeline {
	seconds := max(r.Seconds, 0.001)
	s := scale{r.Started, (right - left) / seconds}
	t := timeline{Width: width, Left: left, Right: right}
	for _, l := range r.Lanes {
		one := t.row(l.Name)
		one.X, one.W = s.span(l.Start, l.End)
		one.Description = fmt.Sprintf("%d of %d requests failed", l.Failed, l.Requests)
		for _, o := range l.Outages {
			b := box{Tone: "out", Text: fmt.Sprintf("%d requests failed: %s", o.Failed, o.FirstError)}
			b.X, b.W = s.span(o.Start, o.End)
			one.Bad = append(one.Bad, b)
		}
		t.Rows = append(t.Rows, one)
	}
	if r.Watch != nil {
		t.Rows = append(t.Rows, watchRow(t.row("watch"), s, r))
	}
	if len(r.Late) > 0 {
		t.Rows = append(t.Rows, lateRow(t.row("haplane itself"), s, r))
	}
	t.Foot = head + rowStep*float64(len(t.Rows))
	t.Height = t.Foot + 30
	for i, m := range r.Marks {
		t.Marks = append(t.Marks, mark{s.x(m.At), i + 1, m.Text})
	}
	for _, at := range ticks(seconds) {
		t.Ticks = append(t.Ticks, tick{left + at*s.per, fmt.Sprintf("%g s", at)})
	}
	return t
}

func (t *timeline) row(name string) row {
	y := head + rowStep*float64(len(t.Rows))
	return row{Name: name, Y: y + barTop, H: barHigh, Text: y + barTop + barHigh - 5}
}

func watchRow(one row, s scale, r probe.Report) row {
	one.X, one.W = left, right-left
	one.Description = fmt.Sprintf("%d events, %d missed", r.Watch.Events, r.Watch.Missed)
	for _, g := range r.Watch.Gaps {
		b := box{Tone: "blind", Text: "blind: " + g.FirstError}
		if g.End.Sub(g.Start) > probe.ResumeTime {
			b.Tone = "out"
		}
		b.X, b.W = s.span(g.Start, g.End)
		one.Bad = append(one.Bad, b)
	}
	return one
}

// lateRow is when the process that measured was late itself.
func lateRow(one row, s scale, r probe.Report) row {
	one.X, one.W = left, right-left
	one.Description = fmt.Sprintf("late %d times", len(r.Late))
	for _, l := range r.Late {
		b := box{Tone: "blind", Text: "late by " + millis(float64(l.End.Sub(l.Start).Microseconds())/1000)}
		b.X, b.W = s.span(l.Start, l.End)
		one.Bad = append(one.Bad, b)
	}
	return one
}

// ticks are round numbers of seconds, four to ten of them.
func ticks(seconds float64) []float64 {
	step := 0.001
	for i := 0; seconds/step > 10; i++ {
		step *= []float64{2, 2.5, 2}[i%3] // 1, 2, 5, 10
	}
	var out []float64
	for n := 0; float64(n)*step <= seconds; n++ {
		out = append(out, math.Round(float64(n)*step*1000)/1000)
	}
	return out
}
