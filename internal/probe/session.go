package probe

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// A Session is lanes that run. Its methods may be called from several goroutines.
type Session struct {
	Options
	life    context.Context
	started time.Time
	cpu     time.Duration
	ledger  *ledger
	watch   *watcher
	self    *punctuality
	alone   context.CancelFunc // ends self
	looks   sync.WaitGroup

	mu     sync.Mutex
	lanes  []*lane
	marks  []Mark
	errs   []string
	writes *WritesReport
	ended  time.Time
	spent  time.Duration // at the end
}

// Start begins to measure, and returns once every lane has begun. Lanes run until
// they are ended, Stop is called or ctx ends; Stop must be called in any case,
// unless Start returns an error: then nothing runs.
func Start(ctx context.Context, lanes []Lane, o Options) (*Session, error) {
	s := &Session{Options: o.withDefaults(), life: ctx, started: time.Now(), cpu: cpu(), ledger: newLedger()}
	s.watch, s.self = &watcher{ledger: s.ledger}, &punctuality{}
	looking, cancel := context.WithCancel(ctx)
	s.alone = cancel
	due := s.self.begin()
	s.looks.Go(func() { s.self.run(looking, due) })
	var far errgroup.Group
	for _, l := range lanes {
		if l.Remote != nil {
			far.Go(func() error { return s.Add(l) })
		}
	}
	err := far.Wait()
	s.started, s.cpu = time.Now(), cpu()
	for _, l := range lanes {
		if l.Remote == nil && err == nil {
			err = s.Add(l)
		}
	}
	if err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// Add begins another lane. One of a name runs at a time.
func (s *Session) Add(spec Lane) error {
	l := &lane{Lane: spec, schedule: spec.scheduled(s.Options), session: s, done: make(chan struct{}), flying: map[time.Time]bool{}}
	if !l.sends() && l.Watch == nil && l.Remote == nil {
		return fmt.Errorf("add lane %s: it sends nothing", l.Name)
	}
	if slices.Contains(s.Names(), l.Name) {
		return fmt.Errorf("add lane %s: there is one of that name", l.Name)
	}
	if l.Remote != nil { // slow: other lanes come and go meanwhile
		if err := l.Remote.Start(s.life, l.schedule); err != nil {
			ctx, cancel := s.finishing()
			defer cancel()
			_, _ = l.Remote.Stop(ctx) // frees what was made; the first error tells more
			return fmt.Errorf("start lane %s: %w", l.Name, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	pace, cancel := context.WithCancel(s.life)
	l.cancel, l.started = cancel, time.Now()
	s.lanes = append(s.lanes, l)
	go l.run(s.life, pace)
	return nil
}

func (l *lane) runs() bool {
	select {
	case <-l.done:
		return false
	default:
		return true
	}
}

// End ends a lane and waits for its requests under way. What it saw stays in the
// report. End it before what it sends to is taken away.
func (s *Session) End(name string) error {
	s.mu.Lock()
	i := slices.IndexFunc(s.lanes, func(l *lane) bool { return l.Name == name && l.runs() })
	if i < 0 {
		s.mu.Unlock()
		return fmt.Errorf("end lane %s: there is none", name)
	}
	l := s.lanes[i]
	s.mu.Unlock()
	l.cancel()
	<-l.done
	return nil
}

// Mark notes that something happens now.
func (s *Session) Mark(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.marks = append(s.marks, Mark{At: time.Now(), Text: text})
}

func (s *Session) trouble(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs = append(s.errs, err.Error())
}

// finishing is a context for what must be done although the session's has ended.
func (s *Session) finishing() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(s.life), s.Finish)
}

// Names are the lanes that run, in the order in which they began.
func (s *Session) Names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, l := range s.lanes {
		if l.runs() {
			out = append(out, l.Name)
		}
	}
	return out
}

// Stop ends all lanes, looks after what was written, and reports. It may be called twice.
func (s *Session) Stop() Report {
	s.stop(func(l *lane) bool { return l.Watch == nil })
	if s.life.Err() == nil {
		s.awaitEvents()
	}
	s.stop(func(*lane) bool { return true })
	s.alone()
	s.looks.Wait()
	s.mu.Lock()
	first := s.ended.IsZero()
	if first {
		s.ended, s.spent = time.Now(), cpu()-s.cpu
	}
	lanes := slices.Clone(s.lanes)
	s.mu.Unlock()
	for _, l := range lanes {
		if first && l.Writes != nil {
			s.check(l.Writes)
		}
	}
	return s.Report()
}

func (s *Session) stop(which func(*lane) bool) {
	s.mu.Lock()
	lanes := slices.DeleteFunc(slices.Clone(s.lanes), func(l *lane) bool { return !which(l) })
	s.mu.Unlock()
	for _, l := range lanes {
		l.cancel()
	}
	for _, l := range lanes {
		<-l.done
	}
}
