package change

import (
	"slices"

	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// kubeletUnit is the file by which a machine tells that it is, or was, a Kubernetes node.
const kubeletUnit = topology.UnitDir + "/kubelet.service"

// losesKubelet reports whether a control-plane node is no Kubernetes node any more, and still has
// something of one: programs, or its Node.
func (p *planner) losesKubelet(n topology.Node, d difference) bool {
	_, is := p.Observed.Nodes[n.Name]
	return n.Role == spec.RoleControlPlane && !p.Wanted.RunsKubelet(n) && (is || slices.Contains(d.unwanted, kubeletUnit))
}

// removeKubelet drains a node that stays without its kubelet, and takes away what ran there for pods:
// one node after another, so that pods have somewhere to go. Its files go after.
func (p *planner) removeKubelet(n topology.Node, d difference, needs []string) []string {
	if !p.losesKubelet(n, d) || d.unseen {
		return needs
	}
	needs = append(slices.Clone(needs), p.drained...)
	if _, is := p.Observed.Nodes[n.Name]; is {
		needs = p.drainNode(n, withoutKubelet, needs)
	}
	needs = []string{p.add(Step{ID: id(RemoveKubelet, n.Name), Verb: RemoveKubelet, Node: n.Name, Why: withoutKubelet, Needs: needs})}
	p.drained = needs
	return needs
}

// deleteKubeletNode deletes the Node of a machine that has no kubelet any more.
func (p *planner) deleteKubeletNode(n topology.Node, d difference, needs []string) {
	if p.losesKubelet(n, d) {
		p.drained = []string{p.add(Step{ID: id(DeleteNode, n.Name), Verb: DeleteNode, Node: n.Name, Why: withoutKubelet, Units: []string{"kubelet"}, Needs: needs})}
	}
}

var withoutKubelet = []Reason{{What: "spec.controlPlane.kubelet", Old: "true", New: "false"}}

// gainsKubelet waits for the Node of a control-plane node whose kubelet is started.
func (p *planner) gainsKubelet(n topology.Node, d difference, needs []string) {
	if n.Role == spec.RoleControlPlane && slices.Contains(d.start, "kubelet") {
		p.add(Step{ID: id(NodeReady, n.Name), Verb: NodeReady, Node: n.Name, Why: d.why(), Needs: needs})
	}
}

// uncordonKubelets lets pods come to nodes that were drained to lose their kubelet, and keep it.
func (p *planner) uncordonKubelets() {
	for _, n := range p.stay {
		if p.KubeletsBack && n.Role == spec.RoleControlPlane && p.Wanted.RunsKubelet(n) && p.Observed.Nodes[n.Name].Drained {
			p.add(Step{ID: id(UncordonNode, n.Name), Verb: UncordonNode, Node: n.Name, Needs: p.has(id(NodeReady, n.Name)),
				Why: []Reason{{What: n.Name + " was to lose its kubelet, and keeps it"}}})
		}
	}
}
