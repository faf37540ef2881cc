package lease

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Which voters are a quorum, in words.
func TestQuorums(t *testing.T) {
	b, m := addrs(balancerAddr, 4), addrs(machineAddr, 5)
	tests := []struct {
		name     string
		balancer int
		machines int
		votes    []netip.Addr
		want     bool
	}{
		{"alone", 1, 3, b[:1], true},
		{"machines do not vote for one that is alone", 1, 3, m[:3], false},
		{"both", 2, 3, b[:2], true},
		{"one and a majority", 2, 3, []netip.Addr{b[1], m[0], m[2]}, true},
		{"one and less", 2, 3, []netip.Addr{b[1], m[0]}, false},
		{"one, and half", 2, 4, []netip.Addr{b[0], m[0], m[1]}, false},
		{"one, and more than half", 2, 4, []netip.Addr{b[0], m[0], m[1], m[3]}, true},
		{"all machines without one", 2, 5, m, false},
		{"one machine, one of two", 2, 1, []netip.Addr{b[0], m[0]}, true},
		{"one of two, and no machine votes", 2, 0, b[:1], false},
		{"two of three", 3, 3, b[:2], false},
		{"two of three, and a machine", 3, 3, []netip.Addr{b[0], b[2], m[1]}, true},
		{"all three", 3, 3, b[:3], true},
		{"one of three and all machines", 3, 3, append(slices.Clone(m[:3]), b[0]), true},
		{"one of three and a majority", 3, 3, append(slices.Clone(m[:2]), b[0]), false},
		{"two of four", 4, 3, b[:2], false},
		{"three of four", 4, 3, b[:3], true},
		// On control-plane nodes nobody else votes: a majority of the nodes, as it is etcd's.
		{"the only node", 1, 0, b[:1], true},
		{"both nodes", 2, 0, b[:2], true},
		{"one node of three", 3, 0, b[1:2], false},
		{"two nodes of three", 3, 0, b[1:3], true},
		{"two nodes of four", 4, 0, b[:2], false},
		{"three nodes of four", 4, 0, b[1:4], true},
	}
	for _, test := range tests {
		e := Electorate{Balancers: b[:test.balancer], Machines: m[:test.machines]}
		// A machine that is a load balancer too has one vote.
		if both := (Electorate{Balancers: e.Balancers, Machines: slices.Concat(e.Machines, e.Balancers)}); !sameVotes(e, both) {
			t.Errorf("%s: a load balancer votes twice", test.name)
		}
		got := e.until(func(a netip.Addr) Time {
			if slices.Contains(test.votes, a) {
				return time.Second
			}
			return 0
		})
		if (got == time.Second) != test.want {
			t.Errorf("%s: a quorum until %v, want one: %v", test.name, got, test.want)
		}
	}
	if got := (Electorate{}).until(func(netip.Addr) Time { return time.Second }); got != 0 {
		t.Errorf("nobody votes: until %v", got)
	}
	// As long as the vote of a quorum that ends last.
	ends := map[netip.Addr]Time{b[0]: 9, m[0]: 5, m[1]: 3, m[2]: 7}
	if got := (Electorate{Balancers: b[:2], Machines: m[:3]}).until(func(a netip.Addr) Time { return ends[a] }); got != 5 {
		t.Errorf("until %d, want 5", got)
	}
}

func sameVotes(a, b Electorate) bool {
	weights, quorum := a.votes()
	others, other := b.votes()
	return quorum == other && maps.Equal(weights, others)
}

// Any two quorums of an electorate have a voter in common, also of one in which load balancers are among the machines.
func TestQuorumsMeet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := Electorate{Balancers: addrs(balancerAddr, rapid.IntRange(1, 7).Draw(t, "balancers")), Machines: addrs(machineAddr, rapid.IntRange(0, 9).Draw(t, "machines"))}
		e.Machines = append(e.Machines, e.Balancers[:rapid.IntRange(0, len(e.Balancers)).Draw(t, "both")]...)
		side := map[netip.Addr]bool{}
		for _, a := range slices.Concat(e.Balancers, e.Machines) {
			side[a] = rapid.Bool().Draw(t, "side")
		}
		has := func(of bool) bool {
			return e.until(func(a netip.Addr) Time {
				if side[a] == of {
					return 1
				}
				return 0
			}) == 1
		}
		if has(true) && has(false) {
			t.Fatalf("two quorums of %v: %v", e, side)
		}
	})
}

