package xray

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

var leaderReplicaChecks = []Check{
	{
		ID: "one-leader-election", Subject: Leaders, Title: "Replicas of a program take part in the same election",
		Why:    "Whoever holds the lock leads. A scheduler or controller-manager that elects by another name, in another namespace or by another kind of lock, or not at all, leads at the same time as the elected one: two schedulers place pods against each other, and two controller-managers create and delete twice.",
		Source: "https://kubernetes.io/docs/concepts/architecture/leases/#leader-election",
		Fix:    "Leave out --leader-elect, --leader-elect-resource-name, --leader-elect-resource-namespace and --leader-elect-resource-lock and their fields in the configuration, or give them the values of the others, and restart the program.",
		Needs:  anyWay, Run: oneLeaderElection,
	},
}

// An elector is a program with the locks of which it has to hold all in order to act.
type elector struct {
	Instance
	locks  []string // none: it acts without
	unread bool     // its configuration, which may name the lock
}

// lockKinds are the objects of --leader-elect-resource-lock. Those of two were the way
// from the one to the other, and exclude holders of either.
var lockKinds = map[string][]string{"leases": {"Lease"}, "endpoints": {"Endpoints"}, "configmaps": {"ConfigMap"},
	"endpointsleases": {"Endpoints", "Lease"}, "configmapsleases": {"ConfigMap", "Lease"}}

func electorOf(p Instance) elector {
	_, file := p.Flag("config")
	e := elector{Instance: p, unread: file && p.Config == nil}
	if v, _ := leaderElect(p); v == "false" {
		e.unread = false
		return e
	}
	setting := func(flag, field, otherwise string) string {
		return cmp.Or(electionSetting(p, flag, field, ""), otherwise)
	}
	kind := setting("leader-elect-resource-lock", "resourceLock", "leases")
	name := setting("leader-elect-resource-namespace", "resourceNamespace", "kube-system") + "/" + setting("leader-elect-resource-name", "resourceName", p.Name)
	kinds, known := lockKinds[kind]
	if !known {
		kinds = []string{kind}
	}
	for _, k := range kinds {
		e.locks = append(e.locks, k+" "+name)
	}
	return e
}

func (e elector) lock() string {
	if len(e.locks) == 0 {
		return "no election"
	}
	return strings.Join(e.locks, " and ")
}

// excludes tells whether at most one of the two acts.
func (e elector) excludes(other elector) bool {
	return slices.ContainsFunc(e.locks, func(l string) bool { return slices.Contains(other.locks, l) })
}

// rivals tells whether two do the same. Schedulers for different schedulerNames do not.
func (e elector) rivals(other elector) bool {
	return e.Name != evidence.Scheduler || slices.ContainsFunc(schedulesFor(e.Instance), func(n string) bool { return slices.Contains(schedulesFor(other.Instance), n) })
}

// schedulesFor are the schedulerNames of a scheduler's profiles.
func schedulesFor(p Instance) []string {
	var out []string
	profiles, _ := p.Config["profiles"].([]any)
	for _, one := range profiles {
		profile, _ := one.(map[string]any)
		name, _ := profile["schedulerName"].(string)
		out = append(out, cmp.Or(name, "default-scheduler"))
	}
	if len(out) == 0 {
		out = []string{p.FlagOr("scheduler-name", "default-scheduler")} // a flag before 1.23
	}
	return out
}

func oneLeaderElection(s *Scene) []Finding {
	var out []Finding
	for _, program := range elected {
		var all []elector
		for _, p := range s.live(program) {
			all = append(all, electorOf(p))
		}
		out = append(out, oneElection(program, all)...)
	}
	return out
}

// oneElection compares with the lock that most use.
func oneElection(program string, all []elector) []Finding {
	switch len(all) {
	case 0:
		return nil
	case 1:
		return []Finding{all[0].at().skip("%s is seen here only: nothing to compare with", program)}
	}
	common := mostCommon(all, elector.lock)
	i := slices.IndexFunc(all, func(e elector) bool { return e.lock() == common && !e.unread })
	var out []Finding
	var nodes []string
	for j, e := range all {
		switch {
		case i < 0 || e.unread:
			out = append(out, e.at().skip("%s: its configuration, which may name another lock, was not read", program))
		case i == j || e.excludes(all[i]):
			nodes = append(nodes, e.Machine.Name)
		case !e.rivals(all[i]):
			out = append(out, e.at().pass("%s for %s, which is not what the one on %s is for", program, list(schedulesFor(e.Instance)), all[i].Machine.Name))
		default:
			out = append(out, e.at().fail(fmt.Sprintf("%s with the lock of the one on %s: %s", program, all[i].Machine.Name, common),
				fmt.Sprintf("%s: it may lead beside that one", e.lock())))
		}
	}
	if len(nodes) < 2 {
		return out
	}
	return append(out, at{source: all[i].Source()}.pass("%s: %s, on %s", program, common, list(nodes)))
}
