package cluster

import (
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/runtime/systemd"
)

// A unitPlan says what is to be done to the units of one machine.
type unitPlan struct {
	start   []string // not running
	restart []string // running with another configuration
	reload  []string // running with files that it has not loaded
}

func (p unitPlan) empty() bool { return len(p.start)+len(p.restart)+len(p.reload) == 0 }

func planUnits(units []render.Unit, seen map[string]systemd.State) unitPlan {
	var p unitPlan
	for _, u := range units {
		switch s := seen[u.Name]; {
		case !s.Active:
			p.start = append(p.start, u.Name)
		case s.Config != u.Config:
			p.restart = append(p.restart, u.Name)
		case s.Loaded != u.Load:
			p.reload = append(p.reload, u.Name)
		}
	}
	return p
}

func unitNames(units []render.Unit) []string {
	var out []string
	for _, u := range units {
		out = append(out, u.Name)
	}
	return out
}
