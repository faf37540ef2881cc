package parse

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// ledRule is a rule as nft lists it, such as: ip daddr 10.0.0.3 tcp dport { 443, 6443 } dnat to 10.0.0.21:7445.
var ledRule = regexp.MustCompile(`^\s*ip6? daddr (\S+) tcp dport (\d+|\{[\d, ]+\}) dnat (?:ip6? )?to (\S+)`)

// Led reads rules of nft by which connections to one address end at another place. Rules for networks, for ranges of ports and for
// places without a port are none of them.
func Led(text string) []evidence.Lead {
	var out []evidence.Lead
	for line := range strings.Lines(text) {
		m := ledRule.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		to, err := netip.ParseAddr(m[1])
		at, atErr := netip.ParseAddrPort(m[3])
		if err != nil || atErr != nil {
			continue
		}
		for _, port := range strings.FieldsFunc(m[2], func(r rune) bool { return r < '0' || r > '9' }) {
			if n, err := strconv.ParseUint(port, 10, 16); err == nil {
				out = append(out, evidence.Lead{To: netip.AddrPortFrom(to, uint16(n)), At: at})
			}
		}
	}
	return out
}
