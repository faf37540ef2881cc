package lease

import (
	"maps"
	"net/netip"
)

// A Voter is one machine's vote. One that does not know what was promised before it began lets that run out first.
type Voter struct {
	me      netip.Addr
	session uint64
	began   Time
	holder  netip.Addr // to whom the vote is promised
	until   Time
	had     netip.Addr // to whom it was promised last, also where he has given it back
	handed  Time       // when he gave it to holder, who has not asked for it since; 0 where he did not
	asked   map[netip.Addr]asked
}

// asked is the newest question that counted, of a candidate: when it was sent by the candidate's clock, and came by ours.
type asked struct{ sent, at Time }

// NewVoter begins, under the address by which it is asked. The session is a random number that no earlier voter of
// this machine had.
func NewVoter(me netip.Addr, now Time, session uint64) *Voter {
	return &Voter{me: me, session: session, began: now, asked: map[netip.Addr]asked{}}
}

// Resume goes on with what an earlier process of this machine promised last, by the same clock: all that it promised has to be known.
func (v *Voter) Resume(holder netip.Addr, until Time) {
	v.holder, v.had, v.until, v.began = holder, holder, until, v.began-Length
}

// Answer takes a question, and may promise the vote. Not ok is one that is not to be answered: it is older than another one
// from the same candidate, or another voter's. Whoever has no key could lead it here, and one vote would count as two.
func (v *Voter) Answer(now Time, q Question) (a Answer, ok bool) {
	a = Answer{From: q.To, To: q.From, Session: q.Session, Sent: q.Sent, Voter: v.session, Clock: now}
	if q.To != v.me {
		return a, false
	}
	if q.Voter != v.session || q.Clock > now || now-q.Clock > Fresh {
		return a, true // who hears the answer can ask again
	}
	// One that was forgotten here is not fresh any more either: it refers to what was answered before.
	maps.DeleteFunc(v.asked, func(_ netip.Addr, last asked) bool { return now-last.at > Fresh })
	if last, ok := v.asked[q.From]; ok && q.Sent <= last.sent {
		return a, false
	}
	v.asked[q.From] = asked{q.Sent, now}
	switch q.Kind {
	case Want:
		if v.Free(now, q.From) && now >= v.began+Length {
			v.holder, v.had, v.until, v.handed = q.From, q.From, now+Length, 0
			a.Granted = true
		}
	case Release:
		if v.holder == q.From {
			v.holder, v.until = q.Next, now
			if q.Next.IsValid() {
				v.until, v.handed = now+Length, now
			}
		}
	}
	return a, true
}

// Free reports whether the vote is promised to nobody, or to this candidate.
func (v *Voter) Free(now Time, candidate netip.Addr) bool {
	return v.holder == candidate || now >= v.until
}

// Promise is to whom the vote was promised last, and until when.
func (v *Voter) Promise() (holder netip.Addr, until Time) { return v.holder, v.until }
