package oplock

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// still never beats by itself: what happens is what the test asks for.
var still = timing{every: time.Hour, answer: 20 * time.Second, expiry: 30 * time.Second, lost: time.Hour}

var (
	ann = Holder{Who: "ann@laptop pid 7", Command: "haplane apply", Lineage: "l-1"}
	bob = Holder{Who: "bob's@desk pid 9", Command: `haplane node add "cp-4"`, Lineage: "l-1"}
)

func take(t *testing.T, all []*shell, who Holder) *Lock {
	t.Helper()
	lock, err := acquire(t.Context(), machines(all), nil, who, still)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lock.Release(context.WithoutCancel(t.Context())) })
	return lock
}

func awaitLost(t *testing.T, lock *Lock) {
	t.Helper()
	select {
	case <-lock.Lost():
	case <-time.After(30 * time.Second):
		t.Error("the lock is not lost")
	}
}

func TestAcquireAndRelease(t *testing.T) {
	all := shells(t, "cp-1", "cp-2", "cp-3")
	lock := take(t, all, ann)
	_, err := acquire(t.Context(), machines(all), nil, bob, still)
	var held *HeldError
	if !errors.As(err, &held) || held.Seen.Who != ann.Who || held.Seen.Command != ann.Command || held.Seen.Token != lock.Holder().Token {
		t.Fatalf("error %v", err)
	}
	if !strings.Contains(err.Error(), "being changed by ann@laptop pid 7 (haplane apply) since "+lock.Holder().Since.Format(time.RFC3339)) {
		t.Errorf("error %v", err)
	}
	seen, err := Read(t.Context(), machines(all))
	if err != nil || seen == nil || seen.Who != ann.Who || seen.Expired || strings.Join(seen.On, " ") != "cp-1 cp-2 cp-3" {
		t.Errorf("seen %+v, error %v", seen, err)
	}
	for range 2 {
		if err := lock.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if seen, err := Read(t.Context(), machines(all)); err != nil || seen != nil {
		t.Errorf("after the release: %+v, error %v", seen, err)
	}
	take(t, all, bob)
	seen, err = Read(t.Context(), machines(all))
	if err != nil || seen == nil || seen.Who != bob.Who || seen.Command != bob.Command {
		t.Errorf("seen %+v, error %v: quotes come through", seen, err)
	}
}

func TestMajority(t *testing.T) {
	tests := map[string]struct {
		machines, off int
		err           string
	}{
		"one of one":   {1, 0, ""},
		"none of one":  {1, 1, "0 of 1 machines, 1 needed: take the lock of m-1: connect to m-1"},
		"two of three": {3, 1, ""},
		"one of three": {3, 2, "1 of 3 machines, 2 needed: take the lock of m-1: connect to m-1: no route to host; take the lock of m-2"},
		"one of two":   {2, 1, "1 of 2 machines, 2 needed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			all := shells(t, []string{"m-1", "m-2", "m-3"}[:tt.machines]...)
			for i := range tt.off {
				all[i].off.Store(true)
			}
			lock, err := acquire(t.Context(), machines(all), nil, ann, still)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("error %v, want one with %q", err, tt.err)
			}
			if err == nil {
				defer lock.Release(t.Context())
				return
			}
			var few *TooFewError
			if !errors.As(err, &few) {
				t.Errorf("error of type %T", err)
			}
			for _, s := range all {
				if s.locked() {
					t.Errorf("%s is left locked", s.name)
				}
			}
		})
	}
}

func TestAMinorityOfTheOtherIsRespected(t *testing.T) {
	all := shells(t, "cp-1", "cp-2", "cp-3")
	lock := take(t, all, ann)
	// Two machines are started anew; the holder has not put it back yet.
	all[0].reboots(t)
	all[1].reboots(t)
	_, err := acquire(t.Context(), machines(all), nil, bob, still)
	var held *HeldError
	if !errors.As(err, &held) || held.Seen.Who != ann.Who {
		t.Fatalf("error %v", err)
	}
	if all[0].locked() || all[1].locked() {
		t.Error("what was taken in vain is not given back")
	}
	if err := lock.Held(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !all[0].locked() || !all[1].locked() {
		t.Error("a heartbeat does not put the lock back")
	}
}

func TestExpiry(t *testing.T) {
	tests := map[string]struct {
		age  int
		free bool
	}{
		"just now":             {0, false},
		"a while ago":          {20, false},
		"too long ago":         {40, true},
		"before the last boot": {-100000, true}, // the machine is up for less than at the heartbeat
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			all := shells(t, "cp-1", "cp-2", "cp-3")
			dead := take(t, all, ann)
			for _, s := range all {
				s.ages(t, tt.age)
			}
			seen, err := Read(t.Context(), machines(all))
			if err != nil || seen == nil || seen.Who != ann.Who || seen.Expired != tt.free {
				t.Errorf("seen %+v, error %v", seen, err)
			}
			lock, err := acquire(t.Context(), machines(all), nil, bob, still)
			if (err == nil) != tt.free {
				t.Fatalf("error %v", err)
			}
			if !tt.free {
				return
			}
			defer lock.Release(t.Context())
			// The one that was thought dead learns of it, and takes nothing back.
			if err := dead.Held(t.Context()); err == nil || !strings.Contains(err.Error(), "cp-1: it is held by bob's@desk") {
				t.Errorf("error %v", err)
			}
			awaitLost(t, dead)
			if err := dead.Release(t.Context()); err != nil {
				t.Error(err)
			}
			if err := lock.Held(t.Context()); err != nil {
				t.Errorf("the release of the dead took from the living: %v", err)
			}
		})
	}
}

