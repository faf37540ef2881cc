package agent

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/haplane/haplane/internal/durable"
	"github.com/haplane/haplane/internal/lease"
	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/internal/topology"
)

func TestBalancerHealth(t *testing.T) {
	refused, silent := errors.New("refused"), os.ErrDeadlineExceeded
	var b balancerHealth
	for i, one := range []struct {
		err  error
		well bool
	}{
		{nil, false}, {nil, false}, {nil, true},
		{refused, true}, {nil, true}, {refused, true}, {refused, false}, // one refusal is a reload
		{nil, false}, {refused, false}, {nil, false}, {nil, false}, {nil, true},
		{silent, false}, {nil, false}, {nil, false}, {nil, true},
	} {
		before := b.well
		if well, changed := b.note(one.err); well != one.well || changed != (well != before) {
			t.Fatalf("answer %d (%v): well %v, changed %v", i, one.err, well, changed)
		}
	}
}

// A haproxy answers on a socket, until it hangs.
type fakeHAProxy struct {
	net.Listener
	hangs  atomic.Bool
	silent atomic.Int32 // who asked meanwhile
}

func (f *fakeHAProxy) serve() {
	for {
		conn, err := f.Accept()
		if err != nil {
			return
		}
		if f.hangs.Load() {
			defer conn.Close()
			f.silent.Add(1)
			continue
		}
		_, _ = conn.Read(make([]byte, 64))
		_, _ = conn.Write([]byte("2.6.12\n"))
		conn.Close()
	}
}

// Where this program is late every time, HAProxy is not thought well for ever.
func TestSilenceIsExcusedForAWhile(t *testing.T) {
	tests := map[string]struct {
		took, silence time.Duration
		want          bool
	}{
		"in time":                {mayBeSilent, mayBeSilent, false},
		"late":                   {mayBeSilent + 2*askEvery, time.Second, true},
		"late, and silent since": {mayBeSilent + 2*askEvery, longestSilence, false},
	}
	for name, tt := range tests {
		if got := excused(tt.took, tt.silence); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// A pair is two load balancers that share an address, and three machines that vote, each with its own loopback address.
type pair struct {
	*testing.T
	dir    string
	mu     sync.Mutex
	boxes  []*fakeBalancer
	voters []context.CancelFunc
	late   atomic.Int64 // how much this process was, at most
}

// calmly tries until it goes well, where this process did not get to run in time: on a machine that is that busy a lease may end.
func (p *pair) calmly(try func() error) {
	p.Helper()
	for range 10 {
		p.late.Store(0)
		err := try()
		if err == nil {
			return
		}
		if p.Log(err); !p.busy() {
			break
		}
	}
	p.Fatal("and so it is when this process runs in time, or it never does")
}

// busy reports whether this process was late.
func (p *pair) busy() bool { return time.Duration(p.late.Load()) > lease.Length/10 }

func (p *pair) watchLate() {
	const tick = 5 * time.Millisecond
	for p.Context().Err() == nil {
		begun := time.Now()
		time.Sleep(tick)
		if late := int64(time.Since(begun) - tick); late > p.late.Load() {
			p.late.Store(late)
		}
	}
}

// A fakeBalancer has an HAProxy, a keepalived that does as it is told, and a kernel that has the address.
type fakeBalancer struct {
	*testing.T
	haproxy *fakeHAProxy
	options BalancerOptions
	end     func()
	dead    atomic.Bool // keepalived
	peers   func() []*fakeBalancer
	mu      sync.Mutex
	speaks  int // the priority in keepalived's adverts; 0 where it sends none
	moved   bool
	own     bool
	once    bool // it is there only once, as its own one until it is replaced
	renewed int
}

func (f *fakeBalancer) Look() (moved, own bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.moved, f.own, nil
}

func (f *fakeBalancer) Renew() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.renewed++
	return nil
}

func (f *fakeBalancer) Remove() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.moved = false
	return nil
}

// off is the machine without power.
func (f *fakeBalancer) off() {
	f.dead.Store(true)
	f.end()
	_ = f.Remove()
}

func (f *fakeBalancer) has() bool {
	moved, _, _ := f.Look()
	return moved
}

