package address

import (
	"slices"
	"time"
)

// A Change is that a machine's kernel has the address from now on, or no longer.
type Change struct {
	Machine string
	At      time.Time
	Has     bool
}

// Seen is what a Watch saw in a time. Answers are in the order in which they were asked for; machines that had the address when it began are its first changes.
type Seen struct {
	From, To time.Time
	Answers  []Answer
	Changes  []Change
}

// A Span is a part of it.
type Span struct{ From, To time.Time }

// Length of it.
func (s Span) Length() time.Duration { return s.To.Sub(s.From) }

// soonest is how long it takes at least until a machine that has left the address has it again: it keeps from it for a lease of 0.5 s, and keepalived
// by itself takes three adverts of a second. Half of a lease leaves room for a question.
const soonest = 250 * time.Millisecond

// Twice are the times at which two machines answered for the address. One was asked after another one had answered, and answered, and
// then that other one was asked, and answered again: so soon that it cannot have got the address back. An overlap of less than what two questions take is not noticed.
func (s Seen) Twice() []Span {
	var out []Span
	answered := slices.DeleteFunc(slices.Clone(s.Answers), func(a Answer) bool { return a.Machine == "" || a.Err != nil })
	for i, a := range answered {
		before := func(b Answer) bool {
			return b.Machine != a.Machine && !b.Taken.After(a.Asked) && a.Asked.Sub(b.Taken) < soonest
		}
		for _, c := range answered[i:] {
			if c.Asked.Sub(a.Taken) >= soonest {
				break
			}
			again := func(b Answer) bool { return before(b) && b.Machine == c.Machine && c.Asked.Sub(b.Taken) < soonest }
			if c.Machine != a.Machine && !c.Asked.Before(a.Taken) && slices.ContainsFunc(answered[:i], again) {
				out = join(out, Span{a.Asked, a.Taken})
				break
			}
		}
	}
	return out
}

// join adds a span to others that began before it, and makes one of those that are hardly apart.
func join(all []Span, s Span) []Span {
	if n := len(all); n > 0 && s.From.Sub(all[n-1].To) < soonest {
		all[n-1].To = later(all[n-1].To, s.To)
		return all
	}
	return append(all, s)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Gaps are the times without an answer to the host, but for those between questions that all were answered: from when the last one was asked that was, until the next one.
func (s Seen) Gaps() []Span {
	var out []Span
	last, failed := s.From, false
	for _, a := range s.Answers {
		switch {
		case a.Machine != "":
		case a.Err != nil:
			failed = true
		default:
			if failed {
				out = append(out, Span{last, a.Asked})
			}
			last, failed = a.Asked, false
		}
	}
	if failed {
		out = append(out, Span{last, s.To})
	}
	return out
}

// Failed counts the host's questions, and those that were not answered.
func (s Seen) Failed() (failed, all int) {
	for _, a := range s.Answers {
		if a.Machine == "" {
			if all++; a.Err != nil {
				failed++
			}
		}
	}
	return failed, all
}

// Moves count how often another machine got the address than the one that had it before.
func (s Seen) Moves() int {
	moves, last := -1, ""
	for _, c := range s.Changes {
		if c.Has && c.Machine != last {
			moves, last = moves+1, c.Machine
		}
	}
	return max(moves, 0)
}

// Had tells for how long, the longest time of each, kernels of two machines had the address, and none. Two have it at once while one takes it over from the other, and
// while one is frozen: its kernel keeps it for a second. That is no fault as long as not both answer.
func (s Seen) Had() (two, none time.Duration) {
	holds := map[string]bool{}
	last := s.From
	var both, nobody time.Duration
	step := func(at time.Time) {
		switch passed := at.Sub(last); len(holds) {
		case 0:
			nobody, both = nobody+passed, 0
		case 1:
			nobody, both = 0, 0
		default:
			nobody, both = 0, both+passed
		}
		two, none, last = max(two, both), max(none, nobody), at
	}
	for _, c := range s.Changes {
		if c.At.After(s.From) {
			step(c.At)
		}
		if delete(holds, c.Machine); c.Has {
			holds[c.Machine] = true
		}
	}
	step(s.To)
	return two, none
}

// Longest is the length of the longest span.
func Longest(all []Span) time.Duration {
	longest := time.Duration(0)
	for _, s := range all {
		longest = max(longest, s.Length())
	}
	return longest
}

// Within is how much of the spans, the longest of them, is in none of others.
func Within(all, others []Span) time.Duration {
	longest := time.Duration(0)
	for _, s := range all {
		longest = max(longest, s.Length()-covered(s, others))
	}
	return longest
}

// covered is how much of a span is in one or more of others.
func covered(s Span, others []Span) time.Duration {
	others = slices.SortedFunc(slices.Values(others), func(a, b Span) int { return a.From.Compare(b.From) })
	sum, until := time.Duration(0), s.From
	for _, o := range others {
		from, to := later(o.From, until), o.To
		if to.After(s.To) {
			to = s.To
		}
		if to.After(from) {
			sum, until = sum+to.Sub(from), to
		}
	}
	return sum
}

// Both are the times that are in one of the spans and in one of others.
func Both(all, others []Span) []Span {
	var out []Span
	for _, a := range all {
		for _, b := range others {
			from, to := later(a.From, b.From), a.To
			if b.To.Before(to) {
				to = b.To
			}
			if to.After(from) {
				out = append(out, Span{from, to})
			}
		}
	}
	return out
}
