package nspawn

import (
	"strings"
	"testing"
)

func TestFirewall(t *testing.T) {
	const (
		closed = "-i hp-demo -o hp-demo -j ACCEPT\n-i hp-demo -j DROP\n-o hp-demo -j DROP"
		open   = "-i hp-demo -o hp-demo -j ACCEPT\n-i hp-demo -o hp-+ -j DROP\n-i hp-+ -o hp-demo -j DROP\n" +
			"-i hp-demo -j ACCEPT\n-o hp-demo -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
		masquerade4 = "-s 10.73.11.0/24 ! -o hp-demo -j MASQUERADE"
		masquerade6 = "-s fd00:10:73:11::/64 ! -o hp-demo -j MASQUERADE"
	)
	shapes := map[string]func(string, bool) *Provider{"IPv4": provider, "IPv6": onlyIPv6, "dual stack": dual}
	for name, want := range map[string][4]string{ // IPv4 filter and nat, IPv6 filter and nat
		"IPv4": {closed, "", "", ""}, "IPv4 with NAT": {open, masquerade4, "", ""},
		"IPv6": {closed, "", closed, ""}, "IPv6 with NAT": {closed, "", open, masquerade6},
		"dual stack": {closed, "", closed, ""}, "dual stack with NAT": {open, masquerade4, open, masquerade6},
	} {
		t.Run(name, func(t *testing.T) {
			shape, nat := strings.CutSuffix(name, " with NAT")
			for i, h := range firewallHooks {
				if got := strings.Join(shapes[shape]("demo", nat).rules(h), "\n"); got != want[i] {
					t.Errorf("%s, table %s: got\n%s\nwant\n%s", h.family.program, h.table, got, want[i])
				}
			}
		})
	}
}

// The chains of two clusters are read one after the other, in either order: what
// the first accepts, the second does not see.
func TestNoChainAcceptsAnotherClustersPackets(t *testing.T) {
	for _, nat := range []bool{false, true} {
		rules := dual("demo", nat).rules(firewallHook{ipv4, "filter", "FORWARD"})
		for _, packet := range [][2]string{{"hp-demo", "hp-other"}, {"hp-other", "hp-demo"}} {
			if got := verdict(rules, packet[0], packet[1]); got != "DROP" {
				t.Errorf("NAT %t: a packet from %s to %s gets verdict %q, want DROP", nat, packet[0], packet[1], got)
			}
		}
		if got := verdict(rules, "hp-demo", "hp-demo"); got != "ACCEPT" {
			t.Errorf("NAT %t: a packet within the cluster gets verdict %q", nat, got)
		}
	}
}

// verdict reads a chain as the kernel does, for the first packet of a connection.
func verdict(rules []string, in, out string) string {
	matches := func(pattern, link string) bool {
		prefix, wild := strings.CutSuffix(pattern, "+")
		return pattern == link || wild && strings.HasPrefix(link, prefix)
	}
	for _, rule := range rules {
		words, ok := strings.Fields(rule), !strings.Contains(rule, "ESTABLISHED")
		for i := 0; i+1 < len(words); i += 2 {
			switch words[i] {
			case "-i":
				ok = ok && matches(words[i+1], in)
			case "-o":
				ok = ok && matches(words[i+1], out)
			}
		}
		if ok {
			return words[len(words)-1]
		}
	}
	return ""
}
