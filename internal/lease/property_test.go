package lease

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever happens to machines and between them, and however who votes changes meanwhile, no two candidates hold a lease
// at one true moment; and when all is well again, one does, and all go by the same electorate alone. Load balancers have machines of
// their own, and the control plane's vote; or they are the control plane's, and nobody else votes.
func TestNeverTwoHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		onControlPlane := rapid.Bool().Draw(t, "on the control plane")
		balancers, machines := rapid.IntRange(1, 4).Draw(t, "load balancers"), rapid.IntRange(1, 6).Draw(t, "machines")
		if onControlPlane {
			balancers, machines = rapid.IntRange(1, 5).Draw(t, "nodes"), 0
		}
		w := newWorld(rapid.Uint64().Draw(t, "seed"), balancers, machines)
		if rapid.Bool().Draw(t, "bad network") {
			w.loss, w.slow = rapid.Float64Range(0, .3).Draw(t, "loss"), rapid.Float64Range(0, .3).Draw(t, "slow")
		}
		// What tells them of machines that are load balancers too gives nobody a second vote.
		c := &chaos{T: t, world: w, began: map[netip.Addr]bool{}, alone: onControlPlane, twice: onControlPlane && rapid.Bool().Draw(t, "told of in both roles")}
		first := Electorate{Balancers: addrs(balancerAddr, rapid.IntRange(1, balancers).Draw(t, "at first")), Machines: addrs(machineAddr, machines)}
		for _, b := range w.machines {
			if !b.balancer || slices.Contains(first.Balancers, b.addr) {
				c.began[b.addr], b.wanted = true, first
				if rapid.Bool().Draw(t, "known") {
					b.disk = []Electorate{first}
				}
				b.start()
			}
		}
		for range rapid.IntRange(1, 40).Draw(t, "faults") {
			w.run(rapid.Custom(pauses).Draw(t, "pause"))
			c.fault()
		}
		w.run(time.Second)
		if w.trouble != "" {
			t.Fatal(w.trouble)
		}
		c.heal()
		w.run(4 * time.Second)
		if w.trouble != "" {
			t.Fatal(w.trouble)
		}
		if len(w.holders()) != 1 {
			t.Fatalf("when all was well again %d held a lease", len(w.holders()))
		}
		for _, b := range w.machines {
			if c.began[b.addr] && b.balancer {
				if inForce, known := b.candidate.InForce(); len(inForce) != 1 || !known || !inForce[0].Same(b.wanted) {
					t.Fatalf("%s goes by %v (known %v)", b.addr, inForce, known)
				}
			}
		}
	})
}

func pauses(t *rapid.T) Time {
	most := rapid.SampledFrom([]Time{5 * time.Millisecond, 60 * time.Millisecond, 600 * time.Millisecond, 2 * time.Second}).Draw(t, "most")
	return Time(rapid.Int64Range(0, int64(most)).Draw(t, "for"))
}

// chaos does things to a world.
type chaos struct {
	*rapid.T
	*world
	began map[netip.Addr]bool // machines that are there
	twice bool                // load balancers are told of as machines that vote too
	alone bool                // nobody else votes
}

func (c *chaos) those(balancers bool) []*box {
	return slices.DeleteFunc(slices.Clone(c.machines), func(b *box) bool { return !c.began[b.addr] || balancers && !b.balancer })
}

func (c *chaos) one(of []*box, what string) *box {
	return of[rapid.IntRange(0, len(of)-1).Draw(c.T, what)]
}

// electorate draws one that has all load balancers that are there.
func (c *chaos) electorate(with netip.Addr) Electorate {
	var e Electorate
	for _, b := range c.machines {
		switch {
		case b.balancer && (c.began[b.addr] || b.addr == with):
			e.Balancers = append(e.Balancers, b.addr)
		case !b.balancer && rapid.Bool().Draw(c.T, "votes"):
			e.Machines = append(e.Machines, b.addr)
		}
	}
	if c.twice {
		for _, b := range e.Balancers {
			if rapid.Bool().Draw(c.T, "is told of twice") {
				e.Machines = append(e.Machines, b)
			}
		}
	}
	return e
}