// keepalived puts the address there and takes it away, and leaves it to one with a higher priority that does so, as VRRP has it.
func (f *fakeBalancer) keepalived(ctx context.Context, track string) {
	for ; ctx.Err() == nil; time.Sleep(2 * time.Millisecond) {
		heard := 0
		for _, other := range f.peers() {
			if other != f {
				other.mu.Lock()
				heard = max(heard, other.speaks)
				other.mu.Unlock()
			}
		}
		f.mu.Lock() // nobody takes it away between what is read and what is done
		value, err := strconv.Atoi(said(track))
		switch priority := 100 + value; {
		case f.dead.Load():
			f.speaks = 0
		case err != nil || value <= -254 || heard > priority || heard == priority && f.speaks == 0:
			f.speaks, f.moved = 0, false
		case f.speaks == 0:
			f.speaks, f.moved = priority, !f.once || !f.own
		default:
			f.speaks = priority // that somebody takes the address away is no news
		}
		f.mu.Unlock()
	}
}

func (f *fakeBalancer) start() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- RunBalancer(ctx, f.options) }()
	f.end = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			f.Error(err)
		}
	})
	f.Cleanup(func() { f.end() })
}

func newPair(t *testing.T, balancers int) *pair {
	t.Helper()
	dir, err := os.MkdirTemp("", "pair") // a Unix socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &pair{T: t, dir: dir}
	go p.watchLate()
	must(t, os.WriteFile(p.key(), []byte(hex.EncodeToString(make([]byte, 32))+"\n"), 0o600))
	p.electorate(2, 3)
	for i := range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		p.voters = append(p.voters, cancel)
		go func() {
			err := RunVoter(ctx, VoterOptions{Listen: netip.AddrPortFrom(loopback(10+i), topology.LeasePort), Key: p.key(), Log: slog.New(slog.DiscardHandler)})
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}()
	}
	for i := range balancers {
		p.add(i).start()
	}
	return p
}

func loopback(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 7, byte(i)}) }

func (p *pair) key() string { return filepath.Join(p.dir, "key") }

func (p *pair) electorate(balancers, machines int) {
	p.Helper()
	var e lease.Electorate
	for i := range balancers {
		e.Balancers = append(e.Balancers, loopback(i+1))
	}
	for i := range machines {
		e.Machines = append(e.Machines, loopback(10+i))
	}
	must(p.T, durable.WriteJSON(filepath.Join(p.dir, "electorate"), e, 0o644))
}

func (p *pair) add(i int) *fakeBalancer {
	dir := filepath.Join(p.dir, string(rune('a'+i)))
	must(p.T, os.Mkdir(dir, 0o700))
	file := func(name string) string { return filepath.Join(dir, name) }
	f := &fakeBalancer{T: p.T, options: BalancerOptions{Socket: file("s"), TrackFile: file("track"), Address: loopback(i + 1), Moves: []netip.Addr{loopback(100)},
		Electorate: filepath.Join(p.dir, "electorate"), Key: p.key(), Log: slog.New(slog.DiscardHandler),
		places: places{well: file("well"), standBy: file("stand-by"), lease: file("lease"), inForce: file("electorates.json")}}}
	f.options.address, f.options.lives = f, func() bool { return !f.dead.Load() }
	f.listen()
	p.mu.Lock()
	p.boxes = append(p.boxes, f)
	p.mu.Unlock()
	f.peers = func() []*fakeBalancer { p.mu.Lock(); defer p.mu.Unlock(); return slices.Clone(p.boxes) }
	go f.keepalived(p.Context(), f.options.TrackFile)
	return f
}

func (f *fakeBalancer) listen() {
	l, err := net.Listen("unix", f.options.Socket)
	must(f.T, err)
	f.haproxy = &fakeHAProxy{Listener: l}
	go f.haproxy.serve()
	f.Cleanup(func() { f.haproxy.Close() })
}

// waits for what comes soon.
func (p *pair) waits(what string, until func() bool) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), 20*time.Second)
	defer cancel()
	if err := poll.Until(ctx, 2*time.Millisecond, func(context.Context) error {
		if !until() {
			return errors.New("not yet")
		}
		return nil
	}); err != nil {
		p.Fatalf("%s: %v", what, err)
	}
}

// holder waits until one has the address.
func (p *pair) holder(but *fakeBalancer) (one, other *fakeBalancer) {
	p.Helper()
	p.waits("one has the address", func() bool {
		for i, f := range p.boxes {
			if f != but && f.has() && said(f.options.well) == "0" {
				one, other = f, p.boxes[len(p.boxes)-1-i]
				return true
			}
		}
		return false
	})
	return one, other
}

