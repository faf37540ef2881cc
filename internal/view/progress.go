// Package view is the only writer to the terminal: results on stdout, progress
// and errors on stderr.
package view

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/haplane/haplane/internal/phase"
)

// Progress shows phases as they run: a line for each that has ended and, on a
// terminal, below them what is running, and for how long which machine is waited
// for, and why. Close ends it.
type Progress struct {
	w     io.Writer
	frame *frame // nil where nothing can be written over

	mu      sync.Mutex
	running []run
	detail  string
	waits   []wait
	stop    chan struct{}
	stopped sync.WaitGroup
}

type run struct {
	id    string
	since time.Time
	told  time.Time // when there was last a line about it, without a terminal
	ended int       // of a group: the steps that have ended well
	did   bool      // of a group: one of them found something to do
}

// A wait is for something on a node, or in the whole cluster where that is empty.
type wait struct {
	node, what string
	since      time.Time
}

// How long a phase may take in silence, at first and then.
const (
	slow  = 2 * time.Second
	again = 30 * time.Second
)

// NewProgress writes to w, which is a terminal when fd is one.
func NewProgress(w io.Writer, fd int) *Progress {
	p := &Progress{w: w, stop: make(chan struct{})}
	if term.IsTerminal(fd) {
		p.frame = newFrame(w, func() (int, int, error) { return term.GetSize(fd) })
	}
	p.stopped.Go(p.tick)
	return p
}

func (p *Progress) tick() {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-ticker.C:
			p.mu.Lock()
			p.announce()
			p.draw()
			p.mu.Unlock()
		}
	}
}

// Event shows a phase's event; see phase.Event. A group begins with the first of its
// steps, and has ended when all of them have or one has failed.
func (p *Progress) Event(e phase.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := cmp.Or(e.Group, e.ID)
	i := slices.IndexFunc(p.running, func(r run) bool { return r.id == id })
	switch {
	case e.State == phase.Started && i < 0:
		p.running = append(p.running, run{id: id, since: time.Now()})
	case e.State == phase.Started, e.State == phase.Stopped && e.Group != "":
	case e.State == phase.Stopped:
		p.running = slices.DeleteFunc(p.running, func(r run) bool { return r.id == id })
	case e.Group != "" && e.State != phase.Failed && i >= 0 && !p.running[i].last(&e):
	default:
		p.running = slices.DeleteFunc(p.running, func(r run) bool { return r.id == id })
		p.detail, p.waits = "", nil
		p.line(ended(e))
	}
	p.draw()
}

// last counts a step of a group that has ended. Of the last one it makes an event of the whole group.
func (r *run) last(e *phase.Event) bool {
	r.ended++
	r.did = r.did || e.State != phase.Current
	if r.ended < e.Of {
		return false
	}
	e.ID, e.Elapsed = e.Group, time.Since(r.since)
	if r.did {
		e.State = phase.Finished
	}
	return true
}

func ended(e phase.Event) string {
	mark, note := "✓", seconds(e.Elapsed)
	switch e.State {
	case phase.Current:
		note += "  nothing to do"
	case phase.Failed:
		mark = "✗"
	}
	return fmt.Sprintf("%s %-22s %s", mark, e.ID, note)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%6.1fs", d.Seconds()) }

// Doing shows how far a phase is. It changes often: without a terminal it is told from time to time.
func (p *Progress) Doing(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.detail = text
}

// Detail shows what a phase does right now.
func (p *Progress) Detail(id, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.detail = text
	if p.frame == nil {
		p.line(fmt.Sprintf("  %s: %s", id, text))
	}
	p.draw()
}

// Notice shows what the user has to know of, or to do: it stays.
func (p *Progress) Notice(id, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line(fmt.Sprintf("  %s: %s", id, text))
	p.draw()
}

// Waiting shows what is waited for on a node, or in the cluster as a whole where
// node is empty. With an empty what, that is over.
func (p *Progress) Waiting(node, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.waits, func(w wait) bool { return w.node == node })
	switch {
	case what == "" && i >= 0:
		p.waits = slices.Delete(p.waits, i, i+1)
	case what == "":
	case i >= 0:
		p.waits[i].what = what
	default:
		p.waits = append(p.waits, wait{node, what, time.Now()})
		slices.SortFunc(p.waits, func(a, b wait) int { return cmp.Compare(a.node, b.node) })
	}
}

// shown are the waits for nodes, which say more than one for the cluster.
func (p *Progress) shown() []wait {
	if nodes := slices.DeleteFunc(slices.Clone(p.waits), func(w wait) bool { return w.node == "" }); len(nodes) > 0 {
		return nodes
	}
	return p.waits
}

// announce names a slow phase from time to time where there is no line to write over.
func (p *Progress) announce() {
	for i := range p.running {
		r := &p.running[i]
		if p.frame != nil || time.Since(r.since) < slow || (!r.told.IsZero() && time.Since(r.told) < again) {
			continue
		}
		r.told = time.Now()
		p.line(strings.TrimRight(fmt.Sprintf("… %-22s %s  %s", r.id, seconds(time.Since(r.since)), p.about()), " "))
	}
}

// about is in one line what is waited for, or what is being done.
func (p *Progress) about() string {
	var parts []string
	for _, w := range p.shown() {
		parts = append(parts, strings.TrimSpace(w.node+" "+w.what))
	}
	return cmp.Or(strings.Join(parts, "; "), p.detail)
}

func (p *Progress) line(text string) {
	if p.frame != nil {
		p.frame.clear()
	}
	fmt.Fprintln(p.w, text)
}

func (p *Progress) draw() {
	if p.frame == nil {
		return
	}
	var lines []row
	for _, r := range p.running {
		lines = append(lines, row{fmt.Sprintf("… %-22s %s  ", r.id, seconds(time.Since(r.since))), p.detail})
	}
	if len(p.running) > 0 {
		for _, w := range p.shown() {
			lines = append(lines, row{fmt.Sprintf("  %-22s %s  ", w.node, seconds(time.Since(w.since))), w.what})
		}
	}
	p.frame.show(lines)
}

// Close takes away what is shown of what is running.
func (p *Progress) Close() {
	close(p.stop)
	p.stopped.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.frame != nil {
		p.frame.clear()
	}
}
