package render

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"

	"github.com/haplane/haplane/internal/lease"
	"github.com/haplane/haplane/internal/topology"
)

// ElectorateFile is where a load balancer has who votes on which one has the address that moves.
const ElectorateFile = "/etc/haplane/electorate.json"

// leaseKeyFile is where voters and load balancers have their keys: the programs of others see nothing there.
const leaseKeyFile = "/var/lib/haplane/lease.key"

// leaseRereads are the flags whose files they read again by themselves: a vote is lost for a moment by each restart.
var leaseRereads = []string{"electorate", "key"}

// beforeAllElse is for programs that must run in time, however busy the machine is.
var beforeAllElse = []string{"Nice=-20", "OOMScoreAdjust=-900"}

// addLeaseKeys writes the keys that sign what they say, which come from those that encrypt Secrets and are rotated with them: a
// load balancer can make none of these from its own.
func (b *builder) addLeaseKeys() {
	text := ""
	for _, key := range b.Keys.LeaseKeys() {
		text += hex.EncodeToString(key) + "\n"
	}
	b.addSecret(leaseKeyFile, []byte(text))
}

// electorate is who votes. A load balancer by itself sees when that changes, and goes from one to the other. Control-plane nodes that are
// load balancers vote as such, and once.
func electorate(t *topology.Topology) string {
	addresses := func(nodes []topology.Node) []netip.Addr {
		out := []netip.Addr{}
		for _, n := range nodes {
			out = append(out, n.Address)
		}
		return out
	}
	machines := slices.DeleteFunc(t.ControlPlane(), t.Balances)
	text, err := json.MarshalIndent(lease.Electorate{Balancers: addresses(t.LoadBalancers()), Machines: addresses(machines)}, "", "  ")
	if err != nil {
		panic(fmt.Sprintf("render: %v", err)) // addresses
	}
	return string(text) + "\n"
}

// Voter is the unit that votes on which load balancer has the address that moves.
const Voter = "haplane-voter"

// voter is the vote of a control-plane machine: a program of its own, for it must not stop with any other one. One that is a load balancer
// has none: the guard there is its vote, at the same port. A machine has one vote, so one program: that has the lease to lose, and
// answers by itself what it asks itself.
func (b *builder) voter() {
	if !b.Topology.Virtual || b.besideBalancer() {
		return
	}
	b.addLeaseKeys()
	argv := []string{AgentBinary, "agent", "voter", "--listen=" + netip.AddrPortFrom(b.node.Address, topology.LeasePort).String(), "--key=" + leaseKeyFile}
	b.addService(service{
		name: Voter, description: "haplane agent, the vote of this machine on which load balancer has the address",
		argv:    argv,
		service: slices.Concat([]string{"Type=exec", "TimeoutStopSec=5", "RestartSec=100ms"}, beforeAllElse),
		confine: snapshotsOnly(argv),
		self:    leaseRereads,
	})
}
