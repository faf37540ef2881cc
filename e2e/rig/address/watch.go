package address

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/haplane/haplane/internal/poll"
)

// every is how often each of those who ask does so, and how often each machine is looked at.
const every = 20 * time.Millisecond

// A Watch asks at the address all the time: from the host, as any client, and each machine by itself, whether it answers there too. And it looks which machines have it.
type Watch struct {
	To       netip.AddrPort
	Machines []Machine

	seats []*seat
	stop  context.CancelFunc
	tasks sync.WaitGroup

	mu       sync.Mutex
	since    time.Time
	asked    int               // questions so far
	underWay map[int]time.Time // when those were asked that have not ended
	answers  []Answer
	has      map[string]bool
	changes  []Change
}

// Start begins to watch an address of IPv4 that some machines of a cluster move. The last addresses of the cluster's network are taken to ask from.
func Start(ctx context.Context, to netip.AddrPort, machines []Machine) (*Watch, error) {
	ctx, stop := context.WithCancel(ctx)
	w := &Watch{To: to, Machines: machines, stop: stop, since: time.Now(), has: map[string]bool{}, underWay: map[int]time.Time{}, seats: []*seat{{timeout: patience}}}
	for i, m := range machines {
		s, err := w.sit(m, byte(254-i))
		if err != nil {
			return nil, errors.Join(err, w.Close())
		}
		w.seats = append(w.seats, s)
	}
	for _, s := range w.seats {
		w.tasks.Go(func() { w.asks(ctx, s) })
	}
	for _, m := range machines {
		w.tasks.Go(func() { w.looks(ctx, m) })
	}
	return w, nil
}

func (w *Watch) sit(m Machine, last byte) (*seat, error) {
	n := m.network()
	defer n.close()
	at, err := n.hardware()
	if err != nil {
		return nil, fmt.Errorf("look at the link of %s: %w", m.Name, err)
	}
	own := m.Cluster.Network.Masked().Addr().As4()
	own[3] = last
	return takeSeat(m, netip.AddrFrom4(own), w.To.Addr(), at)
}

// Close ends it; twice is as good as once.
func (w *Watch) Close() error {
	w.stop()
	w.tasks.Wait()
	var errs []error
	for _, s := range w.seats {
		errs = append(errs, s.leave())
	}
	w.seats = nil
	return errors.Join(errs...)
}

// asks sends a question whenever one is due, whatever became of those before it.
func (w *Watch) asks(ctx context.Context, s *seat) {
	var asked sync.WaitGroup
	defer asked.Wait()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		number := w.begin()
		asked.Go(func() { w.end(number, s.ask(ctx, w.To)) })
	}
}

func (w *Watch) begin() (number int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	w.underWay[w.asked] = time.Now()
	return w.asked
}

func (w *Watch) end(number int, a Answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.underWay, number)
	w.answers = append(w.answers, a)
}

// ended is an error while a question is under way that was asked before a time.
func (w *Watch) ended(before time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, at := range w.underWay {
		if at.Before(before) {
			return errors.New("a question is under way")
		}
	}
	return nil
}

// looks notes when a machine gets the address, and when it loses it.
func (w *Watch) looks(ctx context.Context, m Machine) {
	n := m.network()
	defer n.close()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		has := n.has(w.To.Addr())
		w.mu.Lock()
		if has != w.has[m.Name] {
			w.has[m.Name] = has
			w.changes = append(w.changes, Change{m.Name, time.Now(), has})
		}
		w.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Take returns what was seen since it was called last, or Forget was. It waits for questions that are under way.
func (w *Watch) Take(ctx context.Context) (Seen, error) {
	to := time.Now()
	if err := poll.Until(ctx, every, func(context.Context) error { return w.ended(to) }); err != nil {
		return Seen{}, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := Seen{From: w.since, To: to}
	for _, a := range w.answers {
		if a.Asked.Before(to) {
			seen.Answers = append(seen.Answers, a)
		}
	}
	slices.SortFunc(seen.Answers, func(a, b Answer) int { return a.Asked.Compare(b.Asked) })
	for _, c := range w.changes {
		if c.At.Before(to) {
			seen.Changes = append(seen.Changes, c)
		}
	}
	w.forget(to)
	return seen, nil
}

// Forget is Take without a result: what was seen until now does not count.
func (w *Watch) Forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget(time.Now())
}

// forget begins anew with a time that is now or a moment ago: with the machines that had the address then.
func (w *Watch) forget(at time.Time) {
	had := map[string]bool{}
	var later []Change
	for _, c := range w.changes {
		if c.At.Before(at) {
			had[c.Machine] = c.Has
		} else {
			later = append(later, c)
		}
	}
	w.since, w.changes = at, nil
	for _, m := range w.Machines {
		if had[m.Name] {
			w.changes = append(w.changes, Change{m.Name, at, true})
		}
	}
	w.changes = append(w.changes, later...)
	w.answers = slices.DeleteFunc(w.answers, func(a Answer) bool { return a.Asked.Before(at) })
}

// Holder is the machine that has the address: just one.
func (w *Watch) Holder() (Machine, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []Machine
	for _, m := range w.Machines {
		if w.has[m.Name] {
			out = append(out, m)
		}
	}
	if len(out) != 1 {
		return Machine{}, fmt.Errorf("%d machines have %s, want 1", len(out), w.To.Addr())
	}
	return out[0], nil
}

// Steady waits until one machine has had the address for a while, and every question of the host was answered meanwhile.
func (w *Watch) Steady(ctx context.Context, while time.Duration) (Machine, error) {
	since, last := time.Now(), ""
	var holder Machine
	err := poll.Until(ctx, 100*time.Millisecond, func(context.Context) (err error) {
		if holder, err = w.Holder(); err != nil || holder.Name != last {
			since, last = time.Now(), holder.Name
		}
		if err == nil && time.Since(since) < while {
			err = fmt.Errorf("%s has had the address for %s, want %s", holder.Name, time.Since(since).Round(every), while)
		}
		if err == nil {
			err = w.served(time.Now().Add(-while))
		}
		return err
	})
	return holder, err
}

// Served waits until the host's questions have been answered for a while without an exception, after a time.
func (w *Watch) Served(ctx context.Context, after time.Time, while time.Duration) error {
	return poll.Until(ctx, 50*time.Millisecond, func(context.Context) error {
		from := time.Now().Add(-while)
		if from.Before(after) {
			return errors.New("that long it has not been yet")
		}
		return w.served(from)
	})
}

// served is an error unless all that the host asked from a time until its patience ended was answered.
func (w *Watch) served(from time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	to, all := time.Now().Add(-patience), 0
	for _, a := range w.answers {
		if a.Machine != "" || a.Asked.Before(from) || a.Asked.After(to) {
			continue
		}
		if all++; a.Err != nil {
			return fmt.Errorf("a question at %s: %w", w.To, a.Err)
		}
	}
	if from.Before(to) && all == 0 {
		return errors.New("nothing was asked")
	}
	return nil
}
