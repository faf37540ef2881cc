package lease

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
)

// An Electorate is who votes, each by the address under which it is asked: a machine that gets another address is another
// voter. The load balancers are the candidates too.
type Electorate struct {
	Balancers []netip.Addr `json:"balancers"`
	// Machines are those that vote and are no load balancers: the control plane's, where load balancers have machines of their own. They
	// vote where there are several load balancers: two alone could not tell a dead one from one that they do not hear.
	Machines []netip.Addr `json:"machines"`
}

// votes has the weight of each voter, and how much is a quorum: more than half, so any two quorums have a voter in common. Each
// load balancer weighs as much as a majority of the machines, so that of two a quorum is both of them, or one and such a
// majority. One alone has the only vote. Where no others vote, as where the control-plane nodes are the load balancers, each has one
// vote, and a quorum is what it is for etcd's members on the same nodes. A machine in both lists has one vote, that of a load balancer.
func (e Electorate) votes() (weights map[netip.Addr]int, quorum int) {
	weights = map[netip.Addr]int{}
	if len(e.Balancers) > 1 {
		for _, m := range e.Machines {
			if !slices.Contains(e.Balancers, m) {
				weights[m] = 1
			}
		}
	}
	each, all := len(weights)/2+1, 0
	for _, b := range e.Balancers {
		weights[b] = each
	}
	for _, w := range weights {
		all += w
	}
	return weights, all/2 + 1
}

// until is how long votes that each last until some time are a quorum; 0 where they never are.
func (e Electorate) until(ends func(netip.Addr) Time) Time {
	weights, quorum := e.votes()
	voters := make([]netip.Addr, 0, len(weights))
	for v := range weights {
		voters = append(voters, v)
	}
	slices.SortFunc(voters, func(a, b netip.Addr) int { return int(ends(b) - ends(a)) })
	sum := 0
	for _, v := range voters {
		if sum += weights[v]; sum >= quorum {
			return ends(v)
		}
	}
	return 0
}

// Same reports whether the same machines vote in the same roles.
func (e Electorate) Same(o Electorate) bool { return e.id() == o.id() }

// id tells electorates apart.
func (e Electorate) id() string {
	var w strings.Builder
	for _, list := range [][]netip.Addr{e.Balancers, e.Machines} {
		for _, a := range slices.Compact(slices.SortedFunc(slices.Values(list), netip.Addr.Compare)) {
			w.WriteString(a.String() + " ")
		}
		w.WriteString("; ")
	}
	sum := sha256.Sum256([]byte(w.String()))
	return hex.EncodeToString(sum[:8])
}
