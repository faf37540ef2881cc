// Package lease decides which one of several load balancers may have the address that they move between them. A candidate,
// on a load balancer, may have it as long as a quorum of voters has promised it their votes; a voter promises its vote to one
// candidate at a time, and for the length of a lease. It is pure: clocks, the network and what happens with the address are
// the caller's.
//
// Nobody's wall clock counts, and nobody compares its clock with another's. A voter counts a lease from when it
// promised, a candidate from when it asked, which was before; so a candidate always stops first. What is
// lost, late, doubled, out of order or sent again by a stranger can only make a candidate have less.
package lease

import "time"

// Time is what a machine's own clock says that no step moves and that goes on while the machine sleeps, such as
// CLOCK_BOOTTIME, since whenever it began. Clocks of two machines may differ in rate by less than Margin in Length.
type Time = time.Duration

// How long things last.
const (
	Length   = 500 * time.Millisecond // of a vote, from when it was promised or asked for
	AskEvery = 50 * time.Millisecond  // for votes, for as long as they are wanted
	// Margin is what a candidate leaves of its lease: for clocks that go at different rates, and to act on its end.
	Margin = 10 * time.Millisecond
	// Fresh is how long after a voter's answer a candidate may refer to it in a question. An older one, or one
	// that somebody sends again, counts for nothing; and a candidate that does not hear a voter gets no vote of it.
	Fresh = 200 * time.Millisecond
	// worth is how much of a lease must be left for a candidate to begin with it.
	worth = Length / 4
)
