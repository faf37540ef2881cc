package lease

import (
	"net/netip"
	"slices"
)

// A Candidate is a load balancer that may have the address as long as a quorum of each electorate in force says so. Its
// own machine's voter it asks like all others.
//
// Who votes changes on one load balancer after another, and a change can be cut off anywhere. So a candidate goes by
// the electorates of before too until every other load balancer has told it that it goes by the newest, in answer to a question
// from after it did so itself. Two candidates thus always have one electorate in common, and any two quorums of that have a voter in common.
// One that knows of no electorate from before may not have the address until all others have told it that they go by one that it is
// in. It begins with that one, whatever it is told itself: it may be told of the end of a change that goes on for as long as it lacks.
// What is asked of who changes electorates: a load balancer that a new one lacks has ended for good; and one that is new is told
// of one at least that may have the address, if there is any.
type Candidate struct {
	me      netip.Addr
	session uint64
	random  func(n int) int

	wanted  Electorate
	inForce []Electorate // the newest first
	known   bool         // they are all that another load balancer may go by
	since   Time         // when the newest came into force

	voters  map[netip.Addr]*voterSeen
	sent    Time // of the last question
	counts  Time // when the first question was sent whose answer counts
	resumed Time // until when there is a lease that an earlier process had
	may     bool
	holding bool
	begun   Time // when it began to ask for votes; 0 where it does not
	give    Time // how long it asks until it lets others go first
	pause   Time // until when it does
}

// voterSeen is what a candidate knows of a voter.
type voterSeen struct {
	session     uint64 // of the newest answer
	clock, sent Time
	until       Time // of its vote
	balancer    *Balancer
}

// NewCandidate begins, for a load balancer with an address of its own. The session is a random number that no earlier
// candidate of this machine had; random draws from 0 to n-1. inForce is what the last Next was for that was kept; none on
// a machine that is new.
func NewCandidate(me netip.Addr, session uint64, random func(n int) int, inForce []Electorate) *Candidate {
	return &Candidate{me: me, session: session, random: random, inForce: slices.Clone(inForce), known: len(inForce) > 0, voters: map[netip.Addr]*voterSeen{}}
}

// Want has a candidate go by another electorate, as soon as it may.
func (c *Candidate) Want(now Time, e Electorate) {
	if !c.known && (len(c.inForce) == 0 || !c.wanted.Same(e)) {
		c.begin(now, e)
	}
	c.wanted = e
}

// begin has one that is new ask whether the others go by an electorate.
func (c *Candidate) begin(now Time, e Electorate) { c.inForce, c.since = []Electorate{e}, c.next(now) }

// Next returns the electorates that are to come into force, if they are others than those that are: the caller keeps them where they
// outlive the machine's power, and then calls Enforce.
func (c *Candidate) Next(now Time) ([]Electorate, bool) {
	if c.known && !c.inForce[0].Same(c.wanted) {
		others := slices.DeleteFunc(slices.Clone(c.inForce), c.wanted.Same)
		next := append([]Electorate{c.wanted}, others...)
		// One that has the address goes on by the old ones until the new voters are for it too.
		if !c.Holds(now) || c.quorumUntil(next) > now+worth {
			return next, true
		}
	}
	if (!c.known || len(c.inForce) > 1) && c.agreed() {
		// One that is new goes by it from now on: were it to forget, it would be new again, and have nothing.
		c.known = true
		return c.inForce[:1:1], true
	}
	return nil, false
}

// Enforce has electorates in force, which Next returned.
func (c *Candidate) Enforce(now Time, next []Electorate) {
	if !c.inForce[0].Same(next[0]) {
		c.since, c.resumed = c.next(now), 0 // which no voter of the newest has promised
	}
	c.inForce, c.known = slices.Clone(next), true
}

// InForce are the electorates that it goes by, the newest first, and whether these are all.
func (c *Candidate) InForce() ([]Electorate, bool) { return c.inForce, c.known }

// GoesBy is what it tells others of that: the newest one, and whether these are all.
func (c *Candidate) GoesBy() (newest Electorate, known bool) {
	if len(c.inForce) > 0 {
		newest = c.inForce[0]
	}
	return newest, c.known
}

// Electorate tells the newest electorate in force apart from others, for Resume.
func (c *Candidate) Electorate() string {
	if len(c.inForce) == 0 {
		return ""
	}
	return c.inForce[0].id()
}

// agreed reports whether all load balancers go by the newest electorate, as they said since it is in force here.
func (c *Candidate) agreed() bool {
	newest := c.inForce[0]
	return !slices.ContainsFunc(newest.Balancers, func(b netip.Addr) bool {
		v := c.voters[b]
		return b != c.me && (v == nil || v.balancer == nil || v.sent < c.since || !v.balancer.Electorate.Same(newest))
	})
}

