package agent

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/haplane/haplane/internal/snapshot"
)

// A SnapshotHealth is the answer of /healthz of haplane agent snapshots.
type SnapshotHealth struct {
	OK       bool       `json:"ok"`             // the process answers
	Kept     int        `json:"kept"`           // snapshots on this machine
	Last     *time.Time `json:"last,omitempty"` // when the newest one was taken; absent where there is none
	Revision int64      `json:"revision,omitempty"`
	Due      time.Time  `json:"due"`             // when the next one is, or was to be
	Error    string     `json:"error,omitempty"` // why the last attempt came to nothing
}

// snapshotStatus is what it says of itself: as JSON and as metrics.
type snapshotStatus struct {
	registry *prometheus.Registry
	last     prometheus.Gauge
	due      prometheus.Gauge
	kept     prometheus.Gauge
	taken    prometheus.Counter
	failures prometheus.Counter

	mu     sync.Mutex
	health SnapshotHealth
}

func newSnapshotStatus() *snapshotStatus {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "haplane_snapshots_" + name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "haplane_snapshots_" + name, Help: help})
	}
	s := &snapshotStatus{registry: prometheus.NewRegistry(), health: SnapshotHealth{OK: true},
		last:     gauge("last_timestamp_seconds", "When the newest snapshot on this machine was taken, Unix time."),
		due:      gauge("due_timestamp_seconds", "When the next snapshot is due, or was, Unix time."),
		kept:     gauge("kept", "Snapshots on this machine."),
		taken:    counter("taken_total", "Snapshots that were taken and verified."),
		failures: counter("failures_total", "Attempts that came to nothing."),
	}
	s.registry.MustRegister(s.last, s.due, s.kept, s.taken, s.failures,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return s
}

// keeps tells of what is there.
func (s *snapshotStatus) keeps(kept []snapshot.Kept, due time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health.Kept, s.health.Due, s.health.Last, s.health.Revision = len(kept), due.UTC(), nil, 0
	s.kept.Set(float64(len(kept)))
	s.due.Set(float64(due.Unix()))
	if n := len(kept); n > 0 {
		s.health.Last, s.health.Revision = &kept[n-1].Taken, kept[n-1].Revision
		s.last.Set(float64(kept[n-1].Taken.Unix()))
	}
}

func (s *snapshotStatus) took(snapshot.Kept) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health.Error = ""
	s.taken.Inc()
}

func (s *snapshotStatus) failed(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health.Error = inOneLine(err)
	s.failures.Inc()
}

func (s *snapshotStatus) now() SnapshotHealth {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health
}

// handler serves /healthz and /metrics.
func (s *snapshotStatus) handler() http.Handler {
	return answers(s.registry, func() any { return s.now() })
}
