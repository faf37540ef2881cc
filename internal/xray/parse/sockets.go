package parse

import (
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// listening is the state of such sockets in /proc/net/tcp.
const listening = "0A"

// Listening returns the addresses of listening sockets in the text of /proc/net/tcp
// and tcp6, sorted and each once. Lines of other sockets are passed over, so text of
// both files may follow one another. A wildcard of IPv6 is [::].
func Listening(text string) []netip.AddrPort {
	var out []netip.AddrPort
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] != listening {
			continue
		}
		if a, ok := socketAddress(fields[1]); ok {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, netip.AddrPort.Compare)
	return slices.Compact(out)
}

// socketAddress reads 0100007F:1F90: the address as 32-bit words in the byte order
// of the machine, which is little-endian wherever Kubernetes runs but on s390x.
func socketAddress(text string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(text, ":")
	n, err := strconv.ParseUint(port, 16, 16)
	raw, hexErr := hex.DecodeString(host)
	if !ok || err != nil || hexErr != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		slices.Reverse(raw[i : i+4])
	}
	a, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), ok
}
