package probe

import (
	"slices"
	"sync"
	"time"
)

// A ledger knows which keys were acknowledged, and which a watch told of.
type ledger struct {
	mu    sync.Mutex
	acked map[string]time.Time
	told  map[string]time.Time
}

func newLedger() *ledger {
	return &ledger{acked: map[string]time.Time{}, told: map[string]time.Time{}}
}

func (l *ledger) acknowledged(key string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[key] = at
}

// tell notes the keys that were not told of before.
func (l *ledger) tell(keys []string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, key := range keys {
		if _, known := l.told[key]; !known {
			l.told[key] = at
		}
	}
}

// lost are the keys that were acknowledged within a time and are not stored.
func (l *ledger) lost(stored []string, in window) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	there := map[string]bool{}
	for _, key := range stored {
		there[key] = true
	}
	out := []string{}
	for key, acked := range l.acked {
		if !there[key] && in.has(acked) {
			out = append(out, key)
		}
	}
	slices.Sort(out)
	return out
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// A delay is the time from an acknowledgement until the watch told of it; one that
// is missed ends when nobody waited any longer.
type delay struct {
	from, to time.Time
	missed   bool
}

// delays are those of what was acknowledged within a time. An event that comes
// before the acknowledgement has none.
func (l *ledger) delays(in window, now time.Time) []delay {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []delay
	for key, acked := range l.acked {
		if !in.has(acked) {
			continue
		}
		told, ok := l.told[key]
		switch {
		case !ok:
			out = append(out, delay{acked, now, true})
		case told.Before(acked):
			out = append(out, delay{acked, acked, false})
		default:
			out = append(out, delay{acked, told, false})
		}
	}
	slices.SortFunc(out, func(a, b delay) int { return a.from.Compare(b.from) })
	return out
}
