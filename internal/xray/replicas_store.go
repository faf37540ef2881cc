package xray

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

func oneStore(s *Scene) []Finding {
	var prefixes, apart, clusters, ports []said
	for _, a := range s.live(evidence.APIServer) {
		prefix := a.FlagOr("etcd-prefix", "/registry")
		prefixes = append(prefixes, said{at: a.at(), value: path.Join("/", prefix)}) // as the API server does
		apart = append(apart, said{a.at(), strings.Join(keptApart(a), ","), list(keptApart(a))})
		if ids := s.etcdClusters(a); len(ids) > 0 {
			clusters = append(clusters, said{at: a.at(), value: list(ids)})
		} else if own := ownEtcdPorts(a); own != "" {
			ports = append(ports, said{at: a.at(), value: own})
		}
	}
	out := agree("--etcd-prefix", prefixes, Fail)
	if slices.ContainsFunc(apart, func(s said) bool { return s.value != "" }) {
		out = append(out, agree("resources that are kept apart (--etcd-servers-overrides)", apart, Fail)...)
	}
	if len(clusters) > 1 {
		out = append(out, agree("etcd cluster", clusters, Fail)...)
	}
	if len(ports) > 1 {
		out = append(out, agree("port of the etcd beside it", ports, Warn)...)
	}
	return out
}

// ownEtcdPorts are those by which an API server asks etcd on its own machine; "" where it asks
// others. Where nobody said which clusters are behind them, the same port means the same: kOps runs
// a second etcd, for events, beside the first.
func ownEtcdPorts(a Instance) string {
	var out []string
	for _, u := range a.List("etcd-servers") {
		hostPort := etcdHostPort(u)
		if !loopback(hostPort) {
			return ""
		}
		out = append(out, strconv.Itoa(portOf(hostPort)))
	}
	if len(out) == 0 {
		return ""
	}
	return list(distinct(sorted(out)))
}

// keptApart are the resources that an API server keeps in an etcd of their own:
// GROUP/RESOURCE#SERVERS. Which servers that are may differ by node.
func keptApart(a Instance) []string {
	var out []string
	for _, one := range a.List("etcd-servers-overrides") {
		resource, _, _ := strings.Cut(one, "#")
		out = append(out, strings.TrimSpace(resource))
	}
	return distinct(sorted(out))
}

// etcdClusters are the IDs of the clusters of the members that an API server uses, as
// far as those answered.
func (s *Scene) etcdClusters(a Instance) []string {
	var out []string
	for _, u := range a.List("etcd-servers") {
		hostPort := etcdHostPort(u)
		m := a.Machine
		if !loopback(hostPort) {
			m = s.machineOf(hostPort)
		}
		if hostPort == "" || m == nil || m.Etcd == nil || m.Etcd.ClusterID == "" {
			continue
		}
		var member etcdTarget
		if member.on(s, m); member.is(a, hostPort) {
			out = append(out, m.Etcd.ClusterID)
		}
	}
	return distinct(sorted(out))
}
