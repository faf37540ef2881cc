package xray

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// A since is the version from which on a program knows a flag, a gate or a directive that
// advice names: one that does not know it ends, or does not start again.
type since struct{ program, name, version string }

// newer are those that some version that a check accepts does not know: AddFlags of
// k8s.io/apiserver/pkg/server/options and k8s.io/kubernetes/cmd/kube-apiserver at these versions
// and the ones before, changelogs of Kubernetes, and configuration.txt of HAProxy.
var newer = []since{
	{evidence.APIServer, "--endpoint-reconciler-type", "1.9"},
	{evidence.APIServer, "--encryption-provider-config", "1.13"},
	{evidence.APIServer, "--shutdown-delay-duration", "1.16"},
	{evidence.APIServer, "--goaway-chance", "1.18"},
	{evidence.APIServer, "--shutdown-send-retry-after", "1.23"},
	{evidence.APIServer, "--shutdown-watch-termination-grace-period", "1.27"},
	{evidence.APIServer, "--peer-advertise-ip", "1.28"},
	{evidence.APIServer, "--peer-advertise-port", "1.28"},
	{evidence.APIServer, "--peer-ca-file", "1.28"},
	{evidence.APIServer, interoperability, "1.28"},
	{evidence.APIServer, "--service-account-signing-endpoint", "1.32"},
	{evidence.ControllerManager, releaseGate, "1.36"},
	{evidence.EtcdServer, "member promote", "3.4"},
	{evidence.EtcdServer, "move-leader", "3.3"},
	{evidence.HAProxy, "http-check send", "2.2"},
}

// safe is advice without what the program that it is for does not know. Where its version is
// not known, that is said: who follows it has to look first.
func (s *Scene) safe(node, fix string) string {
	var kept []string
	var missing, doubtful []since
	for _, sentence := range sentences(fix) {
		old := false
		for _, row := range newer {
			if !strings.Contains(sentence, row.name) || len(s.Instances(row.program)) == 0 {
				continue
			}
			switch v := s.oldest(row.program, node); {
			case v == nil:
				doubtful = append(doubtful, row)
			case v.LessThan(version.MustParseGeneric(row.version)):
				old, missing = true, append(missing, row)
			}
		}
		if !old {
			kept = append(kept, sentence)
		}
	}
	switch {
	case len(kept) == 0 && len(missing) > 0:
		return fmt.Sprintf("Nothing to set yet: %s knows no %s before %s.", missing[0].program, missing[0].name, missing[0].version)
	case len(doubtful) > 0:
		kept = append([]string{caution(doubtful)}, kept...)
	}
	return strings.Join(kept, " ")
}

// caution is about what a program may not know.
func caution(rows []since) string {
	var parts []string
	for _, row := range rows {
		parts = append(parts, fmt.Sprintf("%s since %s %s", row.name, row.program, row.version))
	}
	return "Look at the version first, an older one does not start with it: " + list(distinct(parts)) + "."
}

// oldest is the version of a program on a node, or of the oldest anywhere; nil where one that is
// meant does not tell it.
func (s *Scene) oldest(program, node string) *version.Version {
	var out *version.Version
	here := node != "" && s.Machine(node) != nil && s.Machine(node).Program(program) != nil
	for _, p := range s.Instances(program) {
		if here && p.Machine.Name != node {
			continue
		}
		v := s.versionOf(p)
		if v == nil {
			return nil
		}
		if out == nil || v.LessThan(out) {
			out = v
		}
	}
	return out
}

// versionOf is that of a program as it says itself, or nil.
func (s *Scene) versionOf(p Instance) *version.Version {
	v := versioned{text: p.Version}.parse()
	switch server := s.Server(p.Machine.Name); {
	case v != nil:
	case p.Name == evidence.APIServer && server != nil:
		v = versioned{text: server.Version}.parse()
	case p.Name == evidence.EtcdServer && p.Machine.Etcd != nil:
		v = versioned{text: p.Machine.Etcd.Version}.parse()
	}
	return v
}

// knows tells whether a program has a version from which on it knows something; sure, whether
// its version is known at all.
func (s *Scene) knows(p Instance, name string) (yes, sure bool) {
	v := s.versionOf(p)
	for _, row := range newer {
		if row.program == p.Name && row.name == name {
			return v != nil && v.AtLeast(version.MustParseGeneric(row.version)), v != nil
		}
	}
	return true, true
}

// sentences are those of a text: each ends with a full stop, and the next begins with a
// capital.
func sentences(text string) []string {
	var out []string
	for from, i := 0, 0; i < len(text); i++ {
		end := i == len(text)-1 || text[i] == '.' && i+2 < len(text) && text[i+1] == ' ' && text[i+2] >= 'A' && text[i+2] <= 'Z'
		if end {
			out, from = append(out, strings.TrimSpace(text[from:i+1])), i+1
		}
	}
	return out
}
