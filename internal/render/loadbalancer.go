package render

import (
	_ "embed"
	"fmt"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/program"
	"github.com/haplane/haplane/internal/topology"
)

// The head of HAProxy's configuration. The timings are measured ones:
//   - a server is down after one check that fails, and a check has 100 ms. Being down
//     costs a server its new connections, and at first nothing else, so it may be unjust. On a
//     machine that is busy such checks fail everywhere at once: then the backend of last
//     resort serves, which is patient. Both ask for what makes a server able to answer;
//     without that, one that has only just been started answers 403;
//   - an API server that stops says so on /readyz and gets no new connections after at
//     most 200 ms, far within its shutdown delay. The connections that it has are left to
//     it: it ends them in order. Cutting them here would fail the request under way on each;
//   - one that has been down for two seconds, and does not answer a patient check either, is
//     dead: what hangs on it is cut, by loadbalancer.lua, so that clients come back to another one;
//   - one whose machine is gone is noticed in 2 s on connections that wait for it, at the latest;
//   - a connect that is refused, or takes more than 250 ms, goes to another server at once:
//     HAProxy waits before it tries again, except with round robin;
//   - 20 of these, in case several are away at once;
//   - round robin, because connections live for hours: leastconn would send every new
//     one to the server that came back last, until it has as many as the others;
//   - idle connections outlast the 4 h of a kubelet's exec stream, and any watch;
//   - after a reload the old process keeps its connections for hard-stop-after: cutting
//     them sooner would fail what is under way. It does no health checks any more (seen
//     with 2.6.12), so it cuts none of them when a server is marked down: of a server
//     whose machine is gone it hears by TCP, in 2 s, of one that hangs not at all.
const haproxyHead = `global
    log /dev/log local0 notice
    user haproxy
    group haproxy
    # Below half of the usual file limit of a container: a connection takes two.
    maxconn 9000
    stats socket %s mode 600 level admin
    lua-load %s
    # A reload leaves open connections to the old process: their requests, watches and exec
    # streams go on in it. API servers move busy ones over soon (--goaway-chance).
    hard-stop-after 1h

defaults
    mode tcp
    log global
    option tcplog
    option dontlognull
    option clitcpka
    option srvtcpka
    srvtcpka-idle 1s
    srvtcpka-intvl 1s
    srvtcpka-cnt 2
    timeout connect 250ms
    timeout check 1s
    timeout client 5h
    timeout server 5h
    retries 20
    option redispatch 1
    balance roundrobin
    option httpchk
    default-server check check-ssl verify required ca-file %s verifyhost %s check-sni %s tcp-ut 2s

frontend kube-apiserver
%s    use_backend %s if { nbsrv(%[8]s) eq 0 }
    default_backend %[8]s
`

// The backends: of the API servers that are well, and of those that are alive, be it
// without etcd or on their way out. Of the latter one that answers otherwise takes no
// connection from then on, and neither does one that has not answered six checks: that is 7 s
// where all are so busy that the checks time out, in which none must be given up, for then
// every connection is refused; and 1 to 2 s where connections are refused.
const haproxyBackends = `
backend %[1]s
    http-check send meth GET uri /readyz hdr Host %[3]s
    http-check expect ! string "[-]shutdown failed" error-status L7OKC
    http-check expect status 200
    default-server inter %[5]dms fall 1 rise 1
%[4]s
backend %[2]s
    timeout connect 1s
    http-check send meth GET uri /readyz?exclude=etcd&exclude=etcd-readiness&exclude=shutdown hdr Host %[3]s
    http-check expect status 200 error-status L7OKC
    default-server inter 1s fastinter 200ms fall 6 rise 1
%[4]s`

// checkInterval is how often the load balancer asks each API server whether it is ready. Workers' own together ask one at most a hundred times a
// second, as long as one that stops is noticed within the 3 s for which it serves on: so of more than 100 each asks
// once a second all the same. In steps, so that hardly any worker that comes or goes has all others read another configuration.
func (b *builder) checkInterval() time.Duration {
	if !b.local() {
		return 100 * time.Millisecond
	}
	workers := len(b.Topology.LocalBalancers())
	for _, step := range []struct {
		most     int
		interval time.Duration
	}{{10, 100 * time.Millisecond}, {20, 200 * time.Millisecond}, {50, 500 * time.Millisecond}} {
		if workers <= step.most {
			return step.interval
		}
	}
	return time.Second
}

//go:embed loadbalancer.lua
var cutDead string

