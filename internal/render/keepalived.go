package render

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/program"
	"github.com/haplane/haplane/internal/topology"
)

// keepalived moves the address that clients use between the load balancers. What is chosen, and why:
//   - it is in fault, and has no address, unless haplane agent says that this machine holds the lease (package lease): VRRP
//     alone cannot rule out that two have the address which do not hear each other. -254 is the fault, 100 begins with the lease,
//     50 holds, 0 hands over;
//   - all have the same priority, and take the address from who has less: one that hands over goes down to 100, and the
//     next one, at 200, has the address before the first one leaves it. It has it from one that holds, too: somebody whose
//     haplane agent hangs goes on at 150, though the lease is over;
//   - VRRP version 3, twenty adverts a second: this is how long a hand-over takes;
//   - unicast, to the other load balancers and nobody else, and only from them: packets that have passed a router
//     (their TTL is not 255 any more) do not count, so nobody outside of the network can take the address; and of another keepalived
//     there, with the same router ID and even the same address, it says that it has heard one that is no peer, and goes on;
//   - one that is alone talks as well, to the host, where nobody listens: by multicast it would heed that other keepalived, and between the two ways
//     a reload takes the address away for 0.07 s (seen with 2.2.7);
//   - the file is never made anew by keepalived once it is there (no overwrite): it would be in fault until somebody writes again;
//   - that the address is taken away beside keepalived, as by haplane agent or by the kernel when its life is over (no_track),
//     is no news;
//   - one without peers left to talk to, or without its own address, does not take it;
//   - gratuitous ARP, or neighbour advertisements, at once and again after a second, and every few seconds: a switch
//     that has missed them learns;
//   - it runs before all else on its machine (nice).
const keepalivedConf = `global_defs {
    router_id %s
    vrrp_version 3
    vrrp_check_unicast_src
    vrrp_higher_prio_send_advert true
    vrrp_garp_master_delay 1
    vrrp_garp_master_repeat 3
    vrrp_garp_lower_prio_delay 1
    vrrp_garp_lower_prio_repeat 1
    vrrp_garp_master_refresh 5
}

track_file lease {
    file %s
    weight 1
    init_file -254
}

vrrp_instance kube-apiserver {
    state BACKUP
    interface eth0
    virtual_router_id %d
    priority 100
    advert_int 0.05
    down_timer_adverts 1
    unicast_src_ip %s
    unicast_ttl 255
    unicast_fault_no_peer
    unicast_peer {
%s    }
    track_src_ip
    track_file {
        lease
    }
    virtual_ipaddress {
        %s dev eth0 no_track
    }
%s}
`

const vrrpPeer = "        %s min_ttl 255 max_ttl 255\n"

// virtualRouter is the ID of the load balancers' group: the last byte of their address, so that clusters in one
// network have different ones; 0 is none.
func virtualRouter(address netip.Addr) byte {
	bytes := address.AsSlice()
	return max(bytes[len(bytes)-1], 1)
}

func (b *builder) keepalived() {
	const conf = "/etc/keepalived/keepalived.conf"
	t := b.Topology
	var peers strings.Builder
	for _, n := range t.LoadBalancers() {
		if n.Name != b.node.Name {
			fmt.Fprintf(&peers, vrrpPeer, n.Address)
		}
	}
	if peers.Len() == 0 { // unicast takes somebody to talk to
		fmt.Fprintf(&peers, vrrpPeer, t.Host())
	}
	further := ""
	for i, a := range t.LBAddresses[1:] {
		if i == 0 {
			further = "    virtual_ipaddress_excluded {\n"
		}
		further += "        " + alone(a) + " dev eth0 preferred_lft 0 no_track\n"
		if i == len(t.LBAddresses)-2 {
			further += "    }\n"
		}
	}
	b.add(conf, fmt.Sprintf(keepalivedConf, b.node.Name, topology.BalancerTrack, virtualRouter(t.LBAddresses[0]), b.node.Address, peers.String(), alone(t.LBAddresses[0]), further))
	b.addLeaseKeys()
	b.add(ElectorateFile, electorate(t))
	b.addService(service{
		name: Guard, description: "haplane agent, which tells keepalived whether it may have the address",
		argv: []string{AgentBinary, "agent", "balancer", "--socket=" + topology.HAProxySocket, "--track-file=" + topology.BalancerTrack,
			"--address=" + b.node.Address.String(), "--moves=" + topology.Join(t.LBAddresses), "--electorate=" + ElectorateFile, "--key=" + leaseKeyFile},
		after: []string{"haproxy.service"},
		// Another one takes over when it has not run for half a second: it goes before all else, and comes again at once.
		service: slices.Concat([]string{"Type=exec", "RuntimeDirectory=haplane", "RuntimeDirectoryMode=0755", "RuntimeDirectoryPreserve=yes",
			"StateDirectory=haplane/balancer", "StateDirectoryMode=0700", "TimeoutStopSec=5", "RestartSec=100ms"}, beforeAllElse),
		// HAProxy's socket is its user's; the address is put into the kernel.
		confine: slices.Concat(confined, []string{"CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_NET_ADMIN"}),
		self:    leaseRereads,
	})
	b.addService(service{
		name: "keepalived", description: "keepalived, which moves the address of the load balancers",
		argv:  []string{"/usr/sbin/keepalived", "--dont-fork", "--vrrp", "--log-console", "--no-syslog", "--vrrp_pid=" + topology.KeepalivedPID, "--use-file=" + conf},
		after: []string{"haproxy.service", Guard + ".service"},
		service: slices.Concat([]string{"Type=simple", "RuntimeDirectory=haplane", "RuntimeDirectoryMode=0755", "RuntimeDirectoryPreserve=yes",
			"ExecReload=/usr/sbin/keepalived --config-test --use-file=" + conf, "KillMode=mixed", "TimeoutStopSec=5"}, beforeAllElse),
		confine: slices.Concat(confined, []string{"RestrictAddressFamilies=AF_PACKET", // gratuitous ARP
			"CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BROADCAST", "ReadWritePaths=/run"}),
		onChange: program.Reload, reload: "HUP",
	})
}

// alone is an address without the network around it: the kernel never takes it for the source of what the machine sends.
func alone(a netip.Addr) string { return netip.PrefixFrom(a, a.BitLen()).String() }
