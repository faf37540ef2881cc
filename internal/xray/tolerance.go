package xray

import (
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// A tolerance is how many failures the control plane bears.
type tolerance struct {
	parts []part // API servers, etcd members, load balancers
	// uses are the machines whose etcd members an API server uses, by its machine.
	uses map[string][]string
}

func (s *Scene) tolerance() tolerance {
	t := tolerance{parts: []part{s.apiServerPart(), s.etcdPart()}, uses: map[string][]string{}}
	if p, ok := s.loadBalancerPart(); ok {
		t.parts = append(t.parts, p)
	}
	hosts, _, complete := s.etcdHosts()
	for _, i := range t.parts[0].serving {
		if a, ok := s.instance(i, evidence.APIServer); ok && complete {
			if used, strange := etcdUsed(a, a.List("etcd-servers"), hosts); len(strange) == 0 {
				t.uses[i] = slices.DeleteFunc(used, func(m string) bool { return !slices.Contains(t.parts[1].serving, m) })
			}
		}
	}
	return t
}

func (s *Scene) instance(machine, program string) (Instance, bool) {
	m := s.Machine(machine)
	if m == nil || m.Program(program) == nil {
		return Instance{}, false
	}
	return Instance{m.Program(program), m}, true
}

// nodes leaves the load balancers out.
func (t tolerance) nodes() tolerance { return tolerance{t.parts[:2], t.uses} }

// number is how many machines may fail at once, whichever they are, with the API
// still served: -1 where it is not served now. It is known where all parts are, or
// where one of them bears none.
func (t tolerance) number() (n int, known bool) {
	complete := true
	for _, p := range t.parts {
		switch {
		case !p.known():
			complete = complete && p.outside
		case !known || p.tolerated() < n:
			n, known = p.tolerated(), true
		}
	}
	if !known || n > 0 && !complete {
		return 0, false
	}
	for k := 1; k <= min(n, searched); k++ {
		if !t.survives(k, nil, t.machines()) {
			return k - 1, true
		}
	}
	return max(n, -1), true
}

// searched bounds the search for machines that only together end service: as many
// as etcd bears with the seven members that it should have at most.
const searched = 3

// survives tells whether service outlives the failure of any n of the machines
// beside those that have failed.
func (t tolerance) survives(n int, failed, machines []string) bool {
	if n == 0 {
		return t.serves(failed)
	}
	for i, m := range machines {
		if !t.survives(n-1, append(slices.Clone(failed), m), machines[i+1:]) {
			return false
		}
	}
	return true
}

func (t tolerance) machines() []string {
	var out []string
	for _, p := range t.parts {
		out = append(out, p.serving...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// serves tells whether enough of each part is left without the failed machines. An
// API server goes with the last etcd member that it uses.
func (t tolerance) serves(failed []string) bool {
	gone := func(m string) bool { return slices.Contains(failed, m) }
	for i, p := range t.parts {
		left := 0
		for _, m := range p.serving {
			used := t.uses[m]
			alone := i == 0 && len(used) > 0 && !slices.ContainsFunc(used, func(e string) bool { return !gone(e) })
			if !gone(m) && !alone {
				left++
			}
		}
		if p.known() && left < p.needed {
			return false
		}
	}
	return true
}

// singlePoints are the machines whose failure alone would end service.
func (t tolerance) singlePoints() []string {
	if !t.serves(nil) {
		return nil
	}
	return slices.DeleteFunc(t.machines(), func(m string) bool { return t.serves([]string{m}) })
}

func (t tolerance) byPart() map[string]int {
	out := map[string]int{}
	for _, p := range t.parts {
		if p.known() {
			out[p.name] = max(p.tolerated(), -1)
		}
	}
	return out
}
