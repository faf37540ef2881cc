package render

import (
	_ "embed"
	"fmt"
	"net/netip"
	"strings"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/topology"
)

// A worker may have a load balancer for itself and its pods. Nothing of it is told to anybody: kubeconfigs, certificates and the endpoints of
// the kubernetes Service are as without. What the worker and its pods send to the load balancer's address, or to the kubernetes Service,
// gets another destination when the connection begins, HAProxy beside them, by rules of its own that come before kube-proxy's. The other way
// would be the load balancer's address on the worker, which is worse in each of these:
//   - connections that are open when the rules come stay where they are, and so do those through HAProxy when they go: the kernel
//     remembers what it gave each. With the address, those to the machine that has it would be reset, or hear nothing any more;
//   - the rules are there while HAProxy runs, and no longer: where it does not start or dies, the way is that through the load balancer, as without;
//   - other ports of the load balancer's machine are that machine's;
//   - the kubernetes Service is led too where its endpoints are the API servers themselves: of these one that is dead gets no connection
//     after HAProxy has seen it, while kube-proxy goes on until its endpoint is gone;
//   - nobody takes the address for one of the node's, or sends from it.

// leadScript leads, and ends that.
const leadScript = "/usr/local/lib/haplane/lead-to-local"

// leadLines have it lead from when HAProxy is ready. Before a stop nobody new comes, and what is open ends when nobody waits for an answer;
// one that died has nothing open. A stop is no failure, which would be told of a unit that is gone: HAProxy ends with 143.
var leadLines = []string{"SuccessExitStatus=143", "ExecStartPost=" + leadScript + " in", "ExecReload=" + leadScript + " in", "ExecStop=" + leadScript + " out", "ExecStopPost=" + leadScript + " gone"}

// leadStop is how long the script, and HAProxy after it, may take to end, in seconds: more than what is open gets, which lead.sh has.
const leadStop = 15

//go:embed lead.sh
var lead string

// local reports whether the builder's node has a load balancer for itself.
func (b *builder) local() bool { return b.Topology.BalancesLocally(b.node) }

// lead adds the script, and returns the lines by which those that ask the API start after HAProxy.
func (b *builder) lead() []string {
	b.files.Add(fileset.File{Path: leadScript, Mode: 0o755, Data: []byte(b.leadText())})
	return []string{"Before=kubelet.service kube-proxy.service flanneld.service"}
}

func (b *builder) leadText() string {
	var ports []string
	for _, p := range b.Topology.LBPorts {
		ports = append(ports, fmt.Sprint(p))
	}
	var rules strings.Builder
	for _, to := range b.node.Addresses {
		family := "ip"
		if to.Is6() {
			family = "ip6"
		}
		var leads []string
		for _, a := range b.Topology.LBAddresses {
			if a.Is4() == to.Is4() {
				leads = append(leads, fmt.Sprintf("%s tcp dport { %s }", a, strings.Join(ports, ", ")))
			}
		}
		if service := b.Topology.KubernetesServiceIP(); service.Is4() == to.Is4() {
			leads = append(leads, fmt.Sprintf("%s tcp dport 443", service))
		}
		if len(leads) > 0 {
			writeLead(&rules, family, leads, netip.AddrPortFrom(to, topology.LocalPort))
		}
	}
	return strings.NewReplacer("@PORT@", fmt.Sprint(topology.LocalPort), "@RULES@\n", rules.String()).Replace(lead)
}

// writeLead writes a table in place of one of its name, in one transaction. Rules of NAT that come first decide: kube-proxy's are at
// dstnat, which is -100. Only what begins is led, also where the kernel has not followed connections before. Who was not led is not for HAProxy: nobody on the
// network reaches the API through a worker.
func writeLead(w *strings.Builder, family string, leads []string, to netip.AddrPort) {
	fmt.Fprintf(w, "table %[1]s haplane-local\ndelete table %[1]s haplane-local\ntable %[1]s haplane-local {\n\tchain lead {\n", family)
	for _, l := range leads {
		fmt.Fprintf(w, "\t\t%s daddr %s dnat to %s\n", family, l, to)
	}
	fmt.Fprintf(w, "\t}\n\tchain prerouting { type nat hook prerouting priority -101; tcp flags & (syn | ack) == syn jump lead; }\n"+
		"\tchain output { type nat hook output priority -101; tcp flags & (syn | ack) == syn jump lead; }\n"+
		"\tchain input { type filter hook input priority 0; tcp dport %d ct status & dnat == 0 reject with tcp reset; }\n}\n", to.Port())
}