func (c *chaos) fault() {
	b, lb, other := c.one(c.those(false), "machine"), c.one(c.those(true), "load balancer"), c.one(c.those(false), "another one")
	switch rapid.SampledFrom([]string{"cut", "cut one way", "isolate", "mend", "freeze", "thaw", "kill", "start", "reboot", "sick", "well", "hand over",
		"repeat", "repeat", "tell", "tell", "tell", "come", "come", "go", "go by itself", "anew"}).Draw(c.T, "fault") {
	case "cut":
		c.cut[[2]netip.Addr{b.addr, other.addr}], c.cut[[2]netip.Addr{other.addr, b.addr}] = true, true
	case "cut one way":
		c.cut[[2]netip.Addr{b.addr, other.addr}] = true
	case "isolate":
		in, out := rapid.Bool().Draw(c.T, "in"), rapid.Bool().Draw(c.T, "out")
		for _, o := range c.machines {
			c.cut[[2]netip.Addr{o.addr, b.addr}], c.cut[[2]netip.Addr{b.addr, o.addr}] = in, out
		}
	case "mend":
		clear(c.cut)
	case "freeze":
		b.frozen = b.up
	case "thaw":
		b.thaw()
	case "kill":
		b.stop()
		if again := rapid.Bool().Draw(c.T, "again"); again { // within its lease
			life := b.life
			c.after(Time(rapid.Int64Range(1, int64(300*time.Millisecond)).Draw(c.T, "down")), func() {
				if b.life == life {
					b.start()
				}
			})
		}
	case "start":
		if !b.up {
			b.frozen = false
			b.start()
		}
	case "reboot":
		b.reboot(Time(rapid.Int64Range(int64(Fresh), int64(3*time.Second)).Draw(c.T, "down")))
	case "sick":
		lb.sick = true
	case "well":
		lb.sick = false
	case "hand over":
		var next netip.Addr
		if rapid.Bool().Draw(c.T, "to somebody") && other.balancer {
			next = other.addr
		}
		lb.release(next)
	case "repeat": // a stranger sends again what it has seen
		for range rapid.IntRange(1, 60).Draw(c.T, "messages") {
			if len(c.seen) > 0 {
				m := c.seen[c.random.IntN(len(c.seen))]
				to := m.to
				if c.random.IntN(4) == 0 {
					to = b.addr
				}
				c.after(Time(c.random.Int64N(int64(300*time.Millisecond))), func() { c.deliver(to, m.m) })
			}
		}
	case "tell":
		e := c.electorate(netip.Addr{})
		for _, o := range c.those(true) { // each of them, or some: the change was cut off
			if rapid.IntRange(0, 3).Draw(c.T, "is told") > 0 {
				o.want(e)
			}
		}
	case "come":
		for _, o := range c.machines {
			if o.balancer && !c.began[o.addr] && !o.up && o.life == 0 {
				e := c.electorate(o.addr)
				for _, x := range c.those(true) {
					if rapid.IntRange(0, 3).Draw(c.T, "is told") > 0 {
						x.want(e)
					}
				}
				c.began[o.addr], o.wanted = true, e
				o.start()
				return
			}
		}
	case "go": // it ends for good before anybody lacks it
		if len(c.those(true)) > 1 {
			lb.stop()
			lb.until = 0
			delete(c.began, lb.addr)
		}
	case "go by itself": // of two that alone vote, one is told before the other one ends, which has no majority without it
		those := c.those(true)
		if !c.alone || len(those) != 2 || !lb.up {
			return
		}
		other := those[0]
		if other == lb {
			other = those[1]
		}
		has := func(e Electorate) bool { return slices.Contains(e.Balancers, lb.addr) }
		inForce, known := other.candidate.InForce()
		if _, knows := lb.candidate.InForce(); knows && known && has(other.wanted) && slices.ContainsFunc(inForce, has) { // or it would not have handed over
			lb.want(Electorate{Balancers: []netip.Addr{lb.addr}})
		}
	case "anew":
		lb.stop()
		lb.until, lb.disk, lb.wanted = 0, nil, c.electorate(netip.Addr{})
		lb.reboot(Fresh)
	}
}

// heal makes all well, and tells everybody the same.
func (c *chaos) heal() {
	clear(c.cut)
	c.loss, c.slow = 0, 0
	var e Electorate
	for _, b := range c.those(false) {
		if b.balancer {
			e.Balancers = append(e.Balancers, b.addr)
		} else {
			e.Machines = append(e.Machines, b.addr)
		}
	}
	for _, b := range c.those(false) {
		b.sick = false
		if b.thaw(); !b.up {
			b.start()
		}
		if b.balancer {
			b.want(e)
		}
	}
}

// takeOver is how long nobody holds where a holder is gone: what is left of his lease, until votes are asked for, and until they come.
const takeOver = Length + Margin + 20*time.Millisecond

