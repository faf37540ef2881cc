package xray

import (
	"fmt"
	"slices"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// etcd's peers warn from a second on (rafthttp/probing_status.go). A minute is the
// leeway that API servers grant each other's tokens (jwt.DefaultLeeway in
// k8s.io/kubernetes/pkg/serviceaccount/claims.go).
const (
	clockWarn = time.Second
	clockFail = time.Minute
)

func clockSkew(s *Scene) []Finding {
	var machines []*evidence.Machine
	for _, m := range s.Machines {
		if m.Clock != nil {
			machines = append(machines, m)
		}
	}
	if len(machines) == 0 {
		return s.apiClock()
	}
	right := s.median(machines)
	var out []Finding
	for _, m := range machines {
		out = append(out, clockOf(m, right))
	}
	return out
}

// median is the clock that most agree with, as ahead of the host that looks. Where
// there are two machines, that host has a say.
func (s *Scene) median(machines []*evidence.Machine) time.Duration {
	var all []time.Duration
	for _, m := range machines {
		all = append(all, m.Clock.Ahead)
	}
	if len(all)%2 == 0 {
		all = append(all, 0)
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func clockOf(m *evidence.Machine, right time.Duration) Finding {
	off := m.Clock.Ahead - right
	where := at{node: m.Name, source: "clock"}
	observed := fmt.Sprintf("%s the others (to %s)", ahead(off.Round(time.Millisecond)), m.Clock.Uncertainty.Round(time.Millisecond))
	sure := off.Abs() - m.Clock.Uncertainty
	status := Warn
	if sure > clockFail {
		status = Fail
	}
	return where.judge(sure <= clockWarn, status, fmt.Sprintf("within %s", clockWarn), observed)
}

// apiClock is all that the API shows: one server's clock, to a second, against that
// of the host that looks, which may be the wrong one.
func (s *Scene) apiClock() []Finding {
	if s.API == nil || s.API.ReadAt.IsZero() {
		return nil
	}
	where := at{source: "Date of " + s.API.Server}
	observed := fmt.Sprintf("%s the host that looks; clocks of machines are seen only over SSH", ahead(s.API.Ahead))
	if s.API.Ahead.Abs() > clockWarn+time.Second {
		return []Finding{where.warn("within "+clockWarn.String(), observed)}
	}
	return []Finding{where.skip("%s", observed)}
}

func ahead(d time.Duration) string {
	if d < 0 {
		return (-d).String() + " behind"
	}
	return d.String() + " ahead of"
}