func TestBreak(t *testing.T) {
	all := shells(t, "cp-1", "cp-2", "cp-3")
	quick := still
	quick.every = 20 * time.Millisecond
	lock, err := acquire(t.Context(), machines(all), nil, ann, quick)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release(t.Context())
	broken, err := Break(t.Context(), machines(all))
	if err != nil || broken == nil || broken.Who != ann.Who {
		t.Fatalf("broke %+v, error %v", broken, err)
	}
	awaitLost(t, lock) // by its own heartbeat, which does not put it back
	if err := lock.Held(t.Context()); err == nil || !strings.Contains(err.Error(), "was lost") {
		t.Errorf("error %v", err)
	}
	if seen, err := Read(t.Context(), machines(all)); err != nil || seen != nil {
		t.Errorf("seen %+v, error %v", seen, err)
	}
	if broken, err := Break(t.Context(), machines(all)); err != nil || broken != nil {
		t.Errorf("broke again %+v, error %v", broken, err)
	}
	take(t, all, bob)
	all[2].off.Store(true)
	broken, err = Break(t.Context(), machines(all))
	if broken == nil || broken.Who != bob.Who || err == nil || !strings.Contains(err.Error(), "break the lock of cp-3: connect to cp-3") {
		t.Errorf("broke %+v, error %v", broken, err)
	}
}

func TestLostWithoutAMajority(t *testing.T) {
	all := shells(t, "cp-1", "cp-2", "cp-3")
	lock := take(t, all, ann)
	all[0].off.Store(true)
	if err := lock.Held(t.Context()); err != nil {
		t.Errorf("one is off: %v", err)
	}
	all[1].off.Store(true)
	if err := lock.Held(t.Context()); err == nil || !strings.Contains(err.Error(), "1 of 3 machines, 2 needed") {
		t.Errorf("error %v", err)
	}
	select {
	case <-lock.Lost():
		t.Error("lost at once")
	default:
	}
	lock.timing.lost = 0
	if err := lock.Held(t.Context()); err == nil {
		t.Error("held by one of three")
	}
	awaitLost(t, lock)
}

// A holder who slept finds the lock free, because others have had it and have gone: it is not his any more.
func TestLostWhileAsleep(t *testing.T) {
	all := shells(t, "cp-1", "cp-2", "cp-3")
	lock := take(t, all, ann)
	sleeps := func(d time.Duration) {
		lock.mu.Lock()
		defer lock.mu.Unlock()
		lock.confirmed -= d
	}
	lock.timing.answer, lock.timing.lost = 4*time.Second, 15*time.Second
	sleeps(20 * time.Second) // nobody can have had it
	if err := lock.Held(t.Context()); err != nil {
		t.Fatal(err)
	}
	sleeps(time.Minute)
	for _, s := range all {
		s.ages(t, 60)
	}
	if err := take(t, all, bob).Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := lock.Held(t.Context()); err == nil || !strings.Contains(err.Error(), "the last heartbeat was 1m0s ago") {
		t.Errorf("error %v", err)
	}
	awaitLost(t, lock)
	for _, s := range all {
		if s.locked() {
			t.Errorf("%s is locked again", s.name)
		}
	}
}

