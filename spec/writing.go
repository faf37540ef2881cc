package spec

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

var plain = regexp.MustCompile(`^[a-z][a-z0-9.-]*$`)

// scalar writes a name, role or address, in quotes where YAML would see something
// else than a string, in version 1.1 too.
func scalar(value string) string {
	switch value {
	case "true", "false", "yes", "no", "on", "off", "y", "n", "null":
		return strconv.Quote(value)
	}
	if a, err := netip.ParseAddr(value); plain.MatchString(value) || err == nil && a.Is4() {
		return value
	}
	return strconv.Quote(value)
}

// A pair is a field of an entry.
type pair struct{ key, value string }

// pairs are the fields of an entry that are not empty, in the order of default.yaml.
func pairs(n Node) []pair {
	var out []pair
	for _, p := range []pair{{"role", string(n.Role)}, {"name", n.Name}, {"address", n.Address}} {
		if p.value != "" {
			out = append(out, p)
		}
	}
	return out
}

// text writes the field as a flow mapping has it; one of JSON has all in quotes.
func (p pair) text(asJSON bool) string {
	if asJSON {
		return strconv.Quote(p.key) + ": " + p.written(asJSON)
	}
	return p.key + ": " + p.written(asJSON)
}

func (p pair) written(asJSON bool) string {
	if asJSON {
		return strconv.Quote(p.value)
	}
	return scalar(p.value)
}

func flowEntry(n Node, asJSON bool) string {
	var out []string
	for _, p := range pairs(n) {
		out = append(out, p.text(asJSON))
	}
	return "{" + strings.Join(out, ", ") + "}"
}

func flowList(nodes []Node, asJSON bool) string {
	var out []string
	for _, n := range nodes {
		out = append(out, flowEntry(n, asJSON))
	}
	return "[" + strings.Join(out, ", ") + "]"
}
