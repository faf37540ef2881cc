package agent

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/haplane/haplane/internal/durable"
	"github.com/haplane/haplane/internal/lease"
)

// How long a load balancer keeps from the address after it gave it up, and waits for what keepalived does with it.
const (
	restAfterFault = lease.Length
	restAfterMove  = 4 * lease.Length
	mayTakeToAdd   = 400 * time.Millisecond
	mayTakeToMove  = 300 * time.Millisecond
	renewEvery     = 100 * time.Millisecond
)

// A guard keeps keepalived from the address that moves unless this machine holds the lease. Its fields are one goroutine's, but for well.
type guard struct {
	BalancerOptions
	candidate *lease.Candidate
	voter     *lease.Voter
	send      func(netip.Addr, lease.Message)
	well      atomic.Bool // HAProxy
	able      bool        // this machine could have the address

	holds   bool       // keepalived was told that it may have it
	took    lease.Time // when it was, first
	handing lease.Time // until when the address is kept for another one to take it over; 0 where it is not
	there   lease.Time // when it was last seen here, or keepalived was told
	has     bool       // whether it was
	rest    lease.Time // until when this machine keeps from it
	renewed lease.Time
	stepped lease.Time // when it looked at all, and asked, last
	looked  lease.Time // at files that change seldom
	track   string     // what keepalived was told last
	told    string     // what haplane was
	kept    chan keeping
	keeping bool
}

// keeping is what became of electorates that were to be on the disk.
type keeping struct {
	next []lease.Electorate
	err  error
}

// newGuard takes over from an earlier process, or begins without the address.
func newGuard(o BalancerOptions) (*guard, error) {
	wanted, err := readElectorate(o.Electorate, o.Address)
	if err != nil {
		return nil, err
	}
	inForce, err := readInForce(o.inForce, o.Address)
	if err != nil {
		o.Log.Warn("it is as if this machine were new", "err", err)
	}
	moved, own, err := o.address.Look()
	if err != nil {
		return nil, err
	}
	if len(inForce) == 0 && own {
		// The address is this machine's own, and so no other one's: until others join, it is alone.
		inForce = []lease.Electorate{{Balancers: []netip.Addr{o.Address}}}
		if err := durable.WriteJSON(o.inForce, inForce, 0o600); err != nil {
			return nil, err
		}
	}
	t := now()
	g := &guard{BalancerOptions: o, voter: lease.NewVoter(o.Address, t, rand.Uint64()), kept: make(chan keeping, 1),
		candidate: lease.NewCandidate(o.Address, rand.Uint64(), rand.IntN, inForce)}
	g.candidate.Want(t, wanted)
	if last, ok := readNote(o.lease); ok {
		g.voter.Resume(last.VotesFor, last.VotesUntil)
		if moved {
			g.candidate.Resume(t, last.Until, last.Electorate)
		}
	}
	g.well.Store(said(o.well) == "0")
	if g.candidate.Holds(t) {
		o.Log.Info("goes on with its lease", "left", g.candidate.Until()-t)
		g.holds, g.there, g.has = true, t, true
		return g, g.tell(trackHold)
	}
	g.track = trackNot
	return g, o.leave()
}

// run does all that takes turns, until ctx ends. The address stays as it is then: whoever is started next goes on, or takes it away.
func (g *guard) run(ctx context.Context, socket *leaseSocket) error {
	_, known := g.candidate.InForce() // until it is, this machine waits for the other load balancers
	g.Log.Info("balancer started", "address", g.Address, "moves", g.Moves, "holds", g.holds, "knows who votes", known)
	news := make(chan struct{}, 1)
	go watchHAProxy(ctx, g.Socket, g.Loaded, balancerHealth{well: g.well.Load()}, func(well bool, err error) {
		g.Log.Info("HAProxy", "well", well, "err", err)
		g.well.Store(well)
		select {
		case news <- struct{}{}:
		default:
		}
	})
	type received struct {
		from netip.AddrPort
		m    lease.Message
	}
	messages := make(chan received, 64)
	go func() {
		defer close(messages)
		for {
			from, m, ok := socket.receive()
			if !ok {
				return
			}
			select {
			case messages <- received{from, m}:
			case <-ctx.Done():
				return
			}
		}
	}()
	reply := func(to netip.AddrPort) func(lease.Answer) {
		return func(a lease.Answer) { socket.send(to, lease.Message{Answer: &a}) }
	}
	ticker := time.NewTicker(lease.AskEvery)
	defer ticker.Stop()
	g.step(now()) // what is left of a lease may be little
	for {
		ends, turn := g.between(now())
		select {
		case <-ctx.Done():
			return nil
		case <-ends:
			g.follow(now())
		case <-turn:
			g.step(now())
		case <-ticker.C:
			g.step(now())
		case <-news:
			g.step(now())
		case k := <-g.kept:
			g.enforce(now(), k)
		case r, ok := <-messages:
			switch {
			case !ok:
				return nil
			case r.m.Answer != nil:
				g.hear(now(), *r.m.Answer)
			default:
				g.answer(now(), *r.m.Question, reply(r.from))
			}
		}
	}
}

