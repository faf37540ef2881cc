package parse

import (
	"slices"
	"strconv"
	"strings"
)

// bindAddresses are host:port of a bind line, without a host where it is all.
func bindAddresses(text string) []string {
	var out []string
	for one := range strings.SplitSeq(text, ",") {
		host, port := hostPort(withoutFamily(one))
		if port == "" || strings.ContainsAny(one, "/") || strings.Contains(host, "@") {
			continue
		}
		switch host {
		case "*", "0.0.0.0", "::":
			host = ""
		}
		for _, p := range ports(port) {
			out = append(out, joinHostPort(host, p))
		}
	}
	return out
}

// serverAddress is host:port of a server line; only the host where the port is the one
// that the client connected to, and host:+1 where it follows from that.
func serverAddress(text string) string {
	text = withoutFamily(text)
	if strings.ContainsAny(text, "/@") {
		return text
	}
	host, port := hostPort(text)
	return strings.TrimSuffix(joinHostPort(host, port), ":")
}

// mapped is the address of a server with the port that a connect to port goes to.
func mapped(address, port string) string {
	host, own := hostPort(address)
	if host == "" || port == "" || strings.ContainsAny(address, "/@") || own != "" && !strings.ContainsAny(own[:1], "+-") {
		return address
	}
	if own == "" {
		return joinHostPort(host, port)
	}
	offset, err := strconv.Atoi(own)
	n, portErr := strconv.Atoi(port)
	if err != nil || portErr != nil {
		return address
	}
	return joinHostPort(host, strconv.Itoa(n+offset))
}

// portOfAPI is the port by which clients of the API come: the only one, or of several that of API
// servers.
func portOfAPI(addresses []string) string {
	if port := onePort(addresses); port != "" || !slices.ContainsFunc(addresses, func(a string) bool { return strings.HasSuffix(a, apiPort) }) {
		return port
	}
	return apiPort[1:]
}

// ports are those of a range, as far as it is short.
func ports(text string) []string {
	from, to, isRange := strings.Cut(text, "-")
	first, err := strconv.Atoi(from)
	last, lastErr := strconv.Atoi(to)
	if !isRange || err != nil || lastErr != nil || last < first || last-first > maxPorts {
		return []string{text}
	}
	var out []string
	for n := first; n <= last; n++ {
		out = append(out, strconv.Itoa(n))
	}
	return out
}

// maxPorts bounds what a range makes of a file.
const maxPorts = 100

// onePort is the port that all of the addresses have; "" where they differ.
func onePort(addresses []string) string {
	out := ""
	for i, a := range addresses {
		_, port := hostPort(a)
		if i > 0 && port != out {
			return ""
		}
		out = port
	}
	return out
}

// hostPort cuts at the last colon, as HAProxy does, also in IPv6 without brackets.
func hostPort(text string) (host, port string) {
	i := strings.LastIndexAny(text, ":]")
	if i < 0 || text[i] == ']' {
		return strings.Trim(text, "[]"), ""
	}
	return strings.Trim(text[:i], "[]"), text[i+1:]
}

func withoutFamily(text string) string {
	for _, family := range []string{"ipv4@", "ipv6@", "tcp4@", "tcp6@", "tcp@"} {
		if rest, ok := strings.CutPrefix(text, family); ok {
			return rest
		}
	}
	return text
}

func joinHostPort(host, port string) string {
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + port
}
