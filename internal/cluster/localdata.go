package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/kubeprobe"
)

// mostData is of how much that is lost a warning tells by name.
const mostData = 10

// losesData are the nodes whose machines go with what pods keep there, and those whose pods are evicted and come back to the same machine, or to
// none of this kind.
func (l *live) losesData() (machines, pods []string) {
	for _, n := range l.union().Nodes {
		has := func(verb string) bool {
			return slices.ContainsFunc(l.change.Steps, func(s change.Step) bool { return s.Node == n.Name && s.Verb == verb })
		}
		_, node := l.seen.Nodes[n.Name]
		switch {
		case !node:
		case has(change.RemoveMachine) && l.seen.Machines[n.Name].Made:
			machines = append(machines, n.Name)
		case has(change.DrainNode):
			pods = append(pods, n.Name)
		}
	}
	return machines, pods
}

// dataWarnings tell by name of what pods keep where it goes: nothing brings it elsewhere, and a drain does not ask.
func (l *live) dataWarnings(ctx context.Context) []string {
	machines, evicted := l.losesData()
	if l.fresh() || !l.seen.APISeen || len(machines)+len(evicted) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*access.RequestTimeout)
	defer cancel()
	client, err := l.api()
	var data []kubeapi.LocalData
	if err == nil {
		data, err = client.LocalData(ctx, slices.Concat(machines, evicted), kubeprobe.Label)
	}
	if err != nil {
		return []string{fmt.Sprintf("which data of pods goes with their machines is not known: %v", err)}
	}
	return lostData(data, machines)
}

// lostData puts it into words; of pods that are evicted it is what goes with them.
func lostData(data []kubeapi.LocalData, machines []string) []string {
	var gone, evicted []string
	for _, d := range data {
		with := slices.Clone(d.OnMachine)
		if len(d.EmptyDirs) > 0 {
			with = append([]string{"emptyDir " + strings.Join(d.EmptyDirs, ", ")}, with...)
		}
		switch {
		case slices.Contains(machines, d.Node):
			gone = append(gone, fmt.Sprintf("%s on %s (%s)", d.Of, d.Node, strings.Join(with, "; ")))
		case len(d.EmptyDirs) > 0:
			evicted = append(evicted, fmt.Sprintf("%s on %s (%s)", d.Of, d.Node, strings.Join(d.EmptyDirs, ", ")))
		}
	}
	var out []string
	if len(gone) > 0 {
		out = append(out, "data is lost with the machines that go, and nothing brings it elsewhere: "+few(gone))
	}
	if len(evicted) > 0 {
		out = append(out, "pods that are evicted lose their emptyDir volumes: "+few(evicted))
	}
	return out
}

// few are the first of a list, and how many more there are.
func few(list []string) string {
	text := strings.Join(list[:min(len(list), mostData)], ", ")
	if more := len(list) - mostData; more > 0 {
		text += fmt.Sprintf(", and %d more", more)
	}
	return text
}
