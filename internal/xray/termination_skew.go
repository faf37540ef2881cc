package xray

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

func versionSkew(s *Scene) []Finding {
	servers := s.apiServerVersions()
	if len(servers) == 0 {
		return nil
	}
	out := apiServerSkew(servers)
	for _, rule := range []struct {
		name  string
		all   []versioned
		older int
	}{
		{evidence.ControllerManager, s.versionsOf(evidence.ControllerManager), 1},
		{evidence.Scheduler, s.versionsOf(evidence.Scheduler), 1},
		{evidence.Kubelet, s.kubeletVersions(), 3},
		{evidence.KubeProxy, s.versionsOf(evidence.KubeProxy), 3},
	} {
		out = append(out, s.clientSkew(rule.name, rule.all, rule.older, servers)...)
	}
	return out
}

func byVersion(a, b versioned) int {
	switch x, y := a.parse(), b.parse(); {
	case x.LessThan(y):
		return -1
	case y.LessThan(x):
		return 1
	}
	return 0
}

// apiServerSkew names those that differ from most; of equally many, the older ones,
// which are still to be upgraded. The policy is about any two of them.
func apiServerSkew(servers []versioned) []Finding {
	newest := slices.MaxFunc(servers, byVersion)
	common := mostCommon(slices.SortedStableFunc(slices.Values(servers), func(a, b versioned) int { return byVersion(b, a) }),
		func(v versioned) string { return v.text })
	right := servers[slices.IndexFunc(servers, func(v versioned) bool { return v.text == common })]
	oldest := slices.MinFunc(servers, byVersion)
	var out []Finding
	for _, v := range servers {
		expected := fmt.Sprintf("%s, as on %s", right.text, right.at.node)
		switch {
		case v.text == right.text:
		case tooFar(v, newest) || tooFar(oldest, v):
			out = append(out, v.at.fail(expected, v.text+": API servers are more than one minor version apart"))
		default:
			out = append(out, v.at.warn(expected, v.text+": an upgrade under way, or left unfinished"))
		}
	}
	return orPass(out, at{}, "%s: %s", plural(len(servers), "API server"), right.text)
}

// tooFar tells API servers that must not serve beside each other.
func tooFar(older, newer versioned) bool {
	apart := minorsBehind(older, newer)
	return apart < 0 || apart > 1
}

// minorsBehind is how many minor versions a is older than b; -1 where b is older or
// of another major version.
func minorsBehind(a, b versioned) int {
	x, y := a.parse(), b.parse()
	if x.Major() != y.Major() || x.Minor() > y.Minor() {
		return -1
	}
	return int(y.Minor() - x.Minor())
}

// clientSkew: of the API servers that a client may meet, the oldest bounds how new
// it may be, and the newest how old.
func (s *Scene) clientSkew(name string, all []versioned, older int, servers []versioned) []Finding {
	var out []Finding
	seen := map[string]bool{}
	for _, v := range all {
		seen[v.text] = true
		met := s.met(v.at.node, name, servers)
		oldest, newest := slices.MinFunc(met, byVersion), slices.MaxFunc(met, byVersion)
		switch {
		case minorsBehind(v, oldest) < 0:
			out = append(out, v.at.fail(fmt.Sprintf("%s not newer than any API server that it talks to (%s)", name, oldest.text), v.text))
		case minorsBehind(v, newest) > older:
			out = append(out, v.at.fail(fmt.Sprintf("%s at most %s older than API servers (%s)", name, plural(older, "minor version"), newest.text), v.text))
		}
	}
	if len(all) == 0 {
		return nil
	}
	return orPass(out, at{}, "%s: %s", name, strings.Join(slices.Sorted(maps.Keys(seen)), ", "))
}

// met are the API servers that a program on a node talks to: the one beside it where
// its kubeconfig leads there, so that nodes can be upgraded one after the other.
// Controller managers and schedulers whose kubeconfigs were not seen are taken to
// do so, as kubeadm has it.
func (s *Scene) met(node, program string, servers []versioned) []versioned {
	beside := slices.IndexFunc(servers, func(v versioned) bool { return v.at.node == node && node != "" })
	m := s.Machine(node)
	if beside < 0 || m == nil {
		return servers
	}
	paths := kubeconfigsOf(m, program)
	local := len(paths) == 0 && slices.Contains(elected, program)
	for _, path := range paths {
		hostPort := HostPort(m.Kubeconfigs[path].Server)
		local = loopback(hostPort) || s.isHome(m, hostPort) || s.advertiser(hostPort) == m
	}
	if local {
		return servers[beside : beside+1]
	}
	return servers
}
