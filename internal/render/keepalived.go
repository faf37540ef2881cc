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
//   - VRRP version 3, ten adverts a second: a machine that is gone is missed after 0.3 to 0.4 s. Five beside an API server
//     and etcd, which can keep a machine busy for longer than that: after 0.6 to 0.8 s;
//   - unicast, to the other load balancers and nobody else, and only from them: packets that have passed a router
//     (their TTL is not 255 any more) do not count, so nobody outside of the network can take the address;
//   - all begin as backup, and nobody takes the address from one that has it: each move resets connections;
//   - a machine takes it only while its HAProxy is well, which haplane agent writes down, and haplane does not have
//     it stand by. Whether the API is well is nobody's business here: if it is overloaded, a move makes that worse;
//   - that the address is taken away beside keepalived, as when it was the machine's own before (no_track), is no news;
//   - one without peers left to talk to, or without its own address, does not take it;
//   - gratuitous ARP, or neighbour advertisements, at once and again after a second, and every few seconds: a switch
//     that has missed them learns;
//   - of two that both have it, the one with the lower priority gives way as soon as it hears of the other;
//   - it runs before all else on its machine (nice): an advert that waits for a CPU that others have moves the address.
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

track_file haproxy {
    file %s
    weight 0
    init_file 1
}

track_file stand-by {
    file %s
    weight 0
    init_file 0
}

vrrp_instance kube-apiserver {
    state BACKUP
    nopreempt
    interface eth0
    virtual_router_id %d
    priority %d
    advert_int %s
%s    track_src_ip
    track_file {
        haproxy
        stand-by
    }
    virtual_ipaddress {
        %s dev eth0 no_track
    }
%s}
`

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
	priority, interval := 100, "0.1"
	if b.besideBalancer() {
		interval = "0.2"
	}
	peers.WriteString("    unicast_src_ip " + b.node.Address.String() + "\n    unicast_ttl 255\n    unicast_fault_no_peer\n    unicast_peer {\n")
	for i, n := range t.LoadBalancers() {
		if n.Name == b.node.Name {
			priority = max(100-i, 1)
			continue
		}
		fmt.Fprintf(&peers, "        %s min_ttl 255 max_ttl 255\n", n.Address)
	}
	peers.WriteString("    }\n")
	talks := peers.String()
	if len(t.LoadBalancers()) == 1 { // unicast takes somebody to talk to
		talks = "    mcast_src_ip " + b.node.Address.String() + "\n"
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
	b.add(conf, fmt.Sprintf(keepalivedConf, b.node.Name, topology.BalancerWell, topology.StandBy, virtualRouter(t.LBAddresses[0]), priority,
		interval, talks, alone(t.LBAddresses[0]), further))
	b.addService(service{
		name: "haplane-balancer", description: "haplane agent, which tells keepalived whether HAProxy is well",
		argv:    []string{AgentBinary, "agent", "balancer", "--socket=" + topology.HAProxySocket, "--track-file=" + topology.BalancerWell},
		after:   []string{"haproxy.service"},
		service: []string{"Type=exec", "Nice=-10", "RuntimeDirectory=haplane", "RuntimeDirectoryMode=0755", "RuntimeDirectoryPreserve=yes", "TimeoutStopSec=5"},
		confine: slices.Concat(confined, []string{"CapabilityBoundingSet=CAP_DAC_OVERRIDE"}), // HAProxy's socket is its user's
	})
	b.addService(service{
		name: "keepalived", description: "keepalived, which moves the address of the load balancers",
		argv:  []string{"/usr/sbin/keepalived", "--dont-fork", "--vrrp", "--log-console", "--no-syslog", "--use-file=" + conf},
		after: []string{"haproxy.service", "haplane-balancer.service"},
		service: []string{"Type=simple", "Nice=-20", "RuntimeDirectory=haplane", "RuntimeDirectoryMode=0755", "RuntimeDirectoryPreserve=yes",
			"ExecReload=/usr/sbin/keepalived --config-test --use-file=" + conf, "KillMode=mixed", "TimeoutStopSec=5"},
		confine: slices.Concat(confined, []string{"RestrictAddressFamilies=AF_PACKET", // gratuitous ARP
			"CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_NET_BROADCAST", "ReadWritePaths=/run"}),
		onChange: program.Reload, reload: "HUP",
	})
}

// alone is an address without the network around it: the kernel never takes it for the source of what the machine sends.
func alone(a netip.Addr) string { return netip.PrefixFrom(a, a.BitLen()).String() }