// between is what comes between two ticks: the end of the lease, or this machine's turn to ask for one.
func (g *guard) between(t lease.Time) (ends, turn <-chan time.Time) {
	at := g.candidate.Turn(t, g.voter)
	switch {
	case g.holds:
		ends = time.After(max(g.candidate.Until()-lease.Margin-t, time.Millisecond))
	case g.able && at > g.stepped:
		turn = time.After(at - t)
	}
	return ends, turn
}

// answer is this machine's vote.
func (g *guard) answer(t lease.Time, q lease.Question, reply func(lease.Answer)) {
	a, ok := g.voter.Answer(t, q)
	if !ok {
		return
	}
	if err := g.note(); err != nil {
		g.Log.Error("note what is promised", "err", err)
		return
	}
	a.Balancer = &lease.Balancer{Well: g.able, Has: g.holds && g.has}
	a.Balancer.Electorate, a.Balancer.Known = g.candidate.GoesBy()
	reply(a)
}

func (g *guard) hear(t lease.Time, a lease.Answer) {
	g.candidate.Hear(t, a)
	g.follow(t)
}

// step looks at all that may have changed, and asks for votes.
func (g *guard) step(t lease.Time) {
	g.stepped = t
	g.reread(t)
	g.follow(t)
	lives, standsBy, well := g.lives(), said(g.standBy) == "1", g.well.Load()
	_, known := g.candidate.InForce()
	g.able = well && lives && known && !standsBy && t >= g.rest
	g.tellHaplane(well && known)
	if moved, own, err := g.address.Look(); err != nil {
		g.Log.Error("look for the address", "err", err)
	} else if g.has = moved || g.holds && own && g.Moves[0].Is6(); g.has { // of IPv6 keepalived cannot put it beside the own one
		g.there = t
	}
	if g.holds && g.has && g.track == trackTake && t-g.took > mayTakeToAdd { // and all others have heard so
		g.try("tell keepalived", g.tell(trackHold))
	}
	if other, ok := g.other(t); g.holds {
		switch {
		case !lives:
			g.drop(t, "keepalived is gone", restAfterFault)
		case t-g.there > mayTakeToAdd:
			g.drop(t, "keepalived does not add the address", restAfterMove)
		case !well && ok:
			g.drop(t, "HAProxy is not well, another one's is", restAfterFault)
		case standsBy && ok:
			g.handOver(t, other)
		}
	}
	switch {
	case g.handing != 0 && g.otherHas(t):
		g.handing = 0
		g.not("another one has it")
	case g.handing != 0 && t >= g.handing:
		g.handing = 0
		g.not("nobody has taken it over in time")
	case g.has && !g.holds && g.handing == 0: // keepalived was late to put it there, and may have died since
		g.not("it came without the lease")
	}
	g.ask(g.candidate.Ask(t, (g.able || g.holds) && t >= g.candidate.Turn(t, g.voter)))
	t = now() // if this program was held up meanwhile, the address must not get another second
	g.follow(t)
	if g.holds && g.has && t-g.renewed >= renewEvery {
		g.renewed = t
		if err := g.address.Renew(); err != nil {
			g.Log.Error("renew the address", "err", err)
		}
	}
}

// follow has keepalived do what the lease says.
func (g *guard) follow(t lease.Time) {
	switch holds := g.candidate.Holds(t); {
	case holds && !g.holds && g.able:
		g.Log.Info("takes the address", "lease", g.candidate.Until()-t)
		g.holds, g.took, g.handing, g.there = true, t, 0, t
		g.try("note the lease", g.note())
		g.try("tell keepalived", g.tell(trackTake))
	case !holds && g.holds:
		g.drop(t, "the lease has ended", 0)
	}
}

