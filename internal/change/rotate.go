package change

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
)

// A Rotation is the phase of a rotation that is carried out: what is wanted of all machines is that phase
// already, and the steps that the change has for that are those of any other.
type Rotation struct {
	Name  string // as the user gives it
	Phase pki.Phase
	Start bool // nothing of the phase has been done yet
	Back  bool // from the first phase: no other field but Name counts
}

// refuseAway is an error where a phase is to begin and not all nodes can take part: one that is
// left out would trust nobody, or nobody it.
func (p *planner) refuseAway() error {
	if p.Rotate == nil || !p.Rotate.Start {
		return nil
	}
	var why []string
	for _, n := range p.Record {
		if n.State != Active {
			why = append(why, fmt.Sprintf("%s is %s", n.Name, n.State))
		}
	}
	for _, n := range p.stay {
		switch api := p.Observed.APIServers[n.Name]; {
		case !p.alive(n.Name):
			why = append(why, n.Name+" is away")
		case p.sick(n) && api.Error != "":
			why = append(why, n.Name+" is not well: "+api.Error)
		case p.sick(n):
			why = append(why, n.Name+" is not well")
		case p.Wanted.RunsKubelet(n) && !p.Observed.Nodes[n.Name].Ready:
			why = append(why, fmt.Sprintf("the Node %s is not Ready", n.Name))
		}
	}
	if len(why) == 0 {
		return nil
	}
	return &Refused{Step: "rotate " + p.Rotate.Name, Err: errors.New("all nodes have to take part: " + strings.Join(why, "; "))}
}

// unused is the first step of all where the old generation is dropped: nothing may be in use that
// comes from it.
func (p *planner) unused() {
	// One that goes on was seen before its first machine was touched; who is away now could not answer.
	if p.Rotate != nil && p.Rotate.Phase == pki.Drop && (p.Rotate.Start || !p.somebodyAway()) {
		p.issued = append(p.issued, p.add(Step{ID: ProveUnused, Verb: ProveUnused, Needs: p.issued, Why: p.Rotate.why()}))
	}
}

func (p *planner) somebodyAway() bool {
	return len(p.joins)+len(p.early)+len(p.turns) > 0 || slices.ContainsFunc(p.stay, func(n topology.Node) bool {
		return p.sick(n) || len(p.diff(n).start) > 0
	})
}

// prove plans what is seen to at last, before a phase counts as carried out.
func (p *planner) prove() {
	if p.Rotate == nil {
		return
	}
	var all []string
	for _, s := range p.steps {
		all = append(all, s.ID)
	}
	if p.Rotate.Back {
		p.takeBack(all)
		return
	}
	if p.Rotate.Phase == pki.Switch && p.Rotate.Name == pki.RotateEncryption {
		all = []string{p.add(Step{ID: RewriteSecrets, Verb: RewriteSecrets, Needs: all, Why: p.Rotate.why()})}
	}
	verb := map[pki.Phase]string{pki.Trust: ProveTrust, pki.Switch: ProveSwitch, pki.Drop: ProveDrop}[p.Rotate.Phase]
	p.add(Step{ID: verb, Verb: verb, Needs: slices.Clone(all), Why: p.Rotate.why()})
}

// takeBack plans that an authority which is not to come after all is told of no more: API servers have published it for
// aggregated ones, and take nothing away.
func (p *planner) takeBack(all []string) {
	if p.Rotate.Name == pki.RotateCA || p.Rotate.Name == pki.RotateFrontProxyCA {
		p.add(Step{ID: Unpublish, Verb: Unpublish, Needs: all, Why: p.Rotate.why()})
	}
}

func (r *Rotation) why() []Reason {
	if r.Back {
		return []Reason{{What: "rotation of " + r.Name, New: "taken back"}}
	}
	return []Reason{{What: "rotation of " + r.Name, New: string(r.Phase)}}
}
