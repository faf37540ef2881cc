package view

import (
	"context"
	"fmt"
	"time"

	"github.com/haplane/haplane/internal/phase"
)

// A Measuring shows how far a measurement is.
type Measuring struct {
	*Progress
	began map[string]time.Time
}

// NewMeasuring shows it on p. Close ends it.
func NewMeasuring(p *Progress) *Measuring { return &Measuring{p, map[string]time.Time{}} }

// Begin shows that a part has begun.
func (m *Measuring) Begin(id string) {
	m.began[id] = time.Now()
	m.Event(phase.Event{ID: id, State: phase.Started})
}

// End shows that it has ended.
func (m *Measuring) End(id string, err error) {
	state := phase.Finished
	if err != nil {
		state = phase.Failed
	}
	m.Event(phase.Event{ID: id, State: state, Elapsed: time.Since(m.began[id]), Err: err})
}

// Watch shows what has been seen until the time is over or ctx ends.
func (m *Measuring) Watch(ctx context.Context, lasts time.Duration, seen func() (requests, failed int)) {
	ctx, cancel := context.WithTimeout(ctx, lasts)
	defer cancel()
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			requests, failed := seen()
			m.Waiting("", fmt.Sprintf("%d requests, %d failed", requests, failed))
		}
	}
}
