package lease

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"
)

// A world has machines with clocks of their own in a network that loses, delays, doubles and repeats messages. Its time is the true one.
type world struct {
	now      Time
	events   events
	machines []*box
	random   *rand.Rand
	cut      map[[2]netip.Addr]bool
	loss     float64 // part of the messages
	slow     float64 // part of the messages that take up to 400 ms, and not up to 2
	seen     []sentMessage
	trouble  string // two that hold a lease at once
	held     Time   // the last moment at which somebody did
}

type sentMessage struct {
	from, to netip.Addr
	m        Message
}

// A box is a machine: a voter, and a candidate where it is a load balancer.
type box struct {
	w         *world
	addr      netip.Addr
	balancer  bool
	off       Time    // of its clock
	rate      float64 // how much faster it goes than the true time
	life      int     // of the process
	up        bool
	frozen    bool
	waits     []func() // what comes when it is frozen
	voter     *Voter
	candidate *Candidate
	wanted    Electorate
	sick      bool // its HAProxy
	disk      []Electorate
	keeping   int  // the process that is writing to it
	asked     Time // when it asked last, by its clock
	due       Time // when it will because it is its turn
	until     Time // on /run
	by        string
	vote      *vote // likewise
}

type vote struct {
	holder netip.Addr
	until  Time
}

type event struct {
	at Time
	n  int
	do func()
}
type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].n < e[j].n
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any     { old := *e; x := old[len(old)-1]; *e = old[:len(old)-1]; return x }

func balancerAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}) }
func machineAddr(i int) netip.Addr  { return netip.AddrFrom4([4]byte{10, 0, 1, byte(i)}) }

func addrs(of func(int) netip.Addr, n int) []netip.Addr {
	var out []netip.Addr
	for i := range n {
		out = append(out, of(i+1))
	}
	return out
}

func newWorld(seed uint64, balancers, machines int) *world {
	w := &world{random: rand.New(rand.NewPCG(seed, 1)), cut: map[[2]netip.Addr]bool{}}
	for _, a := range addrs(balancerAddr, balancers) {
		w.machines = append(w.machines, &box{w: w, addr: a, balancer: true})
	}
	for _, a := range addrs(machineAddr, machines) {
		w.machines = append(w.machines, &box{w: w, addr: a})
	}
	for _, b := range w.machines {
		b.off, b.rate = Time(w.random.Int64N(int64(time.Hour))), (w.random.Float64()-.5)/500 // each within a thousandth
	}
	return w
}

func (w *world) at(a netip.Addr) *box {
	i := slices.IndexFunc(w.machines, func(b *box) bool { return b.addr == a })
	return w.machines[i]
}

func (w *world) after(d Time, do func()) { heap.Push(&w.events, event{w.now + d, w.random.Int(), do}) }

// run goes on for a while, and looks after each event.
func (w *world) run(d Time) {
	for end := w.now + d; ; {
		if len(w.events) == 0 || w.events[0].at > end {
			w.now = end
			return
		}
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.do()
		w.look()
	}
}

func (w *world) holders() []*box {
	var out []*box
	for _, b := range w.machines {
		// One that was killed may be back at any time, and go on with its lease.
		if b.up && b.candidate != nil && b.candidate.holding && b.candidate.Holds(b.clock()) || b.balancer && !b.up && b.clock()+Margin < b.until {
			out = append(out, b)
		}
	}
	return out
}

func (w *world) look() {
	switch h := w.holders(); {
	case len(h) > 1 && w.trouble == "":
		w.trouble = fmt.Sprintf("at %v both %s and %s hold a lease", w.now, h[0].describe(), h[1].describe())
	case len(h) > 0:
		w.held = w.now
	}
}

func (b *box) describe() string {
	if b.candidate == nil {
		return b.addr.String()
	}
	return fmt.Sprintf("%s (up %v, frozen %v, until %v of %v, by %v)", b.addr, b.up, b.frozen, b.candidate.Until(), b.clock(), b.candidate.inForce)
}

func (b *box) clock() Time { return b.off + b.w.now + Time(float64(b.w.now)*b.rate) }

// start begins its process anew.
func (b *box) start() {
	b.life++
	b.up, b.waits, b.asked, b.due = true, nil, 0, 0
	b.voter = NewVoter(b.addr, b.clock(), b.w.random.Uint64())
	if b.vote != nil {
		b.voter.Resume(b.vote.holder, b.vote.until)
	}
	if b.balancer {
		b.candidate = NewCandidate(b.addr, b.w.random.Uint64(), b.w.random.IntN, b.disk)
		b.candidate.Want(b.clock(), b.wanted)
		b.candidate.Resume(b.clock(), b.until, b.by)
		life := b.life
		b.w.after(Time(b.w.random.Int64N(int64(AskEvery))), func() { b.tick(life) })
	}
}

func (b *box) stop() { b.up = false; b.life++; b.waits = nil }

