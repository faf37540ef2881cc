package cluster

import (
	"crypto/rand"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A transition is how a cluster comes from one identity, or from one address of its load balancer, to
// another with nobody left out: for a time it has what the old and the new one need.
type transition struct {
	was      []*topology.Topology // what the cluster may still be in parts; the first is what it was brought to last
	both     *topology.Topology   // the wanted one, whose load balancer serves the old ports too
	last     pki.Bundle           // the keys in the end: those of before that have names of before, too
	narrowed []change.Reason      // certificates that lose these names in the end
}

// were are the topologies that the cluster may still be in parts: of what it was brought to, and of what
// changes that were cut off led to.
func (l *live) were() []*topology.Topology {
	all := []*spec.Cluster{l.record.Applied}
	if c := l.record.Change; c != nil {
		all = append(all, c.Through...)
		if l.record.Wanted != nil {
			all = append(all, l.record.Wanted)
		}
	}
	var out []*topology.Topology
	for _, c := range all {
		out = append(out, topology.New(c))
	}
	return out
}

// moves reports whether API servers become others for their clients.
func (l *live) moves() bool {
	return slices.ContainsFunc(l.was, func(t *topology.Topology) bool {
		return t.Identity != l.topology.Identity || t.Reconciler != l.topology.Reconciler
	}) || l.readdressed()
}

// relocates reports whether clients reach the load balancer elsewhere than before.
func (l *live) relocates() bool {
	return slices.ContainsFunc(l.was, func(t *topology.Topology) bool { return t.LoadBalancer != l.topology.LoadBalancer })
}

// readdressed reports whether it has another address.
func (l *live) readdressed() bool {
	return slices.ContainsFunc(l.was, func(t *topology.Topology) bool { return !slices.Equal(t.LBAddresses, l.topology.LBAddresses) })
}

// beginTransition sees what has to be there for the old and the new at once.
func (l *live) beginTransition() error {
	l.was = l.were()
	both := *l.topology
	for _, t := range l.was {
		if !slices.Contains(both.LBPorts, t.LoadBalancer.Port()) {
			both.LBPorts = append(slices.Clone(both.LBPorts), t.LoadBalancer.Port())
		}
	}
	l.both = &both
	if !l.moves() {
		return nil
	}
	if err := l.loadKeys(); err != nil {
		return err
	}
	l.widen()
	return nil
}

// widen has the serving certificate keep the names that it has, beside those that it is to have.
func (l *live) widen() {
	now, err := pki.ParseCertificate(l.keys.Pairs[pki.APIServer].Cert)
	i := slices.IndexFunc(l.rows, func(r pki.Row) bool { return r.Name == pki.APIServer })
	if err != nil {
		return // it is made anew, whatever it was
	}
	l.rows = slices.Clone(l.rows)
	l.rows[i].Addresses = widened(pki.Addresses(now), l.rows[i].Addresses)
	l.rows[i].DNSNames = widened(now.DNSNames, l.rows[i].DNSNames)
}

// widened has what a certificate has now and what it is to have: in the order in which it has them, where that is
// all, so that it need not be issued again.
func widened[T comparable](now, wanted []T) []T {
	beside := func(a, b []T) []T {
		return slices.DeleteFunc(slices.Clone(a), func(one T) bool { return slices.Contains(b, one) })
	}
	switch extra := beside(now, wanted); {
	case len(extra) == 0:
		return wanted
	case len(beside(wanted, now)) == 0:
		return now
	default:
		return append(slices.Clone(wanted), extra...)
	}
}

// narrow makes, in memory, the serving certificate without the names that go.
func (l *live) narrow() error {
	wanted := pki.Catalogue(l.topology)
	i := slices.IndexFunc(wanted, func(r pki.Row) bool { return r.Name == pki.APIServer })
	wide := l.rows[slices.IndexFunc(l.rows, func(r pki.Row) bool { return r.Name == pki.APIServer })]
	gone := append(without(wide.DNSNames, func(n string) bool { return slices.Contains(wanted[i].DNSNames, n) }), texts(slices.DeleteFunc(slices.Clone(wide.Addresses),
		func(a netip.Addr) bool { return slices.Contains(wanted[i].Addresses, a) }))...)
	l.last = l.keys
	if len(gone) == 0 || pki.Elsewhere(wanted, pki.APIServer) { // what has to be signed for that, the next apply tells
		return nil
	}
	var err error
	l.last, err = pki.Issue(wanted, l.keys, []pki.Reissue{{Name: pki.APIServer}}, time.Now(), rand.Reader)
	l.narrowed = []change.Reason{{What: "certificate " + pki.APIServer, Old: "with " + strings.Join(gone, ", "), New: "without"}}
	return err
}

func texts[T fmt.Stringer](values []T) []string {
	var out []string
	for _, v := range values {
		out = append(out, v.String())
	}
	return out
}

// lasts are the machines in the end, of those that have something of before as well until then.
func (l *live) lasts() map[string]render.Machine {
	out := map[string]render.Machine{}
	if l.both == nil || len(l.narrowed) == 0 && len(l.both.LBPorts) == len(l.topology.LBPorts) {
		return out
	}
	for name, m := range l.renderWith(l.topology, l.last, nil) {
		for path, f := range m.Files {
			if path != render.ManifestPath && f.Sum() != l.rendered[name].Files[path].Sum() {
				out[name] = m
			}
		}
	}
	return out
}

// handover is that of the endpoints of default/kubernetes; nil where they stay whose they are.
func (l *live) handover() *change.Handover {
	out := &change.Handover{}
	for _, t := range l.was {
		differs := t.Reconciler != l.topology.Reconciler
		for _, n := range l.topology.ControlPlane() {
			differs = differs || t.AdvertiseAddress(n) != l.topology.AdvertiseAddress(n)
		}
		if differs || !slices.Equal(t.KubernetesEndpoints()[:1], l.topology.KubernetesEndpoints()[:1]) {
			out.Then = texts(l.topology.KubernetesEndpoints())
		}
		if lease := !t.OwnsEndpoints() || !l.topology.OwnsEndpoints(); differs && lease {
			out.Hold = true
		}
	}
	if out.Then == nil {
		return nil
	}
	from := l.was[0]
	out.Why = []change.Reason{{What: "endpoints of default/kubernetes", Old: owner(from), New: owner(l.topology)}}
	out.Meanwhile = texts([]netip.AddrPort{from.LoadBalancer}) // served to the end; agents that run keep it so
	return out
}

// owner says who writes the endpoints of default/kubernetes, and what they are.
func owner(t *topology.Topology) string {
	who := "API servers"
	if t.OwnsEndpoints() {
		who = "haplane agent"
	}
	return strings.Join(texts(t.KubernetesEndpoints()), ", ") + ", by " + who
}

// issueLast keeps the certificates that have lost names.
func (l *live) issueLast() error { return l.Store.SaveKeys(l.last, []string{pki.APIServer}) }
