package outside

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
)

// A View is what new connections to one place of a load balancer saw.
type View struct {
	Place    netip.AddrPort
	Tries    int
	Answered map[string]int // connections by the node whose API server answered
	Failed   map[string]int // by why
	// Unknown are connections to an API server that has the cluster's certificate and is none of those asked for.
	Unknown int
	// Terminated is a certificate, or an answer, of somebody who is not an API server of the cluster; nil where none came.
	Terminated error
}

// Each server is missed by all of so many tries a server once in 20,000 times (e^-10), where a load balancer chooses at random, and those that
// wait look again. Where it chooses by turns, each is seen within the first few. One that chooses who has the fewest connections leads all of them
// to a server that has just started, until that has as many as the others.
const (
	enough    = 3  // tries a server, at the least
	atMost    = 10 // at the most
	failures  = 4  // after which it is known that connections fail
	strangers = 2
)

// Look opens new connections to a place until each of the wanted servers has answered, or it is clear that one does not.
// The error is about wanted servers that do not answer past the load balancer; of the load balancer the view tells.
func (b *Balancer) Look(ctx context.Context, place netip.AddrPort, wanted []string) (View, error) {
	v := View{Place: place, Answered: map[string]int{}, Failed: map[string]int{}}
	nodes, silent := b.processes(ctx)
	known := slices.Concat(slices.Collect(maps.Values(nodes))...)
	if len(known) == 0 || slices.ContainsFunc(wanted, func(n string) bool { return !slices.Contains(known, n) }) {
		return v, silent
	}
	for failed := 0; ctx.Err() == nil && v.Tries < atMost*len(b.Servers); {
		if failed >= failures || v.Unknown >= strangers || v.Terminated != nil || v.Tries >= enough*len(b.Servers) && len(v.Missing(wanted)) == 0 {
			break
		}
		c, err := b.ask(ctx, place.String(), place.Addr().String())
		if err != nil && ctx.Err() != nil { // it was cut off, which tells nothing
			break
		}
		v.Tries++
		if err != nil {
			failed++
			v.fail(err)
			continue
		}
		defer c.Close()
		if who := nodes[c.process]; who != nil || silent == nil { // else it may be one that is silent past the load balancer
			v.count(who)
		}
	}
	return v, ctx.Err()
}

func (v *View) fail(err error) {
	var terminated *TerminatedError
	var nobody *NobodyError
	if errors.As(err, &terminated) || errors.As(err, &nobody) {
		v.Terminated = err
	}
	v.Failed[err.Error()]++
}

// count notes an answer. Servers whose processes were started in the same hundredth of a second are one to it.
func (v *View) count(nodes []string) {
	for _, n := range nodes {
		v.Answered[n]++
	}
	if len(nodes) == 0 {
		v.Unknown++
	}
}

// Missing are those of the servers that no connection led to.
func (v *View) Missing(wanted []string) []string {
	var out []string
	for _, n := range wanted {
		if v.Answered[n] == 0 {
			out = append(out, n)
		}
	}
	return out
}

// failed are how many connections did not get through.
func (v *View) failed() int {
	n := 0
	for count := range maps.Values(v.Failed) {
		n += count
	}
	return n
}

// Stranger looks whether somebody who is none of the cluster answers, before there is anything of it: nil where nobody
// does, or what does has no answer yet.
func (b *Balancer) Stranger(ctx context.Context) error {
	var errs []error
	for _, place := range b.Places {
		c, err := b.ask(ctx, place.String(), place.Addr().String())
		if c != nil {
			c.Close()
			continue
		}
		var terminated *TerminatedError
		if errors.As(err, &terminated) {
			errs = append(errs, b.terminated(place, err))
		}
	}
	return errors.Join(errs...)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
