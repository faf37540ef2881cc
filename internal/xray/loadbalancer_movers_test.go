package xray

import (
	"net/netip"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
)

// second changes what keepalived of lb-2 has.
func second(change func(*evidence.VRRP)) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		secondLB(evidence.KeepalivedProgram)(e)
		change(&evidencetest.Machine(e, "lb-2").Keepalived.Instances[0])
	}
}

func address(text string) netip.Addr { return netip.MustParseAddr(text) }

// moverCases are about what moves the address.
var moverCases = []checkCase{
	{check: "lb-address-moves", name: "nothing", status: Skip},
	{check: "lb-address-moves", name: "two with keepalived", status: Pass, says: "passwords are not compared", change: secondLB(evidence.KeepalivedProgram)},
	{check: "lb-address-moves", name: "both begin as MASTER", status: Pass, change: second(func(v *evidence.VRRP) { v.State, v.Priority = "MASTER", 101 })},
	{check: "lb-address-moves", name: "another router ID", status: Fail, node: "lb-2", says: "virtual_router_id 52", change: second(func(v *evidence.VRRP) { v.RouterID = 52 })},
	{check: "lb-address-moves", name: "another address", status: Fail, node: "lb-2", says: "moves 10.10.10.99", change: second(func(v *evidence.VRRP) { v.Addresses = []netip.Addr{address("10.10.10.99")} })},
	{check: "lb-address-moves", name: "one address more", status: Warn, node: "lb-2", says: "10.10.10.99", change: second(func(v *evidence.VRRP) { v.Addresses = append(v.Addresses, address("10.10.10.99")) })},
	{check: "lb-address-moves", name: "other authentication", status: Fail, node: "lb-2", says: "auth_type none", change: second(func(v *evidence.VRRP) { v.Auth = "" })},
	{check: "lb-address-moves", name: "another interval", status: Fail, node: "lb-2", says: "advert_int", change: second(func(v *evidence.VRRP) { v.Interval = 3 * time.Second })},
	{check: "lb-address-moves", name: "another version", status: Fail, node: "lb-2", says: "version 3", change: second(func(v *evidence.VRRP) { v.Version = 3 })},
	{check: "lb-address-moves", name: "unicast on one", status: Fail, node: "lb-2", says: "advertisements by unicast", change: second(func(v *evidence.VRRP) { v.Peers = []netip.Addr{address("10.10.10.3")} })},
	{check: "lb-address-moves", name: "no router ID", status: Fail, node: "lb-2", says: "virtual_router_id 0", change: second(func(v *evidence.VRRP) { v.RouterID = 0 })},
	{check: "lb-address-moves", name: "nothing is tracked", status: Warn, node: "lb-2", says: "keeps the address", change: second(func(v *evidence.VRRP) { v.Tracks = nil })},
	{check: "lb-address-moves", name: "a script that is not defined", status: Warn, node: "lb-2", says: "check, defined nowhere", change: second(func(v *evidence.VRRP) { v.Tracks, v.Undefined = nil, []string{"check"} })},
	{check: "lb-address-moves", name: "a script that moves nothing", status: Warn, node: "lb-2", says: "weight -2 leaves it at 148", change: second(func(v *evidence.VRRP) { v.Priority = 150 })},
	{check: "lb-address-moves", name: "somebody else speaks VRRP there", status: Warn, node: "lb-2", says: "(VI_1) unicast source address 10.10.10.77 not a unicast peer", change: func(e *evidence.Evidence) {
		secondLB(evidence.KeepalivedProgram)(e)
		evidencetest.Machine(e, "lb-2").Keepalived.Strangers = "(VI_1) unicast source address 10.10.10.77 not a unicast peer"
	}},
	{check: "lb-address-moves", name: "no interface", status: Warn, node: "lb-2", says: "eth0", change: second(func(v *evidence.VRRP) { v.Interface = "" })},
	{check: "lb-address-moves", name: "an interface that is not there", status: Fail, node: "lb-2", says: "interface eth0", change: func(e *evidence.Evidence) {
		secondLB(evidence.KeepalivedProgram)(e)
		evidencetest.Machine(e, "lb-2").Interfaces = []string{"lo", "ens3"}
	}},
	{check: "lb-address-moves", name: "peers of another network", status: Fail, node: "lb-2", says: "unicast_peer 10.10.10.8", change: func(e *evidence.Evidence) {
		unicast(e, "10.10.10.5", "10.10.10.8")
	}},
	{check: "lb-address-moves", name: "peers of each other", status: Pass, change: func(e *evidence.Evidence) { unicast(e, "10.10.10.5", "10.10.10.4") }},
	{check: "lb-address-moves", name: "no configuration", status: Fail, node: "lb-2", says: "no configuration", change: func(e *evidence.Evidence) {
		secondLB(evidence.KeepalivedProgram)(e)
		*evidencetest.Machine(e, "lb-2").Keepalived = evidence.Keepalived{Path: "/etc/keepalived/keepalived.conf", Err: evidence.NoSuchFile}
	}},
	{check: "lb-address-moves", name: "nothing in it", status: Fail, node: "lb-2", says: "no vrrp_instance", change: func(e *evidence.Evidence) {
		secondLB(evidence.KeepalivedProgram)(e)
		evidencetest.Machine(e, "lb-2").Keepalived.Instances = nil
	}},
	{check: "lb-address-moves", name: "it cannot be read", status: Error, node: "lb-2", says: "permission denied", change: func(e *evidence.Evidence) {
		secondLB(evidence.KeepalivedProgram)(e)
		evidencetest.Machine(e, "lb-2").Keepalived.Err = "permission denied"
	}},
	{check: "lb-address-moves", name: "it was not seen", status: Skip, says: "not seen", change: func(e *evidence.Evidence) {
		secondLB(evidence.KeepalivedProgram)(e)
		evidencetest.Machine(e, "lb-1").Keepalived, evidencetest.Machine(e, "lb-2").Keepalived = nil, nil
	}},
	{check: "lb-address-moves", name: "ucarp", status: Skip, says: "ucarp is not read", change: secondLB("ucarp")},
	{check: "lb-address-held", name: "one of two", status: Pass, says: "lb-1 has 10.10.10.3", change: secondLB(evidence.KeepalivedProgram)},
	{check: "lb-address-held", name: "nothing moves it", status: Skip},
	{check: "lb-address-held", name: "both", status: Fail, node: "lb-1,lb-2", says: "lb-1, lb-2 have it", change: func(e *evidence.Evidence) {
		secondLB(evidence.KeepalivedProgram)(e)
		m := evidencetest.Machine(e, "lb-2")
		m.Addresses = append(m.Addresses, address("10.10.10.3"))
	}},
	{check: "lb-address-held", name: "none", status: Fail, says: "none of lb-1, lb-2 has it", change: func(e *evidence.Evidence) {
		secondLB(evidence.KeepalivedProgram)(e)
		evidencetest.Machine(e, "lb-1").Addresses = []netip.Addr{address("10.10.10.5")}
	}},
	{check: "lb-address-held", name: "of a machine whose addresses were not seen", status: Skip, says: "addresses of lb-2", change: func(e *evidence.Evidence) {
		secondLB(evidence.KeepalivedProgram)(e)
		evidencetest.Machine(e, "lb-2").Addresses = nil
	}},
	{check: "lb-single-point", name: "another router ID", status: Warn, node: "lb-2", says: "lb-address-moves", change: second(func(v *evidence.VRRP) { v.RouterID = 52 })},
	{check: "lb-single-point", name: "ucarp", status: Skip, says: "whether ucarp moves", change: secondLB("ucarp")},
	{check: "failures-tolerated", name: "another address on the second", status: Skip, says: "is a single point of failure", change: second(func(v *evidence.VRRP) { v.Addresses = []netip.Addr{address("10.10.10.99")} })},

	{check: "lb-address-moves", name: "kube-vip", of: evidencetest.Kubeadm, status: Pass, says: "kube-vip moves 10.10.10.3", change: kubeVIPs(nil)},
	{check: "lb-address-moves", name: "kube-vip with BGP", of: evidencetest.Kubeadm, status: Pass, change: kubeVIPs(map[string]string{"vip_arp": "false", "bgp_enable": "true", "vip_leaderelection": ""})},
	{check: "lb-address-moves", name: "kube-vip for another address", of: evidencetest.Kubeadm, status: Fail, node: "cp-1,cp-2,cp-3", says: "address 10.10.10.99", change: kubeVIPs(map[string]string{"address": "10.10.10.99"})},
	{check: "lb-address-moves", name: "kube-vip without an election", of: evidencetest.Kubeadm, status: Warn, node: "cp-1,cp-2,cp-3", says: "vip_leaderelection", change: kubeVIPs(map[string]string{"vip_leaderelection": "false"})},
	{check: "lb-address-moves", name: "kube-vip that tells nobody", of: evidencetest.Kubeadm, status: Fail, node: "cp-1,cp-2,cp-3", says: "nobody learns", change: kubeVIPs(map[string]string{"vip_arp": "false"})},
	{check: "lb-address-moves", name: "kube-vip for nothing", of: evidencetest.Kubeadm, status: Fail, node: "cp-1,cp-2,cp-3", says: "cp_enable", change: kubeVIPs(map[string]string{"cp_enable": "false"})},
	{check: "lb-address-moves", name: "kube-vip for another port", of: evidencetest.Kubeadm, status: Fail, node: "cp-1,cp-2,cp-3", says: "port 8443", change: kubeVIPs(map[string]string{"lb_enable": "true", "port": "8443"})},
	{check: "lb-address-moves", name: "kube-vip for services", of: evidencetest.Kubeadm, status: Skip, change: kubeVIPs(map[string]string{"cp_enable": "false", "svc_enable": "true", "address": ""})},
	{check: "lb-address-moves", name: "kube-vip by its flags", of: evidencetest.Kubeadm, status: Pass, change: func(e *evidence.Evidence) {
		for _, name := range []string{"cp-1", "cp-2", "cp-3"} {
			m := evidencetest.Machine(e, name)
			m.Programs = append(m.Programs, evidence.Program{Name: evidence.KubeVIP, Running: true, Argv: strings.Fields("kube-vip manager --address 10.10.10.3 --controlplane --arp --leaderElection")})
		}
	}},
	{check: "lb-address-moves", name: "kube-vip on one of three", of: evidencetest.Kubeadm, status: Fail, node: "cp-1", says: "on none of cp-2, cp-3", change: func(e *evidence.Evidence) { withKubeVIP(e, evidencetest.LoadBalancerAddress, "cp-1") }},
	{check: "lb-address-moves", name: "kube-vip on two of three", of: evidencetest.Kubeadm, status: Warn, node: "cp-3", says: "does not take the address", change: func(e *evidence.Evidence) { withKubeVIP(e, evidencetest.LoadBalancerAddress, "cp-1", "cp-2") }},
	{check: "lb-address-moves", name: "kube-vip in another election", of: evidencetest.Kubeadm, status: Fail, node: "cp-3", says: "Lease kube-system/mine: it is elected beside", change: func(e *evidence.Evidence) {
		kubeVIPs(nil)(e)
		evidencetest.Program(e, "cp-3", evidence.KubeVIP).Variables["vip_leasename"] = "mine"
	}},
	{check: "lb-address-moves", name: "kube-vip in an election of another namespace", of: evidencetest.Kubeadm, status: Fail, node: "cp-3", says: "Lease default/plndr-cp-lock", change: func(e *evidence.Evidence) {
		kubeVIPs(nil)(e)
		evidencetest.Program(e, "cp-3", evidence.KubeVIP).Variables["cp_namespace"] = "default"
	}},
	{check: "lb-address-moves", name: "kube-vip for a port of nobody", of: inFolder(evidencetest.Kubeadm), status: Fail, node: "cp-1,cp-2,cp-3", says: "listens elsewhere: --secure-port=6444", change: changes(kubeVIPs(nil), setFlags(server, "secure-port", "6444"))},
	{check: "lb-address-moves", name: "kube-vip and an API server on its own address", of: inFolder(evidencetest.Kubeadm), status: Fail, node: "cp-2", says: "it listens on 10.10.10.12 only", change: changes(kubeVIPs(nil), setFlag("cp-2", server, "bind-address", "10.10.10.12"))},
	{check: "lb-address-moves", name: "kube-vip that balances another port", of: inFolder(evidencetest.Kubeadm), status: Pass, change: changes(kubeVIPs(map[string]string{"lb_enable": "true"}), setFlags(server, "secure-port", "6444"))},
	{check: "lb-address-moves", name: "kube-vip beside HAProxy", of: inFolder(evidencetest.Kubeadm), status: Pass, change: changes(kubeVIPs(nil), setFlags(server, "secure-port", "6444"), func(e *evidence.Evidence) {
		for _, name := range everyServer {
			m := evidencetest.Machine(e, name)
			m.Unbalancing = []string{"/etc/haproxy/haproxy.cfg"}
		}
	})},
	{check: "lb-address-moves", name: "keepalived for a port of nobody", of: inFolder(evidencetest.Kubeadm), status: Warn, node: "cp-1,cp-2,cp-3", says: "listens elsewhere: --secure-port=6444", change: changes(setFlags(server, "secure-port", "6444"), func(e *evidence.Evidence) {
		for i, name := range everyServer {
			evidencetest.Machine(e, name).Keepalived = keepalived(100 - i)
		}
	})},
	{check: "lb-address-moves", name: "a machine that takes the address and does not listen", status: Fail, node: "worker-1", says: "no load balancer was seen there", change: func(e *evidence.Evidence) {
		secondLB(evidence.KeepalivedProgram)(e)
		m := evidencetest.Machine(e, "worker-1")
		m.Keepalived = evidencetest.Machine(e, "lb-2").Keepalived
	}},
	{check: "lb-single-point", name: "kube-vip on one of three", of: evidencetest.Kubeadm, status: Warn, says: "on cp-1, which does not move it", change: func(e *evidence.Evidence) { withKubeVIP(e, evidencetest.LoadBalancerAddress, "cp-1") }},
	{check: "lb-single-point", name: "kube-vip on the only machine that was seen", of: evidencetest.Kubeadm, status: Warn, says: "no other machine was looked at", change: func(e *evidence.Evidence) {
		withKubeVIP(e, evidencetest.LoadBalancerAddress, "cp-1")
		e.Machines, e.API, e.Servers = e.Machines[:1], nil, nil
	}},
	{check: "lb-single-point", name: "kube-vip on all", of: evidencetest.Kubeadm, status: Pass, says: "between cp-1, cp-2, cp-3", change: kubeVIPs(nil)},
	{check: "lb-single-point", name: "kube-vip for another address", of: evidencetest.Kubeadm, status: Skip, says: "cannot be seen from outside", change: kubeVIPs(map[string]string{"address": "10.10.10.99"})},
}

