package nspawn

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestValidateNetwork(t *testing.T) {
	for prefixes, want := range map[string]string{
		"10.73.11.0/24":                     "",
		"fd00::/64":                         "",
		"fd00::/64 10.73.11.0/24":           "",
		"":                                  "", // for Destroy; see TestMachinesNeedANetwork
		"10.73.11.0/24 fd00::/64 fd01::/64": "3 networks, want one or one of each family",
		"10.73.11.0/24 10.73.12.0/24":       "networks 10.73.11.0/24 and 10.73.12.0/24 are both IPv4",
		"fe80::/64":                         "network fe80::/64 is not one that machines can have addresses of",
		"::ffff:10.0.0.0/120":               "network ::ffff:10.0.0.0/120 is not one that machines can have addresses of",
		"10.73.11.0/31":                     "network 10.73.11.0/31 has no room for machines",
	} {
		t.Run(prefixes, func(t *testing.T) {
			p := provider("demo", false)
			p.Network.Prefixes = nil
			for _, s := range strings.Fields(prefixes) {
				p.Network.Prefixes = append(p.Network.Prefixes, netip.MustParsePrefix(s))
			}
			if got := errText(p.validate()); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestMachinesNeedANetwork(t *testing.T) {
	p := provider("demo", false)
	p.Network.Prefixes, p.StateDir = nil, filepath.Join(t.TempDir(), "none")
	if got := errText(p.makeNetwork(t.Context())); got != "0 networks, want one or one of each family" {
		t.Errorf("got %q", got)
	}
	if _, err := os.Stat(p.StateDir); err == nil {
		t.Error("a state folder was made")
	}
}

func TestValidateMachines(t *testing.T) {
	m := func(name, addresses string) Machine {
		out := Machine{Name: name}
		for _, s := range strings.Fields(addresses) {
			out.Addresses = append(out.Addresses, netip.MustParseAddr(s))
		}
		return out
	}
	for name, c := range map[string]struct {
		machines []Machine
		want     string
	}{
		"good":         {[]Machine{m("a", "10.73.11.2"), m("b", "10.73.11.3")}, ""},
		"host's":       {[]Machine{m("a", "10.73.11.1")}, "address 10.73.11.1 of machine a is that of the host"},
		"same address": {[]Machine{m("a", "10.73.11.2"), m("b", "10.73.11.2")}, "address 10.73.11.2 of machine b is that of a"},
		"same name":    {[]Machine{m("a", "10.73.11.2"), m("a", "10.73.11.3")}, "two machines are named a"},
		"outside":      {[]Machine{m("a", "10.9.0.2")}, "address 10.9.0.2 of machine a is not in 10.73.11.0/24"},
		"path":         {[]Machine{m("../a", "10.73.11.2")}, `machine name "../a" is not a DNS label`},
		"no address":   {[]Machine{m("a", "")}, "machine a has 0 addresses, want one of each of 10.73.11.0/24"},

		"good dual stack": {[]Machine{m("a", "10.73.11.2 fd00:10:73:11::2")}, ""},
		"other order": {[]Machine{m("a", "fd00:10:73:11::2 10.73.11.2")},
			"address fd00:10:73:11::2 of machine a is not in 10.73.11.0/24"},
		"host's second": {[]Machine{m("a", "10.73.11.2 fd00:10:73:11::1")}, "address fd00:10:73:11::1 of machine a is that of the host"},
		"half dual stack": {[]Machine{m("a", "10.73.11.2")},
			"machine a has 1 addresses, want one of each of 10.73.11.0/24, fd00:10:73:11::/64"},
	} {
		t.Run(name, func(t *testing.T) {
			p := provider("demo", false)
			if slices.Contains([]string{"good dual stack", "other order", "host's second", "half dual stack"}, name) {
				p = dual("demo", false)
			}
			if got := errText(p.validateMachines(c.machines)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
