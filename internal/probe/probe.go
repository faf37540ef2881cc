// Package probe measures how something that answers requests is served while
// something happens to it. A lane is one way of sending requests. Its schedule is fixed: the
// n-th request is due n periods after the first, whatever became of those before
// it, and its latency counts from then, so that a server that hangs cannot make
// the measurement wait with it (no coordinated omission). What the lanes saw
// becomes outages, gaps and percentiles. The package knows nothing of clusters.
package probe

import (
	"context"
	"fmt"
	"time"
)

// A Lane is one way of sending requests. It has one of Send, Writes, Watch and Remote.
type Lane struct {
	Name    string
	Rate    float64       // requests a second; 0 for the session's
	Timeout time.Duration // from when a request is due; 0 for the session's

	// Send sends one request, by the end of ctx. It is called again while earlier
	// calls are under way. A Deferred is sent again, as clients do.
	Send   func(ctx context.Context) error
	Writes Writes
	Watch  Watch
	Remote Remote
	// Close frees what the lane holds, once it has ended; may be nil.
	Close func()
}

// Writes are requests of which each acknowledged one must be found again.
type Writes interface {
	// Write stores a key. It is called as Send is.
	Write(ctx context.Context, key string) error
	// Stored lists the keys that are there.
	Stored(ctx context.Context) ([]string, error)
	// Remove takes away what was written. Twice is as good as once.
	Remove(ctx context.Context) error
}

// A Watch tells of what is written.
type Watch interface {
	// Open begins after the version, or with all that is there where that is empty.
	// It returns ErrExpired where a version is too old to begin after. The stream ends with ctx.
	Open(ctx context.Context, version string) (Stream, error)
}

// A Stream is a watch that is open. Next waits for an event; its error ends the stream.
type Stream interface {
	Next() (Event, error)
	Close()
}

// An Event has the keys that are stored with it, new or not, and the version to go on after.
type Event struct {
	Keys    []string
	Version string
}

// A Remote lane is walked elsewhere, on the same kind of schedule.
type Remote interface {
	// Start returns once the first request was sent.
	Start(ctx context.Context, s Schedule) error
	// Stop ends the lane and returns what it saw, by the clock of where it ran.
	// It may be called when Start has failed, and frees all that Start made.
	Stop(ctx context.Context) ([]Sample, error)
}

// A Schedule is when requests are due, and until when they must be answered.
type Schedule struct{ Period, Timeout time.Duration }

// A Sample is one request.
type Sample struct {
	Due      time.Time
	Took     time.Duration // from Due to the end of the request
	Deferred int           // how often it was told to come again later
	Err      error
}

// Deferred is the answer of a server that wants the request to be sent again, as
// HTTP's 429 with Retry-After. It is a failure only when there is no time left.
type Deferred struct{ After time.Duration }

func (d Deferred) Error() string { return fmt.Sprintf("told to try again after %s", d.After) }

// Options are what lanes have in common.
type Options struct {
	Rate     float64       // requests a second in each lane
	Timeout  time.Duration // of a request, from when it is due
	InFlight int           // most requests of a lane at once: further ones are late, and say so
	Finish   time.Duration // how long Stop may take to look after what was written
}

// Defaults of Options.
const (
	DefaultRate     = 50
	DefaultTimeout  = 5 * time.Second
	DefaultInFlight = 512
	DefaultFinish   = 30 * time.Second
)

func (o Options) withDefaults() Options {
	if o.Rate == 0 {
		o.Rate = DefaultRate
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.InFlight == 0 {
		o.InFlight = DefaultInFlight
	}
	if o.Finish == 0 {
		o.Finish = DefaultFinish
	}
	return o
}

func (l Lane) scheduled(o Options) Schedule {
	rate, timeout := l.Rate, l.Timeout
	if rate == 0 {
		rate = o.Rate
	}
	if timeout == 0 {
		timeout = o.Timeout
	}
	return Schedule{Period: time.Duration(float64(time.Second) / rate), Timeout: timeout}
}