// What it takes in the faults that the lease is for, without anything else going wrong: who holds, and for how long nobody does.
func TestAnotherOneTakesOver(t *testing.T) {
	for name, fault := range map[string]struct {
		do     func(*world, *box)
		within Time
	}{
		"killed":         {func(_ *world, b *box) { b.stop() }, takeOver},
		"frozen":         {func(_ *world, b *box) { b.frozen = true }, takeOver},
		"sick, released": {func(_ *world, b *box) { b.sick = true; b.release(netip.Addr{}) }, takeOver - Length},
		"cannot send":    {func(w *world, b *box) { w.isolate(b, true, false) }, takeOver},
		"cannot receive": {func(w *world, b *box) { w.isolate(b, false, true) }, takeOver + Fresh}, // for so long voters hear of him
		"cut off":        {func(w *world, b *box) { w.isolate(b, true, true) }, takeOver},
		"hands over": {func(w *world, b *box) {
			for _, o := range b.candidate.Others() {
				b.release(o)
			}
			b.sick = true
		}, takeOver - Length},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(50) {
				w, holder := serving(t, seed, 2, 3)
				fault.do(w, holder)
				w.run(fault.within)
				if h := w.holders(); len(h) != 1 || h[0] == holder || w.trouble != "" {
					t.Fatalf("seed %d: %d hold a lease after %s; %s", seed, len(h), fault.within, w.trouble)
				}
			}
		})
	}
}

// Where control-plane nodes are the load balancers, another one takes over from any one of three, and nobody from two: etcd on them has no
// quorum either.
func TestControlPlaneNodesTakeOver(t *testing.T) {
	for name, fault := range map[string]func(*world, *box){
		"killed":         func(_ *world, b *box) { b.stop() },
		"frozen":         func(_ *world, b *box) { b.frozen = true },
		"cannot send":    func(w *world, b *box) { w.isolate(b, true, false) },
		"cannot receive": func(w *world, b *box) { w.isolate(b, false, true) },
		"cut off":        func(w *world, b *box) { w.isolate(b, true, true) },
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(50) {
				w, holder := serving(t, seed, 3, 0)
				fault(w, holder)
				w.run(takeOver + Fresh) // the other two do not ask at once: each would have its own vote
				second := w.holders()
				if len(second) != 1 || second[0] == holder || w.trouble != "" {
					t.Fatalf("seed %d: %d hold a lease; %s", seed, len(second), w.trouble)
				}
				fault(w, second[0])
				w.run(2 * time.Second)
				if h := w.holders(); len(h) != 0 || w.trouble != "" {
					t.Fatalf("seed %d: %d hold a lease without a majority; %s", seed, len(h), w.trouble)
				}
			}
		})
	}
}

// From two control-plane nodes to one, the one that stays has the address all the time: it is told before the other one stops.
func TestOneOfTwoControlPlaneNodesLeaves(t *testing.T) {
	for seed := range uint64(20) {
		w, stays := serving(t, seed, 2, 0)
		other := w.at(stays.candidate.Others()[0])
		stays.want(Electorate{Balancers: []netip.Addr{stays.addr}})
		for i := range 300 {
			if i == 20 {
				other.stop()
				other.until = 0
			}
			w.run(10 * time.Millisecond)
			if h := w.holders(); len(h) != 1 || h[0] != stays || w.trouble != "" {
				t.Fatalf("seed %d: %d hold a lease after %d ms; %s", seed, len(h), 10*i, w.trouble)
			}
		}
	}
}

// A node whose load balancer is not well votes on, so the last one that is well has the address: of three nodes two may lose their HAProxy.
func TestLastLoadBalancerThatIsWellHolds(t *testing.T) {
	for seed := range uint64(20) {
		w, first := serving(t, seed, 3, 0)
		first.sick = true
		first.release(netip.Addr{})
		w.run(2 * time.Second)
		if len(w.holders()) != 1 || w.holders()[0] == first {
			t.Fatalf("seed %d: %d hold a lease", seed, len(w.holders()))
		}
		second := w.holders()[0]
		second.sick = true
		second.release(netip.Addr{})
		w.run(2 * time.Second)
		if h := w.holders(); len(h) != 1 || h[0] == first || h[0] == second || w.trouble != "" {
			t.Fatalf("seed %d: %d hold a lease; %s", seed, len(h), w.trouble)
		}
	}
}

