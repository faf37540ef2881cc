package xray

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// etcdDeaf is about a member that listens on loopback alone, while others come to it under
// addresses of its machine.
func etcdDeaf(p Instance, flag, otherwise string, hosts []string) []Finding {
	urls := SplitURLs(p.EtcdSetting(flag, otherwise))
	abroad := slices.DeleteFunc(slices.Clone(hosts), func(h string) bool { return loopback(h + ":0") })
	if etcdHidden(p) != "" || len(abroad) == 0 || len(urls) == 0 || slices.ContainsFunc(urls, func(u string) bool { return !loopback(HostPort(u)) || p.heardAt(u) }) {
		return nil
	}
	return []Finding{p.at().fail("--"+flag+" with "+list(distinct(abroad)), "--"+flag+"="+strings.Join(urls, ",")+": nobody reaches it from another machine").
		fixed("Add to --%s of etcd on %s the URL under which others come, and restart it while all other members are healthy.", flag, p.Machine.Name)}
}

// heardAt tells that something listens at the port of a URL on an address that is none of loopback's.
func (i Instance) heardAt(u string) bool {
	return slices.ContainsFunc(i.Machine.Listening, func(l netip.AddrPort) bool {
		return int(l.Port()) == portOf(HostPort(u)) && !l.Addr().Unmap().IsLoopback()
	})
}

// hasPeers tells a member that is not alone, by the list of members, by what it began with, or by others that were seen.
func (s *Scene) hasPeers(p Instance) bool {
	begun := strings.Count(p.EtcdSetting("initial-cluster", ""), "=")
	return max(len(s.etcdMembers()), begun, len(s.Instances(evidence.EtcdServer))) > 1
}
