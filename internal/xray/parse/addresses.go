package parse

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// inner are prefixes of interfaces that belong to pods, Services or containers: their
// addresses are the same on several machines, or nobody's outside.
var inner = []string{"cni", "flannel", "docker", "virbr", "veth", "cali", "vxlan.calico", "tunl", "cilium", "lxc", "lxd",
	"kube-ipvs", "kube-bridge", "nodelocaldns", "weave", "antrea", "ovn", "genev_sys", "podman", "nerdctl", "dummy"}

// Addresses returns the addresses of a machine in the output of `ip -o addr`, or of
// `hostname -I`, without loopback and link-local ones and those of inner interfaces.
func Addresses(text string) []netip.Addr {
	var out []netip.Addr
	add := func(text string) {
		if p, err := netip.ParsePrefix(text); err == nil {
			text = p.Addr().String()
		}
		a, err := netip.ParseAddr(text)
		a = a.Unmap().WithZone("")
		if err == nil && !a.IsLoopback() && !a.IsLinkLocalUnicast() && !a.IsUnspecified() && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) >= 4 && (fields[2] == "inet" || fields[2] == "inet6") { // 2: eth0    inet 10.0.0.1/24 ...
			if !innerInterface(fields[1]) {
				add(fields[3])
			}
			continue
		}
		for _, f := range fields {
			add(f)
		}
	}
	return out
}

// Interfaces are those in the output of `ip -o addr`, in their order.
func Interfaces(text string) []string {
	var out []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) >= 4 && (fields[2] == "inet" || fields[2] == "inet6") && !slices.Contains(out, fields[1]) {
			out = append(out, fields[1])
		}
	}
	return out
}

// dockerBridge is what Docker calls its other bridges; br-ex and the like are people's.
var dockerBridge = regexp.MustCompile(`^br-[0-9a-f]{12}$`)

func innerInterface(name string) bool {
	return dockerBridge.MatchString(name) || slices.ContainsFunc(inner, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}
