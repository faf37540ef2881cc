package render

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/fileset"
)

// A packet for a Service or a pod that nothing has taken, because there is no such
// Service, port or pod, would follow the default route out of the machine, and
// through NAT out of the host. A route for these networks would not do: what a machine
// sends itself is routed before kube-proxy's rules give it another destination. So
// there are rules that come after those: the first packet of a connection is
// refused, and whatever else would go out is dropped.

const (
	fence       = "/usr/local/lib/haplane/fence"
	fenceChain  = "HAPLANE-FENCE"
	fenceScript = `#!/bin/sh -e
# Puts the rules in place; what is there already stays as it is.
hook() { # program, table, chain, the chain that it calls
  "$1" --wait -t "$2" -C "$3" -j "$4" 2>/dev/null || "$1" --wait -t "$2" -I "$3" -j "$4"
}
`
)

// fence adds the rules, as a unit that stays active for as long as they are wanted.
func (b *builder) fence() {
	b.files.Add(fileset.File{Path: fence, Mode: 0o755, Data: []byte(b.fenceText())})
	b.addService(service{
		name: "haplane-fence", description: "fence around the service and pod networks",
		unit:    []string{"Before=kubelet.service kube-proxy.service flanneld.service"},
		argv:    []string{"/bin/sleep", "infinity"},
		service: []string{"Type=exec", "ExecStartPre=" + fence},
		confine: networkOnly,
	})
}

func (b *builder) fenceText() string {
	var w strings.Builder
	w.WriteString(fenceScript)
	for _, f := range []struct {
		program string
		has     func(netip.Prefix) bool
	}{
		{"iptables", func(p netip.Prefix) bool { return p.Addr().Is4() }},
		{"ip6tables", func(p netip.Prefix) bool { return p.Addr().Is6() }},
	} {
		services, pods := filter(b.Topology.Services, f.has), filter(b.Topology.Pods, f.has)
		if len(services)+len(pods) == 0 {
			continue
		}
		fmt.Fprintf(&w, "\n%s-restore --wait --noflush <<END\n", f.program)
		const refuse = "-m conntrack --ctstate NEW -j REJECT"
		fmt.Fprintf(&w, "*filter\n")
		writeFence(&w, fenceChain, services, pods, refuse)
		writeFence(&w, fenceChain+"-OUT", services, nil, refuse)
		fmt.Fprintf(&w, "COMMIT\n*mangle\n")
		writeFence(&w, fenceChain, services, pods, "-j DROP")
		fmt.Fprintf(&w, "COMMIT\n*nat\n")
		writeMasquerade(&w, pods)
		w.WriteString("COMMIT\nEND\n")
		for _, hook := range []string{"filter OUTPUT " + fenceChain + "-OUT", "filter FORWARD " + fenceChain, "mangle POSTROUTING " + fenceChain, "nat POSTROUTING " + masqueradeChain} {
			fmt.Fprintf(&w, "hook %s %s\n", f.program, hook)
		}
	}
	return w.String()
}

// writeFence writes a chain as it is to be, for iptables-restore. The one of OUTPUT
// knows nothing of pods: there, a packet for a Service has its pod's address already,
// and still the interface of its old route.
func writeFence(w *strings.Builder, chain string, services, pods []netip.Prefix, end string) {
	fmt.Fprintf(w, ":%s - [0:0]\n", chain)
	add := func(rule string) { fmt.Fprintf(w, "-A %s %s\n", chain, rule) }
	add("-o lo -j RETURN")
	for _, p := range services {
		add(fmt.Sprintf("-d %s %s", p, end))
	}
	// The ways to the pods of this machine and, through flannel, to those of others.
	for _, link := range []string{"cni+", "veth+", "flannel+"} {
		add(fmt.Sprintf("-o %s -j RETURN", link))
	}
	for _, p := range pods {
		add(fmt.Sprintf("-d %s %s", p, end))
	}
}

const masqueradeChain = "HAPLANE-MASQUERADE"

// writeMasquerade writes what flanneld does for packets of pods that leave the pod network, for while that starts: it empties its
// chain and fills it again half a second later (v0.28: ClearChain in CreateIP4Chain), and a connection that a pod begins
// in between goes out with an address to which nobody has a way back.
func writeMasquerade(w *strings.Builder, pods []netip.Prefix) {
	fmt.Fprintf(w, ":%s - [0:0]\n", masqueradeChain)
	for _, p := range pods {
		fmt.Fprintf(w, "-A %s -d %s -j RETURN\n", masqueradeChain, p)
	}
	for _, p := range pods {
		multicast := "224.0.0.0/4"
		if p.Addr().Is6() {
			multicast = "ff00::/8"
		}
		fmt.Fprintf(w, "-A %s -s %s ! -d %s -j MASQUERADE --random-fully\n", masqueradeChain, p, multicast)
	}
}

func filter(prefixes []netip.Prefix, keep func(netip.Prefix) bool) []netip.Prefix {
	return slices.DeleteFunc(slices.Clone(prefixes), func(p netip.Prefix) bool { return !keep(p) })
}
