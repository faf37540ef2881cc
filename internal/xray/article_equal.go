package xray

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

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
	{evidence.EtcdServer, []string{"name", "data-dir", "wal-dir", "config-file", "initial-cluster", "initial-cluster-state", "initial-cluster-token", "initial-advertise-peer-urls",
		"advertise-client-urls", "listen-client-urls", "listen-peer-urls", "listen-metrics-urls", "client-cert-auth", "client-transport-security",
		"peer-client-cert-auth", "peer-transport-security"}},
}

var leaderElection = []string{"leader-elect", "leader-elect-lease-duration", "leader-elect-renew-deadline", "leader-elect-retry-period",
	"leader-elect-resource-lock", "leader-elect-resource-name", "leader-elect-resource-namespace", "leaderElection"}

// uncompared are settings that are compared of no program: how much is logged
// changes nothing, feature gates have a check of their own, and what form a configuration
// file has is no setting.
var uncompared = []string{"v", "vmodule", "feature-gates", "featureGates", "apiVersion", "kind"}

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
		out = append(out, agree(program+" "+name, s.eachSays(name, instances, all), Warn)...)
	}
	different := slices.DeleteFunc(out, func(f Finding) bool { return f.Status == Pass })
	return orPass(different, at{}, "%s: %s, the same on %s", program, plural(len(names), "setting"), list(nodes))
}

// eachSays is what each instance has for a setting: as it stands where that is the same
// everywhere, else without what is the machine's own in it.
func (s *Scene) eachSays(name string, instances []Instance, settings []map[string]string) []said {
	var out []said
	same := true
	for i, of := range settings {
		one := said{at: instances[i].at(), value: unset}
		if v, ok := of[name]; ok {
			one.value = canonical(v)
		} else if v, ok := defaultOf(instances[i], name); ok {
			one.value, one.shown = canonical(v), v+" (the default)"
		}
		out = append(out, one)
		same = same && one.value == out[0].value
	}
	for i := range out {
		if !same {
			out[i].value = s.neutral(instances[i].Machine, out[i].value)
		}
	}
	return out
}

// settings are the variables and flags of a program and the first level of its
// configuration file, by name.
func (s *Scene) settings(p Instance) map[string]string {
	out := maps.Clone(p.Variables)
	if out == nil {
		out = map[string]string{}
	}
	for name, v := range p.Config {
		out[name] = flow(v)
	}
	for _, name := range p.FlagNames() {
		v := p.Values(name)
		if slices.Contains(unordered, name) {
			v = sorted(p.List(name))
		}
		out[name] = strings.Join(v, ",")
	}
	return out
}

// flow is a setting as a line of YAML, with the keys in order.
func flow(v any) string {
	switch v.(type) {
	case map[string]any, []any:
		var out strings.Builder
		e := json.NewEncoder(&out)
		e.SetEscapeHTML(false)
		if e.Encode(v) == nil {
			return strings.TrimSpace(out.String())
		}
	}
	return fmt.Sprint(v)
}

// canonical is a value as programs understand it: durations and switches have several forms.
func canonical(text string) string {
	if d, err := time.ParseDuration(text); err == nil && strings.ContainsAny(text, "smh") {
		return d.String()
	}
	if on, err := strconv.ParseBool(text); err == nil && len(text) > 1 {
		return strconv.FormatBool(on)
	}
	return text
}
