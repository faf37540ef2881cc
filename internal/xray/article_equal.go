package xray

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// compared are programs whose replicas have to be configured alike, with the
// settings that are not compared: they are per node by nature, change nothing that
// a cluster does, or have a check of their own.
var compared = []struct {
	program string
	except  []string
}{
	{evidence.APIServer, []string{"advertise-address", "peer-advertise-ip", "endpoint-reconciler-type", "etcd-servers",
		"etcd-prefix", "etcd-servers-overrides", "service-cluster-ip-range", "service-node-port-range",
		"encryption-provider-config", "shutdown-delay-duration", "shutdown-send-retry-after", "shutdown-watch-termination-grace-period",
		"requestheader-allowed-names", "requestheader-extra-headers-prefix", "requestheader-group-headers", "requestheader-username-headers"}},
	{evidence.ControllerManager, leaderElection},
	{evidence.Scheduler, leaderElection},
	{evidence.EtcdServer, []string{"name", "initial-cluster", "initial-cluster-state", "initial-cluster-token", "initial-advertise-peer-urls",
		"advertise-client-urls", "listen-client-urls", "listen-peer-urls", "listen-metrics-urls", "client-cert-auth", "client-transport-security",
		"peer-client-cert-auth", "peer-transport-security"}},
}

var leaderElection = []string{"leader-elect", "leader-elect-lease-duration", "leader-elect-renew-deadline", "leader-elect-retry-period",
	"leader-elect-resource-lock", "leader-elect-resource-name", "leader-elect-resource-namespace", "leaderElection"}

// uncompared are settings that are compared of no program: how much is logged
// changes nothing, and feature gates have a check of their own.
var uncompared = []string{"v", "vmodule", "feature-gates", "featureGates"}

// unordered are lists whose order means nothing.
var unordered = []string{"enable-admission-plugins", "disable-admission-plugins", "controllers", "runtime-config", "tls-cipher-suites"}

const unset = "not set"

func equalOnAllNodes(s *Scene) []Finding {
	var out []Finding
	for _, row := range compared {
		instances := s.Instances(row.program)
		switch len(instances) {
		case 0:
		case 1:
			out = append(out, instances[0].at().skip("%s is seen here only: nothing to compare with", row.program))
		default:
			out = append(out, s.equalSettings(row.program, instances, slices.Concat(row.except, uncompared))...)
		}
	}
	return out
}

func (s *Scene) equalSettings(program string, instances []Instance, except []string) []Finding {
	var all []map[string]string
	var nodes []string
	for _, i := range instances {
		settings := s.settings(i)
		maps.DeleteFunc(settings, func(name, _ string) bool { return slices.Contains(except, name) })
		all, nodes = append(all, settings), append(nodes, i.Machine.Name)
	}
	names := map[string]bool{}
	for _, settings := range all {
		for name := range settings {
			names[name] = true
		}
	}
	var out []Finding
	for _, name := range slices.Sorted(maps.Keys(names)) {
		out = append(out, agree(program+" "+name, eachSays(name, instances, all), Warn)...)
	}
	different := slices.DeleteFunc(out, func(f Finding) bool { return f.Status == Pass })
	return orPass(different, at{}, "%s: %s, the same on %s", program, plural(len(names), "setting"), list(nodes))
}

// eachSays is what each instance has for a setting.
func eachSays(name string, instances []Instance, settings []map[string]string) []said {
	var out []said
	for i, of := range settings {
		one := said{at: instances[i].at(), value: unset}
		if v, ok := of[name]; ok {
			one.value = v
		}
		out = append(out, one)
	}
	return out
}

// settings are the flags of a program and the first level of its configuration
// file, by name, without what is its machine's own in them.
func (s *Scene) settings(p Instance) map[string]string {
	out := map[string]string{}
	for name, v := range p.Config {
		out[name] = s.neutral(p.Machine, fmt.Sprint(v)) // which sorts maps by key
	}
	for _, flag := range p.Flags() {
		name := flag.Name
		v := values(p.Program, name)
		if len(v) < 2 { // not a list: as it is
			v = []string{p.FlagOr(name, "")}
		}
		if slices.Contains(unordered, name) {
			v = sorted(v)
		}
		out[name] = s.neutral(p.Machine, strings.Join(v, ","))
	}
	return out
}

// neutral replaces a machine's own addresses and names, so that what differs only
// in them is the same.
func (s *Scene) neutral(m *evidence.Machine, text string) string {
	for _, a := range s.addressesOf(m) {
		if s.isOwn(m, a) {
			text = replaceWord(text, a.String(), "(own address)")
		}
	}
	for _, name := range distinct([]string{m.Name, m.Hostname}) {
		if _, err := netip.ParseAddr(name); name != "" && err != nil {
			text = replaceWord(text, name, "(own name)")
		}
	}
	return text
}

// replaceWord replaces a word where it is one: 10.0.0.1 is not in 10.0.0.11.
func replaceWord(text, word, by string) string {
	var b strings.Builder
	for {
		i := strings.Index(text, word)
		if i < 0 {
			return b.String() + text
		}
		rest := text[i+len(word):]
		b.WriteString(text[:i])
		if endsWord(b.String(), len(b.String())-1) || endsWord(rest, 0) {
			b.WriteString(word)
		} else {
			b.WriteString(by)
		}
		text = rest
	}
}

// endsWord tells whether the character beside a word continues it.
func endsWord(text string, i int) bool {
	if i < 0 || i >= len(text) {
		return false
	}
	c := text[i]
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_' || c == '.'
}
