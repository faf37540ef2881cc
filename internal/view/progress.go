// Package view is the only writer to the terminal: results on stdout, progress
// and errors on stderr.
package view

import (
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
// terminal, one that tells what is running. Close ends it.
type Progress struct {
	w     io.Writer
	live  bool // the last line may be written over
	width int

	mu      sync.Mutex
	running []run
	detail  string
	stop    chan struct{}
	stopped sync.WaitGroup
}

type run struct {
	id    string
	since time.Time
	told  time.Time // when there was last a line about it, without a terminal
}

// How long a phase may take in silence, at first and then.
const (
	slow  = 2 * time.Second
	again = 30 * time.Second
)

// NewProgress writes to w, which is a terminal when fd is one.
func NewProgress(w io.Writer, fd int) *Progress {
	p := &Progress{w: w, stop: make(chan struct{})}
	if width, _, err := term.GetSize(fd); err == nil {
		p.live, p.width = true, width
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

// Event shows a phase's event; see phase.Event.
func (p *Progress) Event(e phase.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.State == phase.Started {
		p.running = append(p.running, run{id: e.ID, since: time.Now()})
	} else {
		p.running = slices.DeleteFunc(p.running, func(r run) bool { return r.id == e.ID })
		p.detail = ""
		p.line(ended(e))
	}
	p.draw()
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

// Detail shows what a phase does right now.
func (p *Progress) Detail(id, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.detail = text
	if !p.live {
		p.line(fmt.Sprintf("  %s: %s", id, text))
	}
	p.draw()
}

// Waiting shows what a phase waits for, where there is a line to write over.
func (p *Progress) Waiting(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.detail = what
}

// announce names a slow phase from time to time where there is no line to write over.
func (p *Progress) announce() {
	for i := range p.running {
		r := &p.running[i]
		if p.live || time.Since(r.since) < slow || (!r.told.IsZero() && time.Since(r.told) < again) {
			continue
		}
		r.told = time.Now()
		p.line(strings.TrimRight(fmt.Sprintf("… %-22s %s  %s", r.id, seconds(time.Since(r.since)), p.detail), " "))
	}
}

func (p *Progress) line(text string) {
	if p.live {
		text = "\r\x1b[K" + text
	}
	fmt.Fprintln(p.w, text)
}

func (p *Progress) draw() {
	if !p.live || len(p.running) == 0 {
		return
	}
	var parts []string
	for _, r := range p.running {
		parts = append(parts, fmt.Sprintf("%s %s", r.id, strings.TrimSpace(seconds(time.Since(r.since)))))
	}
	text := "… " + strings.Join(parts, ", ")
	if p.detail != "" {
		text += ": " + p.detail
	}
	if runes := []rune(text); len(runes) >= p.width {
		text = string(runes[:p.width-1])
	}
	fmt.Fprint(p.w, "\r\x1b[K"+text)
}

// Close takes the line of what is running away.
func (p *Progress) Close() {
	close(p.stop)
	p.stopped.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.live {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
