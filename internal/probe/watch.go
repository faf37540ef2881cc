package probe

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrExpired tells that a watch cannot go on after a version: it is too old.
var ErrExpired = errors.New("the version is too old to watch from")

// ResumeTime is how long a watch may be blind and has not failed.
const ResumeTime = time.Second

// reopen is the time between two attempts to open a watch that was cut.
const reopen = 50 * time.Millisecond

// A watcher keeps a watch open, and notes when it was not.
type watcher struct {
	ledger *ledger

	mu       sync.Mutex
	started  time.Time
	ended    time.Time
	events   int
	resumed  int
	relisted int
	cuts     []Gap
}

// run watches until ctx ends.
func (w *watcher) run(ctx context.Context, watch Watch, timeout time.Duration) {
	w.begin()
	version := ""
	for ctx.Err() == nil {
		stream, cancel, err := open(ctx, watch, version, timeout)
		if err == nil {
			w.opened(version != "")
			version, err = w.follow(stream, version)
			stream.Close()
		}
		cancel()
		if errors.Is(err, ErrExpired) {
			version = ""
		}
		if ctx.Err() == nil {
			w.cut(err)
			sleep(ctx, reopen)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = time.Now()
}

// open gives up after the timeout; a stream that is open may stay so.
func open(ctx context.Context, watch Watch, version string, timeout time.Duration) (Stream, context.CancelFunc, error) {
	ctx, cancel := context.WithCancel(ctx)
	timer := time.AfterFunc(timeout, cancel)
	stream, err := watch.Open(ctx, version)
	if !timer.Stop() && err == nil {
		stream.Close()
		err = context.DeadlineExceeded
	}
	return stream, cancel, err
}

func (w *watcher) follow(stream Stream, version string) (string, error) {
	for {
		event, err := stream.Next()
		if err != nil {
			return version, err
		}
		if event.Version != "" {
			version = event.Version
		}
		w.ledger.tell(event.Keys, time.Now())
		w.mu.Lock()
		if len(event.Keys) > 0 {
			w.events++
		}
		w.mu.Unlock()
	}
}

func (w *watcher) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.started.IsZero() {
		w.started = time.Now()
	}
}

func (w *watcher) isCut() bool { return len(w.cuts) > 0 && !w.cuts[len(w.cuts)-1].Over }

// cut begins a gap, unless there is one.
func (w *watcher) cut(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.isCut() {
		w.cuts = append(w.cuts, Gap{Start: time.Now(), FirstError: err.Error()})
	}
}

func (w *watcher) opened(resumed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.isCut() {
		return
	}
	last := &w.cuts[len(w.cuts)-1]
	last.End, last.Over = time.Now(), true
	if resumed {
		w.resumed++
	} else {
		w.relisted++
	}
}