// Ask returns the questions of a moment, one for each voter; AskEvery after the last ones. A candidate that may have the address asks for
// votes, as does one that has it. One that gets no quorum lets go of what it got, and waits a moment: two that ask at once would keep
// each other from it.
func (c *Candidate) Ask(now Time, may bool) []Question {
	c.may = may
	c.update(now)
	kind := Probe
	switch {
	case c.holding:
		kind = Want
	case may && now >= c.pause && c.begun == 0:
		kind, c.begun, c.give = Want, now, Time(2+c.random(4))*AskEvery
		c.counts = max(now, c.sent+1)
	case may && c.begun != 0 && now-c.begun <= c.give:
		kind = Want
	case c.begun != 0:
		c.pause = now + Time(c.random(3))*AskEvery
		return c.Release(now, netip.Addr{})
	}
	return c.questions(now, kind, netip.Addr{})
}

// Turn is when it may begin to ask, by the vote of its own machine: Margin after that is free, when the others' are too, and AskEvery later
// for each load balancer before it that could have the address as well. Of three that ask at once each may have its own vote and no other. One that
// had the vote is not waited for: it has lost it. Where the vote is its own, it is from when that was handed to it, or at any time: 0.
func (c *Candidate) Turn(now Time, own *Voter) Time {
	if own.holder == c.me {
		return own.handed
	}
	turn := own.until + Margin
	for _, b := range c.Others() {
		if p, ok := c.Peer(now, b); ok && p.Well && b.Less(c.me) && b != own.had {
			turn += AskEvery
		}
	}
	return turn
}

// Release gives back all votes, to be kept for another candidate if there is one to follow. The address has to be gone
// before it is called, unless it is the follower's to take it over.
func (c *Candidate) Release(now Time, to netip.Addr) []Question {
	for _, v := range c.voters {
		v.until = 0
	}
	c.holding, c.begun, c.resumed = false, 0, 0
	out := c.questions(now, Release, to)
	c.counts = c.sent + 1
	return out
}

// Resume goes on with the lease that an earlier process of this machine had until a time of the same clock, by an Electorate
// that is the newest still.
func (c *Candidate) Resume(now, until Time, electorate string) {
	if c.known && electorate == c.Electorate() && now+Margin < until && until <= now+Length {
		c.resumed, c.holding = until, true
	}
}

// Hear takes an answer.
func (c *Candidate) Hear(now Time, a Answer) {
	if a.Session != c.session || a.Sent > c.sent || a.To != c.me {
		return // to an earlier process, or to nobody
	}
	v := c.voters[a.From]
	if v == nil {
		return
	}
	if a.Sent > v.sent {
		v.session, v.clock, v.sent, v.balancer = a.Voter, a.Clock, a.Sent, a.Balancer
		if b := a.Balancer; !c.known && b != nil && b.Known && slices.Contains(b.Electorate.Balancers, c.me) && !c.inForce[0].Same(b.Electorate) {
			c.begin(now, b.Electorate)
		}
	}
	if a.Granted && a.Sent >= c.counts {
		v.until = max(v.until, a.Sent+Length)
	}
	c.update(now)
}

// Until is the end of the lease, by the votes that there are.
func (c *Candidate) Until() Time {
	if !c.known {
		return 0
	}
	return max(c.resumed, c.quorumUntil(c.inForce))
}

// Holds reports whether it may have the address at a moment.
func (c *Candidate) Holds(now Time) bool { return c.holding && now+Margin < c.Until() }

// Peer is what another load balancer last told of itself, if that was not longer ago than half a lease.
func (c *Candidate) Peer(now Time, b netip.Addr) (Balancer, bool) {
	v := c.voters[b]
	if v == nil || v.balancer == nil || now-v.sent > Length/2 {
		return Balancer{}, false
	}
	return *v.balancer, true
}

// Others are the other load balancers of the newest electorate.
func (c *Candidate) Others() []netip.Addr {
	if len(c.inForce) == 0 {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(c.inForce[0].Balancers), func(b netip.Addr) bool { return b == c.me })
}

func (c *Candidate) update(now Time) {
	switch until := c.Until(); {
	case c.holding && now+Margin >= until:
		c.holding = false
	case !c.holding && c.may && now+worth < until:
		c.holding, c.begun = true, 0
	}
}

func (c *Candidate) quorumUntil(all []Electorate) Time {
	if len(all) == 0 {
		return 0
	}
	end := Time(-1)
	for _, e := range all {
		until := e.until(func(a netip.Addr) Time {
			if v := c.voters[a]; v != nil {
				return v.until
			}
			return 0
		})
		if end < 0 || until < end {
			end = until
		}
	}
	return end
}

// next is when the next question is sent at the earliest, by what they say.
func (c *Candidate) next(now Time) Time { return max(now, c.sent+1) }

func (c *Candidate) questions(now Time, kind Kind, next netip.Addr) []Question {
	c.sent = c.next(now)
	var out []Question
	for _, e := range append([]Electorate{c.wanted}, c.inForce...) {
		weights, _ := e.votes()
		for a := range weights {
			if slices.ContainsFunc(out, func(q Question) bool { return q.To == a }) {
				continue
			}
			v := c.voters[a]
			if v == nil {
				v = &voterSeen{}
				c.voters[a] = v
			}
			out = append(out, Question{Kind: kind, From: c.me, To: a, Next: next, Session: c.session, Sent: c.sent, Voter: v.session, Clock: v.clock})
		}
	}
	slices.SortFunc(out, func(a, b Question) int { return a.To.Compare(b.To) })
	return out
}