// reboot takes all but the disk, and its clock begins anew.
func (b *box) reboot(down Time) {
	b.stop()
	b.until, b.vote, b.frozen = 0, nil, false
	life := b.life
	b.w.after(down, func() {
		if b.life == life {
			b.off = -b.w.now - Time(float64(b.w.now)*b.rate) + time.Second
			b.start()
		}
	})
}

// awake does what a process does, later where it is frozen.
func (b *box) awake(life int, do func()) {
	switch {
	case !b.up || b.life != life:
	case b.frozen:
		if len(b.waits) < 500 {
			b.waits = append(b.waits, do)
		}
	default:
		do()
	}
}

func (b *box) thaw() {
	waits, life := b.waits, b.life
	b.frozen, b.waits = false, nil
	b.w.random.Shuffle(len(waits), func(i, j int) { waits[i], waits[j] = waits[j], waits[i] })
	for _, do := range waits {
		b.awake(life, do)
		b.w.look()
	}
}

func (b *box) tick(life int) {
	b.awake(life, func() {
		if next, ok := b.candidate.Next(b.clock()); ok && b.keeping != life { // which a disk takes its time for
			b.keeping = life
			b.w.after(Time(b.w.random.Int64N(int64(100*time.Millisecond))), func() {
				if b.life != life {
					return
				}
				b.disk = next
				b.awake(life, func() {
					b.keeping = 0
					if now, ok := b.candidate.Next(b.clock()); ok && slices.EqualFunc(now, next, Electorate.Same) {
						b.candidate.Enforce(b.clock(), now)
					}
				})
			})
		}
		b.askNow()
		jitter := Time(b.w.random.Int64N(int64(10 * time.Millisecond)))
		if b.w.slow > 0 && b.w.random.IntN(50) == 0 {
			jitter = Time(b.w.random.Int64N(int64(300 * time.Millisecond)))
		}
		b.w.after(AskEvery+jitter, func() { b.tick(life) })
	})
}

func (b *box) askNow() {
	b.asked = b.clock()
	b.ask(b.candidate.Ask(b.asked, !b.sick && b.asked >= b.candidate.Turn(b.asked, b.voter)))
	b.turn()
}

// turn has it ask when it is its turn, which comes between two ticks.
func (b *box) turn() {
	at, life := b.candidate.Turn(b.clock(), b.voter), b.life
	if b.sick || at <= b.asked || at == b.due || b.candidate.Holds(b.clock()) {
		return
	}
	b.due = at
	b.w.after(max(at-b.clock(), 0)+time.Millisecond, func() {
		b.awake(life, func() {
			if at > b.asked && !b.sick {
				b.askNow()
			}
		})
	})
}

// ask notes the lease, and then sends.
func (b *box) ask(questions []Question) {
	b.until, b.by = 0, ""
	if b.candidate.Holds(b.clock()) {
		b.until, b.by = b.candidate.Until(), b.candidate.Electorate()
	}
	for _, q := range questions {
		b.w.send(b.addr, q.To, Message{Question: &q})
	}
}

func (w *world) send(from, to netip.Addr, m Message) {
	if w.seen = append(w.seen, sentMessage{from, to, m}); len(w.seen) > 3000 {
		w.seen = w.seen[1000:]
	}
	if from != to && (w.cut[[2]netip.Addr{from, to}] || w.random.Float64() < w.loss) {
		return
	}
	w.deliver(to, m)
	if w.random.IntN(20) == 0 {
		w.deliver(to, m)
	}
}

func (w *world) deliver(to netip.Addr, m Message) {
	delay := Time(w.random.Int64N(int64(2 * time.Millisecond)))
	if w.random.Float64() < w.slow {
		delay = Time(w.random.Int64N(int64(400 * time.Millisecond)))
	}
	w.after(delay, func() {
		b := w.at(to)
		b.awake(b.life, func() { b.take(m) })
	})
}

func (b *box) take(m Message) {
	if m.Answer != nil {
		if b.candidate != nil {
			b.candidate.Hear(b.clock(), *m.Answer)
		}
		return
	}
	a, ok := b.voter.Answer(b.clock(), *m.Question)
	if !ok {
		return
	}
	if b.candidate != nil {
		b.vote = &vote{}
		b.vote.holder, b.vote.until = b.voter.Promise()
		a.Balancer = &Balancer{Well: !b.sick, Has: b.candidate.Holds(b.clock())}
		a.Balancer.Electorate, a.Balancer.Known = b.candidate.GoesBy()
	}
	b.w.send(b.addr, m.Question.From, Message{Answer: &a})
	if b.candidate != nil {
		b.turn()
	}
}

// want tells a load balancer who votes.
func (b *box) want(e Electorate) {
	if b.wanted = e; b.up {
		b.candidate.Want(b.clock(), e)
	}
}

// release has one that holds a lease give it up.
func (b *box) release(next netip.Addr) {
	if b.up && !b.frozen && b.candidate.Holds(b.clock()) {
		b.ask(b.candidate.Release(b.clock(), next))
	}
}
