package evidencetest

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

// OnControlPlane is what machines and API show of a cluster that haplane made with control-plane nodes that are the load balancers: HAProxy
// has the port at the address that moves, the API server at its node's own. cp-1 has the address.
func OnControlPlane(identity spec.Identity) *evidence.Evidence {
	m := maker{identity: identity}
	e := m.evidence()
	for i, n := range controlPlane {
		m.balances(Machine(e, n.name), i, n)
	}
	return e
}

func (m maker) balances(out *evidence.Machine, index int, n node) {
	alone := m.loadBalancer()
	maps.Copy(out.Files, alone.Files)
	maps.Copy(out.Certificates, alone.Certificates)
	out.LoadBalancer = alone.LoadBalancer
	out.LoadBalancer.Frontends = []string{Endpoint}
	keepalived := m.program(evidence.KeepalivedProgram, "", 5*time.Second, nil)
	keepalived.Argv = []string{"/usr/sbin/keepalived", "--dont-fork", "--vrrp", "--use-file=" + keepalivedConfig}
	keepalived.Unit = unit("keepalived", keepalived.Argv, 5*time.Second)
	out.Programs = append(out.Programs, alone.Programs[0], keepalived)
	number(out)
	out.Keepalived = &evidence.Keepalived{Path: keepalivedConfig, Instances: []evidence.VRRP{m.moves(index, n)}}
	file(out, evidence.File{Path: keepalivedConfig, Mode: 0o644})

	own := netip.MustParseAddrPort(n.address + ":6443")
	SetFlag(out.Program(evidence.APIServer), "bind-address", n.address)
	out.Listening = slices.DeleteFunc(out.Listening, func(a netip.AddrPort) bool { return a.Port() == own.Port() })
	out.Listening = append(out.Listening, own, netip.MustParseAddrPort(Endpoint))
	for path, k := range out.Kubeconfigs { // the programs of the node ask its own API server
		if path != AdminConf {
			k.Server, k.ServerName = "https://"+own.String(), "kubernetes.default"
			out.Kubeconfigs[path] = k
		}
	}
	for i, r := range out.Requests {
		if r.Purpose == evidence.LocalAPIServer {
			out.Requests[i].URL = "https://" + own.String() + "/readyz"
		}
	}
	if index == 0 {
		out.Addresses = append(out.Addresses, netip.MustParseAddr(LoadBalancerAddress))
	}
}

// moves is the instance of keepalived on one of the nodes.
func (m maker) moves(index int, own node) evidence.VRRP {
	out := evidence.VRRP{Name: "kube-apiserver", State: "BACKUP", Interface: "eth0", RouterID: 3, Priority: 100, Version: 3, Interval: 50 * time.Millisecond,
		Addresses: []netip.Addr{netip.MustParseAddr(LoadBalancerAddress)}, Source: netip.MustParseAddr(own.address),
		Tracks: []evidence.Track{{Name: "lease", Weight: 1}}}
	for _, n := range controlPlane {
		if n != own {
			out.Peers = append(out.Peers, netip.MustParseAddr(n.address))
		}
	}
	return out
}

const keepalivedConfig = "/etc/keepalived/keepalived.conf"