// What must not move it.
func TestTheHolderStays(t *testing.T) {
	for name, fault := range map[string]func(*world, *box, *box){
		"the two do not hear each other": func(w *world, a, b *box) {
			w.cut[[2]netip.Addr{a.addr, b.addr}], w.cut[[2]netip.Addr{b.addr, a.addr}] = true, true
		},
		"one way": func(w *world, a, b *box) { w.cut[[2]netip.Addr{a.addr, b.addr}] = true },
		"the other one is killed, and a machine": func(w *world, _, b *box) {
			b.stop()
			w.at(machineAddr(2)).stop()
		},
		"all machines are off": func(w *world, _, _ *box) {
			for i := range 3 {
				w.at(machineAddr(i + 1)).stop()
			}
		},
		"another electorate": func(w *world, a, b *box) {
			for _, x := range []*box{b, a} {
				x.want(Electorate{Balancers: addrs(balancerAddr, 2), Machines: addrs(machineAddr, 1)})
			}
		},
		"machines that do not vote yet": func(w *world, a, b *box) {
			for _, x := range []*box{a, b} {
				x.want(Electorate{Balancers: addrs(balancerAddr, 2), Machines: append(addrs(machineAddr, 3), netip.MustParseAddr("10.0.1.4"))})
			}
		},
		"its process is killed, and back within 0.2 s": func(w *world, a, _ *box) {
			a.stop()
			w.after(200*time.Millisecond, a.start)
		},
		"the same, and the other one is off": func(w *world, a, b *box) {
			b.stop()
			w.run(time.Second)
			a.stop()
			w.after(200*time.Millisecond, a.start)
		},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(20) {
				w, holder := serving(t, seed, 2, 4)
				other := w.at(holder.candidate.Others()[0])
				w.at(machineAddr(4)).stop()
				fault(w, holder, other)
				for end := w.now + 3*time.Second; w.now < end; {
					w.run(10 * time.Millisecond)
					if h := w.holders(); len(h) != 1 || h[0] != holder {
						t.Fatalf("seed %d: %v of the lease after %v", seed, h, w.now-end+3*time.Second)
					}
				}
			}
		})
	}
}

// One that comes while another one is to go is told of the end alone, as a change writes it; the others go by that when the
// other one has gone, which waits until it could have the address itself.
func TestNewOneIsToldOfTheEnd(t *testing.T) {
	for seed := range uint64(20) {
		w := newWorld(seed, 3, 3)
		of := func(balancers ...int) Electorate {
			e := Electorate{Machines: addrs(machineAddr, 3)}
			for _, i := range balancers {
				e.Balancers = append(e.Balancers, balancerAddr(i))
			}
			return e
		}
		one, two, third := w.at(balancerAddr(1)), w.at(balancerAddr(2)), w.at(balancerAddr(3))
		for _, b := range w.machines {
			if b != third {
				b.wanted = of(1, 2)
				b.start()
			}
		}
		w.run(2 * time.Second)
		one.want(of(1, 2, 3))
		two.want(of(1, 2, 3))
		third.wanted = of(2, 3)
		third.start()
		w.run(2 * time.Second)
		if inForce, known := third.candidate.InForce(); !known || w.trouble != "" {
			t.Fatalf("seed %d: the new one waits, by %v; %s", seed, inForce, w.trouble)
		}
		one.stop()
		one.until = 0
		two.want(of(2, 3))
		w.run(2 * time.Second)
		for _, b := range []*box{two, third} {
			if inForce, _ := b.candidate.InForce(); len(inForce) != 1 || !inForce[0].Same(of(2, 3)) {
				t.Errorf("seed %d: %s goes by %v", seed, b.addr, inForce)
			}
		}
		if len(w.holders()) != 1 || w.trouble != "" {
			t.Errorf("seed %d: %d hold a lease; %s", seed, len(w.holders()), w.trouble)
		}
	}
}

func (w *world) isolate(b *box, out, in bool) {
	for _, o := range w.machines {
		w.cut[[2]netip.Addr{b.addr, o.addr}], w.cut[[2]netip.Addr{o.addr, b.addr}] = out && o != b, in && o != b
	}
}

// serving is a cluster in which one has held the lease for a while.
func serving(t *testing.T, seed uint64, balancers, machines int) (*world, *box) {
	t.Helper()
	w := newWorld(seed, balancers, machines)
	for _, b := range w.machines {
		b.wanted = Electorate{Balancers: addrs(balancerAddr, balancers), Machines: addrs(machineAddr, min(machines, 3))}
		b.start()
	}
	w.run(2 * time.Second)
	if len(w.holders()) != 1 {
		t.Fatalf("seed %d: %d hold a lease", seed, len(w.holders()))
	}
	return w, w.holders()[0]
}