// unicast gives lb-2 an address, and both machines each other as peers, lb-2 the one that is named.
func unicast(e *evidence.Evidence, own, peer string) {
	secondLB(evidence.KeepalivedProgram)(e)
	first, second := evidencetest.Machine(e, "lb-1"), evidencetest.Machine(e, "lb-2")
	first.Addresses, second.Addresses = append(first.Addresses, address("10.10.10.4")), []netip.Addr{address(own)}
	first.Keepalived.Instances[0].Peers, second.Keepalived.Instances[0].Peers = second.Addresses, []netip.Addr{address(peer)}
}

// kubeVIPs has kube-vip on all control-plane nodes, with other settings.
func kubeVIPs(settings map[string]string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		nodes := []string{"cp-1", "cp-2", "cp-3"}
		withKubeVIP(e, evidencetest.LoadBalancerAddress, nodes...)
		for _, name := range nodes {
			for key, value := range settings {
				evidencetest.Program(e, name, evidence.KubeVIP).Variables[key] = value
			}
		}
	}
}

// localCases are about load balancers that serve their own machine.
var localCases = []checkCase{
	{check: "lb-single-point", name: "nginx on each worker", of: evidencetest.Kubeadm, status: Pass, says: "its own API server", change: localNginx},
	{check: "lb-single-point", name: "a worker without", of: evidencetest.Kubeadm, status: Fail, node: "worker-1", says: "none was found", change: func(e *evidence.Evidence) {
		localNginx(e)
		evidencetest.Machine(e, "cp-1").LoadBalancer = evidencetest.Machine(e, "worker-1").LoadBalancer
		evidencetest.Machine(e, "worker-1").LoadBalancer = nil
	}},
	{check: "lb-single-point", name: "a worker with something else", of: evidencetest.Kubeadm, status: Skip, says: "is not known", change: func(e *evidence.Evidence) {
		localNginx(e)
		evidencetest.Machine(e, "cp-1").LoadBalancer = evidencetest.Machine(e, "worker-1").LoadBalancer
		m := evidencetest.Machine(e, "worker-1")
		m.LoadBalancer, m.Listening = nil, append(m.Listening, netip.MustParseAddrPort("127.0.0.1:6443"))
	}},
	{check: "lb-single-point", name: "a worker on another port", of: evidencetest.Kubeadm, status: Fail, node: "worker-1", says: "127.0.0.1:7443", change: func(e *evidence.Evidence) {
		localNginx(e)
		evidencetest.SetServer(e, "worker-1", evidencetest.KubeletConf, "https://127.0.0.1:7443")
	}},
	{check: "lb-single-point", name: "a worker that hangs on one node", of: evidencetest.Kubeadm, status: Warn, node: "worker-1", says: "which is cp-1 alone", change: func(e *evidence.Evidence) {
		localNginx(e)
		evidencetest.SetServer(e, "worker-1", evidencetest.KubeletConf, "https://10.10.10.11:6443")
	}},
	{check: "failures-tolerated", name: "nginx on each worker", of: evidencetest.Kubeadm, status: Pass, says: "3 API servers serving", change: localNginx},
}

// localNginx is as Kubespray has it: nginx on workers, and kubelets that ask localhost.
func localNginx(e *evidence.Evidence) {
	m := evidencetest.Machine(e, "worker-1")
	m.LoadBalancer = &evidence.LoadBalancer{Kind: evidence.Nginx, Path: "/etc/nginx/nginx.conf", Frontends: []string{"127.0.0.1:6443"}, Redispatch: true, ConnectTimeout: time.Second,
		Check: evidence.HealthCheck{Kind: "passive", Fall: 1}}
	for _, a := range []string{"10.10.10.11", "10.10.10.12", "10.10.10.13"} {
		m.LoadBalancer.Backends = append(m.LoadBalancer.Backends, evidence.Backend{Name: a + ":6443", Address: a + ":6443", Checked: true})
	}
	for _, n := range e.Machines {
		evidencetest.SetServer(e, n.Name, evidencetest.KubeletConf, "https://localhost:6443")
	}
}