// drop takes the address away, then what is left of the lease is given back.
func (g *guard) drop(t lease.Time, why string, rest time.Duration) {
	g.holds, g.rest, g.able = false, max(g.rest, t+rest), g.able && rest == 0
	g.not(why)
	g.release(t, netip.Addr{})
}

// not has this machine without the address.
func (g *guard) not(why string) {
	g.Log.Info("leaves the address", "why", why)
	g.try("tell keepalived", g.tell(trackNot))
	g.try("take the address away", g.address.Remove())
	g.has = false
}

// handOver keeps the votes for another one, which takes the address over from this machine, and not from nobody. Voters that do
// not hear of it are free when the lease would have ended, also for a third one: by then the address has left.
func (g *guard) handOver(t lease.Time, to netip.Addr) {
	g.Log.Info("hands the address over", "to", to)
	left := g.candidate.Until() - lease.Margin - lease.AskEvery // it is looked at so often
	g.holds, g.able, g.handing, g.rest = false, false, min(t+mayTakeToMove, left), t+restAfterMove
	g.try("tell keepalived", g.tell(trackHandOver))
	g.release(t, to)
}

func (g *guard) release(t lease.Time, to netip.Addr) {
	questions := g.candidate.Release(t, to)
	g.ask(questions)
}

// ask notes the lease before anybody hears of it, and sends; this machine's own vote needs no network.
func (g *guard) ask(questions []lease.Question) {
	g.try("note the lease", g.note())
	for _, q := range questions {
		if q.To == g.Address {
			g.answer(now(), q, func(a lease.Answer) { g.candidate.Hear(now(), a) })
			continue
		}
		g.send(q.To, lease.Message{Question: &q})
	}
}

// note leaves what there is to the next process on this machine.
func (g *guard) note() error {
	var n note
	if n.VotesFor, n.VotesUntil = g.voter.Promise(); g.holds {
		n.Until, n.Electorate = g.candidate.Until(), g.candidate.Electorate()
	}
	return n.write(g.lease)
}

// reread looks for another electorate, and has it in force when it may and is on the disk.
func (g *guard) reread(t lease.Time) {
	if t-g.looked >= often {
		g.looked = t
		if e, err := readElectorate(g.Electorate, g.Address); err != nil {
			g.Log.Error("the electorate of before stays", "err", err)
		} else {
			g.candidate.Want(t, e)
		}
		g.try("tell keepalived", g.tell(g.track)) // it may have been started anew
	}
	if next, ok := g.candidate.Next(t); ok && !g.keeping {
		g.keeping = true // beside all else: a disk can take long
		g.Log.Info("who is to vote", "electorates", fmt.Sprint(next))
		go func() { g.kept <- keeping{next, durable.WriteJSON(g.inForce, next, 0o600)} }()
	}
}

func (g *guard) enforce(t lease.Time, k keeping) {
	g.keeping = false
	if g.try("keep who votes", k.err); k.err != nil {
		return
	}
	// What was kept is as strict as what is in force, or stricter; it counts if it is still what should be.
	if next, ok := g.candidate.Next(t); ok && slices.EqualFunc(next, k.next, lease.Electorate.Same) {
		g.candidate.Enforce(t, next)
		g.Log.Info("who votes", "electorates", fmt.Sprint(next))
	}
}

// other is a load balancer that could have the address.
func (g *guard) other(t lease.Time) (netip.Addr, bool) {
	for _, b := range g.candidate.Others() {
		if p, ok := g.candidate.Peer(t, b); ok && p.Well {
			return b, true
		}
	}
	return netip.Addr{}, false
}

func (g *guard) otherHas(t lease.Time) bool {
	return slices.ContainsFunc(g.candidate.Others(), func(b netip.Addr) bool {
		p, ok := g.candidate.Peer(t, b)
		return ok && p.Has
	})
}

func (g *guard) tell(value string) error {
	g.track = value
	return writeTrack(g.TrackFile, value)
}

// tellHaplane writes down whether the address could come here.
func (g *guard) tellHaplane(could bool) {
	value := map[bool]string{true: "0", false: "1"}[could]
	if value == g.told {
		return
	}
	if err := writePlain(g.BalancerOptions.places.well, value+"\n", 0o644); err != nil {
		g.Log.Error("tell haplane", "err", err)
		return
	}
	g.told = value
}

// try logs what could not be done; each of these is tried again, or ends by itself.
func (g *guard) try(what string, err error) {
	if err != nil {
		g.Log.Error(what, "err", err)
	}
}