func TestDamage(t *testing.T) {
	tests := map[string]struct {
		text string
		who  string // "" is taken over
	}{
		"empty":           {"", ""},
		"a token alone":   {"t\n", ""},
		"not a number":    {"t\nsoon\n{\"holder\":\"x\"}\n", ""},
		"not ours at all": {"hello", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			all := shells(t, "cp-1")
			_ = take(t, all, ann).Release(t.Context())
			all[0].write(t, tt.text)
			lock := take(t, all, bob)
			if err := lock.Held(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("unreadable holder", func(t *testing.T) {
		all := shells(t, "cp-1")
		lines := func() []string { take(t, all, ann); return all[0].lines(t) }()
		all[0].write(t, lines[0]+"\n"+lines[1]+"\nscribble\n")
		_, err := acquire(t.Context(), machines(all), nil, bob, still)
		var held *HeldError
		if !errors.As(err, &held) || held.Seen.Who != "unknown" || !strings.Contains(err.Error(), "scribble") {
			t.Errorf("error %v", err)
		}
	})
	t.Run("not a folder", func(t *testing.T) {
		all := shells(t, "cp-1")
		all[0].dir = os.DevNull
		_, err := acquire(t.Context(), machines(all), nil, bob, still)
		var few *TooFewError
		if !errors.As(err, &few) || strings.Contains(err.Error(), "umask") {
			t.Errorf("error %v", err)
		}
	})
}

// TestNeverTwoHolders has contenders who come at once and machines that come and go.
func TestNeverTwoHolders(t *testing.T) {
	all := shells(t, "cp-1", "cp-2", "cp-3")
	const contenders, rounds = 3, 12
	var holders, won atomic.Int32
	var group sync.WaitGroup
	for c := range contenders {
		random := rand.New(rand.NewPCG(uint64(c), 11))
		group.Go(func() {
			for range rounds {
				if c == 0 { // one at most is off: the others are a majority
					away := all[random.IntN(3)]
					away.off.Store(true)
					defer away.off.Store(false)
				}
				lock, err := acquire(t.Context(), machines(all), nil, Holder{Who: string(rune('a' + c))}, still)
				if err == nil {
					if n := holders.Add(1); n != 1 {
						t.Errorf("%d holders", n)
					}
					won.Add(1)
					if err := lock.Held(t.Context()); err != nil && !strings.Contains(err.Error(), "no route to host") {
						t.Errorf("held and not: %v", err)
					}
					holders.Add(-1)
					_ = lock.Release(t.Context())
				}
				for _, s := range all {
					if c == 0 {
						s.off.Store(false)
					}
				}
			}
		})
	}
	group.Wait()
	if won.Load() == 0 {
		t.Error("nobody ever won")
	}
}

// TestOneOfTwoWins has two who come at the same time while nothing fails: one of them has it.
func TestOneOfTwoWins(t *testing.T) {
	for range 10 {
		all := shells(t, "cp-1", "cp-2", "cp-3")
		var group sync.WaitGroup
		var locks [2]*Lock
		var errs [2]error
		for i := range locks {
			group.Go(func() {
				locks[i], errs[i] = acquire(t.Context(), machines(all), nil, Holder{Who: string(rune('a' + i))}, still)
			})
		}
		group.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("errors %v and %v", errs[0], errs[1])
		}
		for i, err := range errs {
			var held *HeldError
			if err == nil {
				_ = locks[i].Release(t.Context())
			} else if !errors.As(err, &held) {
				t.Errorf("error %v", err)
			}
		}
	}
}

// Who replaces the control plane and who knows the cluster as it was count other machines, and meet all the same.
func TestWhoCountsOthersIsMet(t *testing.T) {
	all := shells(t, "cp-1", "cp-2", "cp-3", "lb-1")
	nodes, balancer := machines(all[:3]), machines(all[3:])
	for name, first := range map[string]bool{"who replaces comes first": true, "who replaces comes second": false} {
		t.Run(name, func(t *testing.T) {
			replaces := func(who Holder) (*Lock, error) { return acquire(t.Context(), balancer, nodes, who, still) }
			applies := func(who Holder) (*Lock, error) { return acquire(t.Context(), nodes, nil, who, still) }
			if !first {
				replaces, applies = applies, replaces
			}
			lock, err := replaces(ann)
			if err != nil {
				t.Fatal(err)
			}
			var held *HeldError
			if _, err := applies(bob); !errors.As(err, &held) || held.Seen.Who != ann.Who {
				t.Errorf("error %v", err)
			}
			if err := lock.Release(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, s := range all {
				if s.locked() {
					t.Errorf("%s is left locked", s.name)
				}
			}
		})
	}
}

// Machines that do not count may go and come back: the lock is put there again. Whoever takes it there has it.
func TestToldMachines(t *testing.T) {
	all := shells(t, "cp-1", "cp-2", "lb-1")
	begin := func() *Lock {
		lock, err := acquire(t.Context(), machines(all[2:]), machines(all[:2]), ann, still)
		if err != nil {
			t.Fatal(err)
		}
		return lock
	}
	all[1].off.Store(true)
	lock := begin()
	all[0].off.Store(true)
	all[0].reboots(t) // made anew
	if err := errors.Join(lock.beat(t.Context(), lock.all()), lock.Held(t.Context())); err != nil {
		t.Errorf("those that do not count are away: %v", err)
	}
	all[0].off.Store(false)
	if err := lock.beat(t.Context(), lock.all()); err != nil || !all[0].locked() {
		t.Errorf("one is back: %v", err)
	}
	asked := all[1].runs.Load()
	if err := lock.Release(t.Context()); err != nil || all[0].locked() || all[2].locked() {
		t.Errorf("released: %v", err)
	}
	if all[1].runs.Load() != asked {
		t.Error("who was away all along is waited for")
	}
	all[1].off.Store(false)
	lock = begin()
	defer func() { _ = lock.Release(context.WithoutCancel(t.Context())) }()
	if _, err := Break(t.Context(), machines(all[:2])); err != nil {
		t.Fatal(err)
	}
	take(t, all[:2], bob)
	if err := lock.Held(t.Context()); err == nil || !strings.Contains(err.Error(), "cp-1: it is held by bob's@desk") {
		t.Errorf("error %v", err)
	}
	awaitLost(t, lock)
}

// Who only tries to get the lock on a machine that was started anew gives way to who holds it, whether that machine counts or not.
func TestATryGivesWay(t *testing.T) {
	for name, counting := range map[string]int{"it counts": 0, "it does not count": 1} {
		t.Run(name, func(t *testing.T) {
			all := shells(t, "cp-1", "cp-2")
			lock, err := acquire(t.Context(), machines(all[counting:]), machines(all[:counting]), ann, still)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = lock.Release(context.WithoutCancel(t.Context())) }()
			all[0].reboots(t)
			other := &Lock{machines: machines(all[:1]), me: bob, timing: still}
			other.me.Token = "bobs"
			if tried := other.everywhere(t.Context(), other.machines, opTry); other.won(tried) != nil {
				t.Fatalf("%+v", tried)
			}
			if err := errors.Join(lock.beat(t.Context(), lock.all()), lock.Held(t.Context())); err != nil {
				t.Errorf("a try is in the way: %v", err)
			}
			select {
			case <-lock.Lost():
				t.Error("lost to a try")
			default:
			}
			var held *HeldError
			if err := other.won(other.everywhere(t.Context(), other.machines, opTake)); !errors.As(err, &held) || held.Seen.Who != ann.Who {
				t.Errorf("who tried: %v", err)
			}
		})
	}
}

// Who breaks a lock by force takes it away also from who is about to have it; a haplane that goes on where one was killed begins anew.
func TestBrokenMeanwhile(t *testing.T) {
	for name, counting := range map[string]int{"all count": 2, "none counts": 0} {
		t.Run(name, func(t *testing.T) {
			all := shells(t, "cp-1", "cp-2")
			me := ann
			me.Token = "anns"
			l := &Lock{machines: machines(all[:counting]), told: machines(all[counting:]), me: me, timing: still}
			if err := l.won(l.takeInOrder(t.Context())); err != nil {
				t.Fatal(err)
			}
			if _, err := Break(t.Context(), machines(all)); err != nil {
				t.Fatal(err)
			}
			if err := l.won(l.everywhere(t.Context(), l.all(), opTake)); err == nil || !strings.Contains(err.Error(), "somebody has just broken the lock by force on cp-1, cp-2") {
				t.Errorf("error %v", err)
			}
			lock, err := acquire(t.Context(), l.machines, l.told, me, still)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(lock.Held(t.Context()), lock.Release(t.Context())); err != nil {
				t.Error(err)
			}
		})
	}
}

// Where no machine counts, because all that run go or are made anew, the lock on those keeps others away, also while one of them is away.
func TestNobodyCounts(t *testing.T) {
	all := shells(t, "cp-1", "cp-2")
	lock, err := acquire(t.Context(), nil, machines(all), ann, still)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = lock.Release(context.WithoutCancel(t.Context())) }()
	all[0].reboots(t)
	all[0].off.Store(true)
	if err := errors.Join(lock.beat(t.Context(), lock.all()), lock.Held(t.Context())); err != nil {
		t.Errorf("while one is made anew: %v", err)
	}
	all[0].off.Store(false)
	var held *HeldError
	if _, err := acquire(t.Context(), machines(all), nil, bob, still); !errors.As(err, &held) || held.Seen.Who != ann.Who {
		t.Errorf("another one: %v", err)
	}
	if _, err := Break(t.Context(), machines(all)); err != nil {
		t.Fatal(err)
	}
	take(t, all, bob)
	if err := lock.Held(t.Context()); err == nil {
		t.Error("held beside another one")
	}
	awaitLost(t, lock)
}