// never fails the test when two have the address at once, until it ends.
func (p *pair) never() {
	go func() {
		for p.Context().Err() == nil {
			if p.boxes[0].has() && p.boxes[1].has() {
				p.Error("two have the address")
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
}

func TestPairGivesTheAddressToOne(t *testing.T) {
	p := newPair(t, 2)
	p.never()
	one, other := p.holder(nil)
	p.waits("it is renewed", func() bool { one.mu.Lock(); defer one.mu.Unlock(); return one.renewed > 2 })

	one.haproxy.Close() // killed: the other one takes it
	now, _ := p.holder(one)
	if now != other || one.has() {
		t.Fatal("the one whose HAProxy is gone has the address")
	}
	if said(one.options.well) != "1" {
		t.Error("haplane is not told that HAProxy is gone")
	}
	other.haproxy.hangs.Store(true) // both are not well: nobody is better, so it stays
	p.waits("that it hangs is seen", func() bool { return said(other.options.well) == "1" })
	time.Sleep(2 * lease.Length)
	if !other.has() {
		t.Fatal("it gave up what nobody else could have")
	}
	one.listen()
	if now, _ := p.holder(other); now != one {
		t.Fatal("it did not come back")
	}
	other.haproxy.hangs.Store(false)
	p.waits("that it is well is seen", func() bool { return said(other.options.well) == "0" })

	one.dead.Store(true) // keepalived is killed and leaves the address behind
	if now, _ := p.holder(one); now != other || one.has() {
		t.Fatal("the one whose keepalived is gone has the address")
	}
	one.dead.Store(false)

	other.off()
	if now, _ := p.holder(other); now != one {
		t.Fatal("nobody has the address")
	}
	for _, end := range p.voters[:2] { // and a majority of the machines
		end()
	}
	p.waits("it has no majority, and gives it up", func() bool { return !one.has() && said(one.options.TrackFile) == trackNot })
}

func TestPairHandsOver(t *testing.T) {
	p := newPair(t, 2)
	one, other := p.holder(nil)
	// On a machine that is busy the other one may be late, and find that it was left already.
	for try := 0; ; try++ {
		p.waits("the other one could have it", func() bool { return said(other.options.well) == "0" })
		time.Sleep(lease.Length) // and says so
		must(t, os.WriteFile(one.options.standBy, []byte("1\n"), 0o600))
		both := false
		p.waits("it moves", func() bool {
			both = both || one.has() && other.has()
			return !one.has() && other.has()
		})
		if both {
			break
		}
		if try == 5 {
			t.Fatal("nobody takes it before it is left")
		}
		must(t, os.WriteFile(one.options.standBy, []byte("0\n"), 0o600))
		one, other = other, one
	}
	// As long as it is told to stand by it does not come back, whatever becomes of the other one.
	other.off()
	time.Sleep(3 * lease.Length)
	if one.has() {
		t.Error("one that stands by took the address")
	}
	must(t, os.WriteFile(one.options.standBy, []byte("0\n"), 0o600))
	if now, _ := p.holder(other); now != one {
		t.Error("it did not take the address when it could")
	}
}

// A guard that could have the address asks for votes right when its own machine's is free, and not at the next tick; and once.
func TestGuardAwaitsItsTurn(t *testing.T) {
	f := newPair(t, 0).add(0)
	g, err := newGuard(f.options)
	must(t, err)
	until := now() + 100*time.Millisecond
	g.voter.Resume(loopback(2), until)
	if ends, turn := g.between(now()); ends != nil || turn != nil {
		t.Error("one that could not have the address waits for its turn")
	}
	g.able = true
	ends, turn := g.between(now())
	if ends != nil || turn == nil {
		t.Fatalf("ends %v, turn %v", ends, turn)
	}
	<-turn
	if t0 := now(); t0 < until+lease.Margin {
		t.Errorf("%v too early", until+lease.Margin-t0)
	}
	g.stepped = now()
	if _, turn := g.between(now()); turn != nil {
		t.Error("it asks twice")
	}
	g.holds = true
	if ends, turn := g.between(now()); ends == nil || turn != nil {
		t.Errorf("one that holds: ends %v, turn %v", ends, turn)
	}
}

// One that is started anew goes on, and the address stays; one that was off for longer than its lease takes it away first.
func TestBalancerGoesOn(t *testing.T) {
	p := newPair(t, 2)
	for range 5 {
		p.calmly(func() error {
			one, other := p.holder(nil)
			one.end()
			one.start()
			for begun := time.Now(); time.Since(begun) < lease.Length; time.Sleep(time.Millisecond) {
				if !one.has() || other.has() {
					return fmt.Errorf("the address moved (here %v, there %v)", one.has(), other.has())
				}
			}
			return nil
		})
	}
	one, other := p.holder(nil)
	one.end()
	one.dead.Store(true) // it tells nobody
	p.waits("the other one has it", other.has)
	if !one.has() {
		t.Fatal("the test's kernel took it away")
	}
	one.start()
	p.waits("it takes away what it may not have", func() bool { return !one.has() })
	if !other.has() {
		t.Error("it took it from the other one")
	}
}

// Nobody tells the keepalived of a machine whose guard hangs that the lease has ended. It goes on as if it had the address, which the kernel
// has taken away; the other one takes it nevertheless, and the first one's keepalived gives way.
func TestGuardHangsAndKeepalivedGoesOn(t *testing.T) {
	p := newPair(t, 2)
	p.calmly(func() error {
		one, other := p.holder(nil)
		p.waits("it does not begin any more", func() bool { return said(one.options.TrackFile) == trackHold || !one.has() })
		one.end()
		defer one.start()
		must(t, one.Remove())
		p.waits("the other one has it", other.has)
		for begun := time.Now(); time.Since(begun) < 2*lease.Length; time.Sleep(time.Millisecond) {
			if one.has() || !other.has() {
				return fmt.Errorf("the address came back (here %v, there %v)", one.has(), other.has())
			}
		}
		if here, there := said(one.options.TrackFile), said(other.options.TrackFile); here != trackHold || there != trackHold { // so neither is in the other one's way for ever
			return fmt.Errorf("keepalived is told %q here, %q there", here, there)
		}
		return nil
	})
}

// One that cannot start leaves the address, and has keepalived leave it.
func TestBalancerThatCannotStartLeaves(t *testing.T) {
	p := newPair(t, 2)
	one, other := p.holder(nil)
	one.end()
	one.options.Key = filepath.Join(p.dir, "none")
	if err := RunBalancer(t.Context(), one.options); err == nil || !strings.Contains(err.Error(), "read keys") {
		t.Fatalf("%v", err)
	}
	if one.has() || said(one.options.TrackFile) != trackNot {
		t.Errorf("it has the address: %v; keepalived is told %q", one.has(), said(one.options.TrackFile))
	}
	p.waits("the other one has it", other.has)

	p.electorate(1, 3) // the second one is none of them
	other = p.boxes[1]
	other.end()
	other.options.Key = p.key()
	if err := RunBalancer(t.Context(), other.options); err == nil || !strings.Contains(err.Error(), "is none of the load balancers") {
		t.Fatalf("%v", err)
	}
	if other.has() || said(other.options.TrackFile) != trackNot {
		t.Errorf("it has the address: %v; keepalived is told %q", other.has(), said(other.options.TrackFile))
	}
}

// From one load balancer, whose own address it is, to two: it keeps the address all the time.
func TestOneBalancerBecomesTwo(t *testing.T) {
	p := newPair(t, 0)
	one := p.add(0)
	one.own = true
	one.start()
	p.waits("it has the address, though the other one is not there and nobody has told it anything", one.has)
	other := p.add(1)
	other.start()
	p.waits("both go by both", func() bool {
		for _, f := range p.boxes {
			inForce, err := readInForce(f.options.inForce, f.options.Address)
			if err != nil || len(inForce) != 1 || len(inForce[0].Balancers) != 2 {
				return false
			}
		}
		if (!one.has() || other.has()) && !p.busy() {
			t.Fatal("the address moved")
		}
		return true
	})
	p.electorate(2, 1) // a change that took two machines away at once
	p.waits("both go by that", func() bool {
		for _, f := range p.boxes {
			inForce, err := readInForce(f.options.inForce, f.options.Address)
			if err != nil || len(inForce) != 1 || len(inForce[0].Machines) != 1 {
				return false
			}
		}
		if (!one.has() || other.has()) && !p.busy() {
			t.Fatal("the address moved")
		}
		return true
	})
}

// Of IPv6 keepalived cannot put the address there while it is the machine's own one: it is there, and counts, and is replaced when nobody notices.
func TestOwnAddressThatIsThereOnce(t *testing.T) {
	p := newPair(t, 0)
	one := p.add(0)
	one.own, one.once, one.options.Moves = true, true, []netip.Addr{netip.MustParseAddr("fd99::3")}
	one.start()
	may := func() bool { told := said(one.options.TrackFile); return told == trackTake || told == trackHold }
	p.calmly(func() error {
		p.waits("keepalived may have it", may)
		for begun := time.Now(); time.Since(begun) < 2*mayTakeToAdd; time.Sleep(time.Millisecond) {
			if !may() {
				return errors.New("it was given up, because keepalived did not add it")
			}
		}
		return nil
	})
	one.mu.Lock()
	one.own, one.moved, one.renewed = false, true, 0
	one.mu.Unlock()
	p.waits("it is renewed", func() bool { one.mu.Lock(); defer one.mu.Unlock(); return one.renewed > 2 })
	if !one.has() {
		t.Error("it was taken away")
	}
}

func TestBalancerRefuses(t *testing.T) {
	p := newPair(t, 0)
	f := p.add(0)
	refused := func(name, why string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := RunBalancer(ctx, f.options); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %v, want %q", name, err, why)
		}
	}
	f.options.Address = loopback(9)
	refused("an address that nobody votes on", "is none of the load balancers")
	f.options.Address = loopback(1)
	f.options.Electorate = filepath.Join(p.dir, "none")
	refused("nobody votes", "read who votes")
	p.electorate(2, 3)
	f.options.Electorate, f.options.Key = filepath.Join(p.dir, "electorate"), filepath.Join(p.dir, "none")
	refused("no key", "read keys")
	f.options.Key, f.options.TrackFile = p.key(), filepath.Join(p.dir, "none", "track")
	refused("nobody can be told", "no such file")
}

func TestKeyFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	write := func(text string) {
		must(t, durable.WriteFile(file, []byte(text), 0o600))
	}
	one, two := strings.Repeat("0a", 32), strings.Repeat("0b", 32)
	var log strings.Builder
	for name, text := range map[string]string{"none": "", "short": "0a0b\n", "no hexadecimal": one + "\nkey " + two + "\n"} {
		write(text)
		if err := (&keyFile{path: file}).read(); err == nil || strings.Contains(err.Error(), one) || strings.Contains(err.Error(), two) {
			t.Errorf("%s: %v", name, err)
		}
	}
	write(one + "\n")
	k := &keyFile{path: file, log: slog.New(slog.NewTextHandler(&log, nil))}
	must(t, k.read())
	write(two + "\n" + one + "\n")
	if got := k.all(); len(got) != 1 {
		t.Errorf("%d keys within a second", len(got))
	}
	k.looked = time.Time{}
	if got := k.all(); len(got) != 2 || got[0][0] != 0x0b || got[1][0] != 0x0a {
		t.Errorf("%x", got)
	}
	write("x")
	k.looked = time.Time{}
	if got := k.all(); len(got) != 2 || !strings.Contains(log.String(), "line 1") {
		t.Errorf("after a bad file %d keys are left, and it says %q", len(got), log.String())
	}
}

// Silence of a HAProxy that was just told to load its configuration does not count: the process that takes over has not begun yet.
func TestBalancerWaitsForAReload(t *testing.T) {
	dir, err := os.MkdirTemp("", "balancer")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	f := &fakeBalancer{T: t, options: BalancerOptions{Socket: filepath.Join(dir, "s"), Loaded: filepath.Join(dir, "haproxy.loaded")}}
	f.listen()
	must(t, os.WriteFile(f.options.Loaded, []byte("digest\n"), 0o644))
	f.haproxy.hangs.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var sick atomic.Bool
	go watchHAProxy(ctx, f.options.Socket, f.options.Loaded, balancerHealth{well: true}, func(well bool, _ error) { sick.Store(!well) })
	if err := poll.Until(ctx, 5*time.Millisecond, func(context.Context) error {
		if now := time.Now(); os.Chtimes(f.options.Loaded, now, now) != nil || f.haproxy.silent.Load() < 4 {
			return errors.New("it was not asked four times yet")
		}
		return nil
	}); err != nil || sick.Load() {
		t.Fatalf("taken for sick: %v, %v", sick.Load(), err)
	}
	long := time.Now().Add(-mayLoad)
	must(t, os.Chtimes(f.options.Loaded, long, long))
	must(t, poll.Until(ctx, 5*time.Millisecond, func(context.Context) error {
		if !sick.Load() {
			return errors.New("one that hangs is well")
		}
		return nil
	}))
}