func TestElectoratesAreSets(t *testing.T) {
	b, m := addrs(balancerAddr, 2), addrs(machineAddr, 3)
	e := Electorate{Balancers: b, Machines: m}
	turned := Electorate{Balancers: []netip.Addr{b[1], b[0], b[1]}, Machines: []netip.Addr{m[2], m[0], m[1]}}
	if !e.Same(turned) {
		t.Error("the order makes another electorate")
	}
	for _, o := range []Electorate{{}, {Balancers: b}, {Balancers: b, Machines: m[:2]}, {Balancers: m, Machines: b}, {Balancers: append(slices.Clone(b), m[0]), Machines: m[1:]}} {
		if e.Same(o) {
			t.Errorf("%v is the same as %v", o, e)
		}
	}
}

func TestSealedMessages(t *testing.T) {
	key, other := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	m := Message{Answer: &Answer{From: balancerAddr(1), To: netip.MustParseAddr("fd00::2"), Session: 1<<64 - 1, Sent: time.Hour, Voter: 3, Clock: 4, Granted: true,
		Balancer: &Balancer{Well: true, Electorate: Electorate{Balancers: addrs(balancerAddr, 2), Machines: addrs(machineAddr, 3)}, Known: true}}}
	sealed := Seal(key, m)
	for name, keys := range map[string][][]byte{"its key": {key}, "a next one": {key, other}, "one of before": {other, key}} {
		got, err := Open(keys, sealed)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if was, is := text(m), text(got); was != is {
			t.Errorf("%s: %s, want %s", name, is, was)
		}
	}
	changed := bytes.Replace(sealed, []byte(`"Granted":true`), []byte(`"Granted":null`), 1)
	for name, bad := range map[string][]byte{"nothing": nil, "short": sealed[:20], "cut": sealed[:len(sealed)-1], "longer": append([]byte("x"), sealed...),
		"changed": changed, "long": append(bytes.Repeat([]byte(" "), MaxMessage), sealed...)} {
		if got, err := Open([][]byte{key}, bad); err == nil {
			t.Errorf("%s: %s", name, text(got))
		}
	}
	if bytes.Equal(changed, sealed) {
		t.Error("nothing was changed")
	}
	for name, keys := range map[string][][]byte{"another key": {other}, "no key": nil, "an empty key": {{}}} {
		if _, err := Open(keys, sealed); err == nil || strings.Contains(err.Error(), string(key)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, m := range map[string]Message{"neither": {}, "both": {Question: &Question{}, Answer: &Answer{}}} {
		if _, err := Open([][]byte{key}, Seal(key, m)); err == nil {
			t.Errorf("%s is a message", name)
		}
	}
	long := Message{Question: &Question{Kind: Release, From: netip.MustParseAddr("2001:db8:1111:2222:3333:4444:5555:6666"), Session: 1<<64 - 1, Sent: 1 << 62, Voter: 1<<64 - 1, Clock: 1 << 62}}
	long.Question.To, long.Question.Next = long.Question.From, long.Question.From
	if n := len(Seal(key, long)); n > MaxMessage/2 {
		t.Errorf("a question has %d bytes", n)
	}
}

func text(m Message) string {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// What a voter promises, one question after another.
func TestVoter(t *testing.T) {
	a, b := balancerAddr(1), balancerAddr(2)
	const ms = time.Millisecond
	v := NewVoter(machineAddr(1), 0, 7)
	for i, q := range []struct {
		at     Time
		kind   Kind
		from   netip.Addr
		sent   Time
		clock  Time
		next   netip.Addr
		voter  uint64
		want   bool // granted
		silent bool
	}{
		{at: 499 * ms, kind: Want, from: a, sent: 1, clock: 499 * ms, voter: 7},                                // it may have promised it before it began
		{at: 500 * ms, kind: Want, from: a, sent: 2, clock: 299 * ms, voter: 7},                                // does not hear us
		{at: 500 * ms, kind: Want, from: a, sent: 2, clock: 501 * ms, voter: 7},                                // cannot be
		{at: 500 * ms, kind: Want, from: a, sent: 2, clock: 500 * ms, voter: 6},                                // of the voter before
		{at: 500 * ms, kind: Probe, from: a, sent: 2, clock: 500 * ms, voter: 7},                               // does not ask
		{at: 500 * ms, kind: Want, from: a, sent: 3, clock: 300 * ms, voter: 7, want: true},                    // until 1000
		{at: 500 * ms, kind: Want, from: a, sent: 3, clock: 300 * ms, voter: 7, silent: true},                  // the same once more
		{at: 502 * ms, kind: Release, from: b, sent: 1, clock: 500 * ms, voter: 7},                             // not its to give
		{at: 999 * ms, kind: Want, from: b, sent: 2, clock: 999 * ms, voter: 7},                                // promised
		{at: 999 * ms, kind: Want, from: a, sent: 4, clock: 999 * ms, voter: 7, want: true},                    // until 1499
		{at: 1400 * ms, kind: Want, from: b, sent: 3, clock: 1400 * ms, voter: 7},                              // still
		{at: 1400 * ms, kind: Release, from: a, sent: 6, clock: 1400 * ms, voter: 7, next: b},                  // for b, until 1900
		{at: 1401 * ms, kind: Want, from: a, sent: 5, clock: 1400 * ms, voter: 7, silent: true},                // asked before it released
		{at: 1402 * ms, kind: Want, from: a, sent: 7, clock: 1400 * ms, voter: 7},                              // it is b's
		{at: 1403 * ms, kind: Want, from: b, sent: 4, clock: 1400 * ms, voter: 7, want: true},                  // until 1903
		{at: 1404 * ms, kind: Release, from: a, sent: 6, clock: 1400 * ms, voter: 7, silent: true},             // again
		{at: 1405 * ms, kind: Release, from: b, sent: 5, clock: 1400 * ms, voter: 7},                           // for anybody
		{at: 1406 * ms, kind: Want, from: a, sent: 8, clock: 1400 * ms, voter: 7, want: true},                  // until 1906
		{at: 1700 * ms, kind: Release, from: a, sent: 9, clock: 1499 * ms, voter: 7},                           // stale: a stranger's
		{at: 1701 * ms, kind: Want, from: b, sent: 6, clock: 1700 * ms, voter: 7},                              // so it is a's
		{at: 1906 * ms, kind: Want, from: b, sent: 7, clock: 1900 * ms, voter: 7, want: true},                  // until it ran out
		{at: 2500 * ms, kind: Want, from: a, sent: 1, clock: 2500 * ms, voter: 7, want: true /* a new boot */}, // its clock began anew
	} {
		answer, ok := v.Answer(q.at, Question{Kind: q.kind, From: q.from, To: machineAddr(1), Next: q.next, Session: 5, Sent: q.sent, Voter: q.voter, Clock: q.clock})
		if ok == q.silent || answer.Granted != q.want {
			t.Errorf("question %d: granted %v, answered %v", i, answer.Granted, ok)
		}
		if ok && (answer != Answer{From: machineAddr(1), To: q.from, Session: 5, Sent: q.sent, Voter: 7, Clock: q.at, Granted: q.want}) {
			t.Errorf("question %d: %+v", i, answer)
		}
	}
	// What was meant for another voter, with all that this one takes for fresh.
	if _, ok := v.Answer(3000*ms, Question{Kind: Want, From: b, To: machineAddr(2), Session: 5, Sent: 9, Voter: 7, Clock: 3000 * ms}); ok {
		t.Error("it answers for another voter")
	}
	if h, until := v.Promise(); h != a || until != 3000*ms || v.Free(2999*ms, b) || !v.Free(3000*ms, b) || !v.Free(2600*ms, a) {
		t.Errorf("held by %s until %v", h, until)
	}
}

// One that knows what was promised before keeps to it, and needs not wait.
func TestVoterResumes(t *testing.T) {
	a, b := balancerAddr(1), balancerAddr(2)
	v := NewVoter(machineAddr(1), time.Hour, 7)
	v.Resume(a, time.Hour+100*time.Millisecond)
	ask := func(from netip.Addr, at Time) bool {
		answer, _ := v.Answer(at, Question{Kind: Want, From: from, To: machineAddr(1), Sent: at, Voter: 7, Clock: at})
		return answer.Granted
	}
	if ask(b, time.Hour+99*time.Millisecond) {
		t.Error("it broke what was promised")
	}
	if !ask(a, time.Hour+99*time.Millisecond) || ask(b, time.Hour+598*time.Millisecond) || !ask(b, time.Hour+599*time.Millisecond) {
		t.Error("it is not as if it had never ended")
	}
}

// What nobody asked for, or asked for too early, gives no lease.
func TestAnswersThatCountForNothing(t *testing.T) {
	me, machine := balancerAddr(1), machineAddr(1)
	begin := func() (*Candidate, []Question) {
		e := Electorate{Balancers: addrs(balancerAddr, 2), Machines: []netip.Addr{machine}}
		c := NewCandidate(me, 9, func(int) int { return 0 }, []Electorate{e})
		c.Want(time.Second, e)
		return c, c.Ask(time.Second, true)
	}
	granted := func(q Question) Answer {
		return Answer{From: q.To, To: me, Session: 9, Sent: q.Sent, Voter: 3, Clock: 1, Granted: true}
	}
	c, questions := begin()
	if len(questions) != 3 {
		t.Fatalf("%d questions", len(questions))
	}
	for _, q := range questions {
		c.Hear(time.Second, granted(q))
	}
	if !c.Holds(time.Second) || c.Until() != time.Second+Length || c.Holds(time.Second+Length-Margin) {
		t.Fatalf("it does not hold what all promise, until %v", c.Until())
	}
	for name, change := range map[string]func(*Answer){
		"of another session":    func(a *Answer) { a.Session = 8 },
		"to what was not asked": func(a *Answer) { a.Sent++ },
		"to another candidate":  func(a *Answer) { a.To = balancerAddr(2) },
		"from a stranger":       func(a *Answer) { a.From = machineAddr(9) },
		"refused":               func(a *Answer) { a.Granted = false },
	} {
		c, questions := begin()
		for _, q := range questions {
			a := granted(q)
			change(&a)
			c.Hear(time.Second, a)
		}
		if c.Holds(time.Second) || c.Until() != 0 {
			t.Errorf("%s: a lease until %v", name, c.Until())
		}
	}
	c, questions = begin()
	c.Release(time.Second, netip.Addr{})
	c.Ask(time.Second, true)
	for _, q := range questions {
		c.Hear(time.Second, granted(q))
	}
	if c.Until() != 0 {
		t.Errorf("asked before it released: a lease until %v", c.Until())
	}
}

// Whose turn it is to ask: a moment after the own vote is free, and later for each other one that could have the address and comes before.
func TestTurn(t *testing.T) {
	one, two, three := balancerAddr(1), balancerAddr(2), balancerAddr(3)
	const now, until = 10 * time.Second, 10200 * time.Millisecond
	for name, test := range map[string]struct {
		me, promised netip.Addr
		well         []netip.Addr // which have said so just now
		want         Time
	}{
		"the vote is its own":                      {two, two, []netip.Addr{one, three}, 0},
		"nobody else could have it":                {three, one, nil, until + Margin},
		"another one comes before":                 {three, one, []netip.Addr{two}, until + Margin + AskEvery},
		"the other one comes behind":               {two, one, []netip.Addr{three}, until + Margin},
		"who had the vote is not waited for":       {three, one, []netip.Addr{one, two}, until + Margin + AskEvery},
		"of two, the first one had it":             {two, one, []netip.Addr{one}, until + Margin},
		"nobody had it, and two others come first": {three, netip.Addr{}, []netip.Addr{one, two}, until + Margin + 2*AskEvery},
	} {
		t.Run(name, func(t *testing.T) {
			e := Electorate{Balancers: []netip.Addr{one, two, three}}
			c := NewCandidate(test.me, 1, func(int) int { return 0 }, []Electorate{e})
			c.Want(now, e)
			questions := c.Ask(now, false)
			for _, q := range questions {
				c.Hear(now, Answer{From: q.To, To: q.From, Session: q.Session, Sent: q.Sent, Voter: 7, Clock: now,
					Balancer: &Balancer{Well: slices.Contains(test.well, q.To), Electorate: e, Known: true}})
			}
			v := NewVoter(test.me, 0, 1)
			v.Resume(test.promised, until)
			if got := c.Turn(now, v); got != test.want {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

// One that has given the vote back is not waited for either.
func TestTurnAfterARelease(t *testing.T) {
	one, two := balancerAddr(1), balancerAddr(2)
	v := NewVoter(two, 0, 1)
	ask := func(from netip.Addr, at Time, kind Kind, next netip.Addr) {
		t.Helper()
		if _, ok := v.Answer(at, Question{Kind: kind, From: from, To: two, Next: next, Session: 5, Sent: at, Voter: 1, Clock: at}); !ok {
			t.Fatal("no answer")
		}
	}
	ask(one, Length, Want, netip.Addr{})
	ask(one, Length+AskEvery, Release, netip.Addr{})
	if v.had != one || v.holder.IsValid() || v.until != Length+AskEvery {
		t.Errorf("%+v", v)
	}
	// Where it is handed over, it is asked for right then, and once.
	c := NewCandidate(two, 1, func(int) int { return 0 }, nil)
	ask(one, 2*Length, Want, netip.Addr{})
	ask(one, 2*Length+AskEvery, Release, two)
	if turn := c.Turn(2*Length+AskEvery, v); turn != 2*Length+AskEvery {
		t.Errorf("its turn is at %v", turn)
	}
	ask(two, 2*Length+2*AskEvery, Want, netip.Addr{})
	if turn := c.Turn(2*Length+2*AskEvery, v); turn != 0 {
		t.Errorf("it has asked, and its turn is at %v", turn)
	}
}
