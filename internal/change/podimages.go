package change

import (
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/topology"
)

// beforeTurns has machines of both versions run the same pods before anything stops: each gets the container images of the
// version that the upgrade leads to; then pods are told to use these, and only then turns begin. A machine that is made anew has
// no other images, and a pod that has to leave a node finds its own wherever it comes to: on the way forward, and on the way back.
// What was brought before, beside the images, is what the turns need too.
//
// All manifests are applied together. They name no API that one of the versions lacks and drop no right that an agent of an older
// haplane still needs; rights that newer agents need are there when the first of them runs.
func (p *planner) beforeTurns(brought []string, turns bool) {
	for _, n := range slices.Concat(p.stay, plain(p.turns)) {
		if p.lacks(n) && p.runsPods(n) {
			needs := slices.Concat(p.tail, p.has(id(StartMachine, n.Name)), p.has(id(NodeReady, n.Name)))
			brought = append(brought, p.bringImages(n, needs)...)
		}
	}
	p.tail = compact(slices.Concat(p.tail, brought))
	told := len(p.Objects) > 0 && p.Observed.APISeen // else who is hurt comes first
	if turns || told {
		p.tail = []string{p.add(Step{ID: Snapshot, Verb: Snapshot, Needs: p.tail, Why: p.upgradeWhy("", "")})}
	}
	if told {
		p.manifests()
		p.tail = p.has(ApplyManifests)
	}
	if p.Observed.APISeen && (turns || told) && slices.ContainsFunc(p.Wanted.Nodes, p.Wanted.RunsKubelet) { // also where an earlier run has told
		p.dnsReady([]Reason{{What: "CoreDNS", New: "one version of it serves"}}, p.tail)
		p.tail = []string{DNSReady}
	}
}

// lacks reports whether a machine does not have all container images that pods may have after the upgrade.
func (p *planner) lacks(n topology.Node) bool {
	return p.Wanted.RunsKubelet(n) && len(p.lacking(n)) > 0
}

func (p *planner) lacking(n topology.Node) []string {
	there := p.Observed.Machines[n.Name].Images
	return slices.DeleteFunc(slices.Clone(p.Upgrade.Images), func(ref string) bool { return slices.Contains(there, ref) })
}

// runsPods reports whether pods may come to a node before its own turn, or it has none. One that is hurt and made anew gets the images
// with its machine; one that stays gets them in its turn, when its programs run again.
func (p *planner) runsPods(n topology.Node) bool {
	if named(p.stay, n.Name) && !p.hasTurn(n) {
		return true // it is well, or mended by then
	}
	return p.alive(n.Name) && !p.notReady(n)
}

func (p *planner) bringImages(n topology.Node, needs []string) []string {
	return []string{p.add(Step{ID: id(BringImages, n.Name), Verb: BringImages, Node: n.Name, Needs: needs,
		Why: []Reason{{What: "container images that it lacks", New: strings.Join(p.lacking(n), ", ")}}})}
}