// binds has a line for each port; in IPv6 networks one socket takes both families. Beside an API server, which has its port
// on the node's own address, it is the address that moves alone, also while another machine has that (transparent). On a worker
// it is where that leads to what it sends (local.go), as soon as it boots (transparent, for IPv6 waits until it has its address).
func (b *builder) binds() string {
	text := ""
	if b.local() {
		for _, a := range b.node.Addresses {
			text += fmt.Sprintf("    bind %s transparent\n", netip.AddrPortFrom(a, topology.LocalPort))
		}
		return text
	}
	for _, port := range b.Topology.LBPorts {
		if b.besideBalancer() {
			for _, a := range b.Topology.LBAddresses {
				text += fmt.Sprintf("    bind %s transparent\n", netip.AddrPortFrom(a, port))
			}
		} else if b.Topology.IPv6() {
			text += fmt.Sprintf("    bind :::%d v4v6\n", port)
		} else {
			text += fmt.Sprintf("    bind :%d\n", port)
		}
	}
	return text
}

// Guard is the unit without which keepalived has no address: it asks for the lease, and is its machine's vote.
const Guard = "haplane-balancer"

// BalancerUnits are the programs that a node has because it runs a load balancer.
var BalancerUnits = []string{"haproxy", Guard, "keepalived"}

// balancerFiles are where their files are, beside their units, with haplane's own program, which one of them is.
var balancerFiles = []string{"/etc/haproxy", "/etc/keepalived", AgentBinary, ElectorateFile, leaseKeyFile, leadScript}

// Balancer is what of a machine is the load balancer: of a control-plane node, and of a worker, it is told, and changes, by itself.
func (m Machine) Balancer() Machine {
	out := Machine{Files: m.Files.Under(BalancerPaths()...)}
	for _, u := range m.Units {
		if slices.Contains(BalancerUnits, u.Name) {
			out.Units = append(out.Units, u)
		}
	}
	return out
}

// WithBalancer is the machine with the load balancer of another one in place of its own.
func (m Machine) WithBalancer(other Machine) Machine {
	out := m
	out.Files, out.Units = maps.Clone(m.Files), slices.Clone(m.Units)
	part := other.Balancer()
	maps.Copy(out.Files, part.Files)
	for i, u := range out.Units {
		if at := slices.IndexFunc(part.Units, func(p Unit) bool { return p.Name == u.Name }); at >= 0 {
			out.Units[i] = part.Units[at]
		}
	}
	return out
}

// BalancerPaths are the files and folders of the load balancer.
func BalancerPaths() []string {
	out := slices.Clone(balancerFiles)
	for _, u := range BalancerUnits {
		out = append(out, path.Join(topology.UnitDir, u+".service"))
	}
	return out
}

func (b *builder) loadBalancer() {
	const conf, ca, lua = "/etc/haproxy/haproxy.cfg", "/etc/haproxy/kubernetes-ca.crt", "/etc/haproxy/loadbalancer.lua"
	b.addCert(ca, pki.CA)
	b.add(lua, cutDead)
	name, well, lastResort := topology.KubernetesName, topology.HAProxyBackend, topology.HAProxyLastResort
	var servers strings.Builder
	for _, n := range b.Topology.ControlPlane() {
		fmt.Fprintf(&servers, "    server %s %s\n", n.Name, netip.AddrPortFrom(n.Address, topology.APIServerPort))
	}
	b.add(conf, fmt.Sprintf(haproxyHead, topology.HAProxySocket, lua, ca, name, name, b.binds(), lastResort, well)+
		fmt.Sprintf(haproxyBackends, well, lastResort, name, servers.String(), b.checkInterval()/time.Millisecond))
	var unit, further []string
	stop := 5
	switch {
	case b.besideBalancer(): // clients of all nodes wait for it, and an address that moves goes from one that is silent
		further = []string{"Nice=-10"}
	case b.local():
		unit, further, stop = b.lead(), leadLines, leadStop
	}
	b.addService(service{
		name: "haproxy", description: "HAProxy, the load balancer of the API servers", unit: unit,
		argv: []string{"/usr/sbin/haproxy", "-Ws", "-f", conf},
		service: slices.Concat([]string{"Type=notify", "RuntimeDirectory=haproxy", "ExecReload=/usr/sbin/haproxy -c -q -f " + conf,
			"KillMode=mixed", fmt.Sprintf("TimeoutStopSec=%d", stop)}, further),
		onChange: program.Reload, reload: "USR2",
	})
	if b.local() {
		return
	}
	if b.Topology.Virtual {
		b.keepalived()
	}
}
