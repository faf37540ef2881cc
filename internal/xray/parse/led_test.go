package parse

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// As nft 1.0.6 lists the rules of package render, and some that lead to no one place.
func TestLed(t *testing.T) {
	const text = `table ip haplane-local {
	chain lead {
		ip daddr 10.10.10.3 tcp dport { 6443, 8443 } dnat to 10.10.10.21:7445
		ip daddr 10.96.0.1 tcp dport 443 dnat to 10.10.10.21:7445
		ip daddr 10.20.0.0/16 tcp dport 443 dnat to 10.10.10.21:7445
		ip daddr 10.20.0.1 tcp dport 443-445 dnat to 10.10.10.21:7445
		ip daddr 10.20.0.1 tcp dport 443 dnat to 10.10.10.21
		ip daddr 10.20.0.1 udp dport 53 dnat to 10.10.10.21:53
	}
	chain prerouting {
		type nat hook prerouting priority dstnat - 1; policy accept;
		jump lead
	}
}
table ip6 haplane-local {
		ip6 daddr fd00:10::3 tcp dport 6443 dnat to [fd00:10::21]:7445
		ip6 daddr fd00:10::4 tcp dport 6443 dnat ip6 to [fd00:10::21]:7445
`
	want := []string{"10.10.10.3:6443 at 10.10.10.21:7445", "10.10.10.3:8443 at 10.10.10.21:7445", "10.96.0.1:443 at 10.10.10.21:7445",
		"[fd00:10::3]:6443 at [fd00:10::21]:7445", "[fd00:10::4]:6443 at [fd00:10::21]:7445"}
	var got []string
	for _, l := range Led(text) {
		got = append(got, fmt.Sprintf("%s at %s", l.To, l.At))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
