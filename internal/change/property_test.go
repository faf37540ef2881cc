package change

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A world carries the steps of a plan out in a model of etcd and of machines. Each
// step first looks whether it is allowed, as apply does.
type world struct {
	in    Input
	next  uint64
	own   map[string]bool   // API servers that ask machines of etcd's own; others ask the member beside them
	votes map[string]*votes // by control-plane node with a load balancer
	holds string            // who of these has the address; "" where nobody does
	// unseen are the API servers that started, and to which nobody has seen somebody else's load balancer lead since.
	unseen map[string]bool
	// disk and runs are the API servers that a worker's own load balancer has in its configuration, and goes by.
	disk, runs map[string][]string
	has        map[string][]string // container images, by node
}

// tellLocal follows what workers' own load balancers know.
func (w *world) tellLocal(t *rapid.T, s Step, n topology.Node) {
	if n.Role != spec.RoleWorker {
		return
	}
	m, local, now := w.in.Observed.Machines[n.Name], w.in.Wanted.BalancesLocally(n), s.Backends
	if now == nil {
		now = nodeNames(w.in.Wanted.ControlPlane())
	}
	forget := func() {
		delete(w.disk, n.Name)
		delete(w.runs, n.Name)
		delete(m.Units, "haproxy")
	}
	seen := func() {
		f := localConfig(now)
		m.Files[f.Path] = fileset.State{Mode: f.Mode, Owner: "root", Sum: f.Sum()}
		w.disk[n.Name] = now
	}
	switch s.Verb {
	case CreateMachine, RemoveMachine:
		forget()
	case StartMachine:
		if forget(); local {
			w.disk[n.Name], w.runs[n.Name] = now, now
			m.Units["haproxy"] = observed.Unit{Active: true, Config: "new"}
		}
	case WriteFiles:
		if !local {
			forget()
			return
		}
		if seen(); m.Units["haproxy"].Active && !slices.Equal(w.runs[n.Name], now) { // until it reads that
			m.Units["haproxy"] = observed.Unit{Active: true, Config: "old"}
		}
	case SetBackends:
		if !m.Running {
			return // it is not told
		}
		if !local {
			t.Fatalf("%s tells a worker that has no load balancer", s.ID)
		}
		if !strings.Contains(m.Manifest, "/haproxy.service") {
			t.Fatalf("%s starts what nobody would take away", s.ID)
		}
		seen()
		w.runs[n.Name], m.Units["haproxy"] = now, observed.Unit{Active: true, Config: "new"}
	case Stop:
		if all(s.Units) || slices.Contains(s.Units, "haproxy") {
			delete(w.runs, n.Name)
			delete(m.Units, "haproxy")
		}
	case Start, Restart, Reload:
		if local && (all(s.Units) || slices.Contains(s.Units, "haproxy")) {
			w.runs[n.Name] = w.disk[n.Name]
		}
	}
}

// votes are what the load balancer of a control-plane node goes by, as package lease has it: what it was told last, and what before until all
// of the last go by that too. A new one waits until all others of a list go by that. They are kept on its disk.
type votes struct {
	lists   [][]string // the newest first
	fresh   bool       // may not have the address yet
	stopped bool
}

func controlPlaneOf(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !strings.HasPrefix(name, "cp-") })
}

// tell follows by whose votes load balancers on control-plane nodes go, and reports whether the step told one.
func (w *world) tell(s Step) bool {
	n, _ := w.in.Wanted.Node(s.Node)
	if n.Name == "" {
		n = nodeIn(w.in.Record, s.Node)
	}
	if !w.in.Wanted.Balances(n) || n.Role != spec.RoleControlPlane {
		return false
	}
	now := s.Balancers
	if now == nil {
		now = nodeNames(w.in.Wanted.ControlPlane())
	}
	starts := (s.Verb == Start || s.Verb == Restart) && (all(s.Units) || slices.Contains(s.Units, "keepalived"))
	switch {
	case s.Verb == SetBackends:
		m := w.in.Observed.Machines[s.Node]
		if m.Units == nil {
			m.Units = map[string]observed.Unit{}
		}
		for _, unit := range render.BalancerUnits {
			m.Units[unit] = observed.Unit{Active: true, Config: "new"}
		}
		whole := healthy(w.in.Wanted).Observed.Machines[s.Node]
		for path := range w.in.Desired[s.Node].Balancer().Files {
			if m.Files != nil {
				is := whole.Files[path]
				if !slices.Equal(now, nodeNames(w.in.Wanted.ControlPlane())) {
					is.Sum = "of others"
				}
				m.Files[path] = is
			}
		}
		w.in.Observed.Machines[s.Node] = m
		w.told(s.Node, now)
	case starts:
		w.told(s.Node, now)
	case s.Verb == Stop && all(s.Units):
		for _, unit := range render.BalancerUnits {
			delete(w.in.Observed.Machines[s.Node].Units, unit)
		}
		if v := w.votes[s.Node]; v != nil {
			v.stopped = true
		}
	case s.Verb == RemoveMachine, s.Verb == CreateMachine:
		for _, unit := range render.BalancerUnits {
			delete(w.in.Observed.Machines[s.Node].Units, unit)
		}
		delete(w.votes, s.Node)
	}
	return s.Verb == SetBackends || starts
}

func (w *world) told(node string, of []string) {
	of = slices.Sorted(slices.Values(of))
	v := w.votes[node]
	if v == nil {
		v = &votes{fresh: true}
		w.votes[node] = v
	}
	if v.stopped = false; v.fresh {
		v.lists = nil
	}
	v.lists = append([][]string{of}, slices.DeleteFunc(v.lists, func(l []string) bool { return slices.Equal(l, of) })...)
	for changed := true; changed; {
		changed = false
		names := slices.Sorted(maps.Keys(w.votes))
		for _, name := range names {
			v := w.votes[name]
			if !v.fresh && len(v.lists) > 1 && w.agreed(name, v.lists[0]) {
				v.lists, changed = v.lists[:1], true
			}
			if v.fresh {
				for _, other := range names {
					o := w.votes[other]
					if l := o.lists[0]; (other == name || !o.fresh) && slices.Contains(l, name) && w.agreed(name, l) {
						v.fresh, changed = false, true
						if !slices.Equal(v.lists[0], l) {
							v.lists = append(v.lists, l)
						}
						break
					}
				}
			}
		}
	}
}

// lead fails the test where a step counts on other API servers before somebody else's load balancer was seen to lead to those that stay,
// and follows to which it was.
func (w *world) lead(t *rapid.T, s Step, n topology.Node) {
	if !w.in.Wanted.ExternalBalancer() {
		return
	}
	for _, other := range w.in.Record {
		_, stays := w.in.Wanted.Node(other.Name)
		if s.Guard.OtherAPIServers && other.Name != s.Node && stays && other.State == Active && w.in.Observed.APIServers[other.Name].Ready && w.unseen[other.Name] {
			t.Fatalf("%s comes before the load balancer was seen to lead to %s", s.ID, other.Name)
		}
	}
	switch s.Verb {
	case Start, Restart, Serve:
		if actsOnAPIServer(s, n) {
			w.unseen[s.Node] = true
		}
	case RestoreBackend:
		delete(w.unseen, s.Node)
	case CheckBalancer:
		for _, node := range s.Backends {
			delete(w.unseen, node)
		}
	case SetBackends:
		if !w.in.Wanted.BalancesLocally(n) {
			t.Fatalf("%s tells a load balancer that is somebody else's", s.ID)
		}
	}
}

// agreed reports whether all others of a list go by that.
func (w *world) agreed(node string, list []string) bool {
	return !slices.ContainsFunc(list, func(b string) bool {
		return b != node && (w.votes[b] == nil || !slices.Equal(w.votes[b].lists[0], list))
	})
}

// oneHolds fails the test where two load balancers may have the address at once: by lists of which each may have a majority without the other.
func (w *world) oneHolds(t *rapid.T, after Step) {
	for a, one := range w.votes {
		for b, other := range w.votes {
			meet := func(x []string) bool {
				return slices.ContainsFunc(other.lists, func(y []string) bool { return w.meet(x, y) })
			}
			if a < b && w.mayHold(a) && w.mayHold(b) && !slices.ContainsFunc(one.lists, meet) {
				t.Fatalf("after %s both may have the address: %s by %v, %s by %v", after.ID, a, one.lists, b, other.lists)
			}
		}
	}
}

// mayHold reports whether a load balancer may have the address: also one whose machine is off, for it may come back by itself, or only not be
// reached, and one whose programs were stopped, which start with the machine.
func (w *world) mayHold(node string) bool {
	return w.in.Observed.Machines[node].Made && !w.votes[node].fresh
}

// votesNow reports whether a load balancer votes.
func (w *world) votesNow(node string) bool {
	v := w.votes[node]
	return v != nil && !v.stopped && w.in.Observed.Machines[node].Running
}

// majority reports whether most of a list vote.
func (w *world) majority(list []string) bool {
	vote := slices.DeleteFunc(slices.Clone(list), func(b string) bool { return !w.votesNow(b) })
	return len(vote) > len(list)/2
}

// takes reports whether a load balancer can have the address. One that has it goes on by what it was told before until the newest list is for it too.
func (w *world) takes(node string) bool {
	v := w.votes[node]
	if !w.votesNow(node) || v.fresh {
		return false
	}
	return w.holds == node && w.majority(v.lists[len(v.lists)-1]) || !slices.ContainsFunc(v.lists, func(l []string) bool { return !w.majority(l) })
}

// takesFrom is who can take the address from a node; "" where nobody can.
func (w *world) takesFrom(node string) string {
	for _, b := range slices.Sorted(maps.Keys(w.votes)) {
		if b != node && w.takes(b) {
			return b
		}
	}
	return ""
}

// seen has the next plan know of load balancers what can be seen of them.
func (w *world) seen() {
	if w.holds == "" || !w.takes(w.holds) {
		w.holds = w.takesFrom("")
	}
	for _, n := range w.in.Record {
		if w.in.Wanted.LBKind == spec.OnControlPlane && n.Role == spec.RoleControlPlane {
			v := w.votes[n.Name]
			fresh := w.in.Observed.Machines[n.Name].Running && (v == nil || v.fresh)
			w.in.Observed.Balancers[n.Name] = observed.Balancer{Seen: true, Address: observed.Address{New: fresh, Held: w.holds == n.Name}}
		}
	}
}

// lacksLeaver reports whether the load balancer of a node that leaves, and is alive, does not run: where it is missing for a majority somebody has to
// start it, or to keep the node, which mends it.
func (w *world) lacksLeaver() bool {
	return slices.ContainsFunc(w.in.Record, func(n Node) bool {
		return n.State == Leaving && w.in.Wanted.Balances(n.Node) && w.in.Observed.Machines[n.Name].Running && !w.votesNow(n.Name)
	})
}

// waits reports whether a step cannot begin yet, or end: the address is handed over to one that can have it, a node is counted on when its load
// balancer could, and one that is told is well when anybody has the address.
func (w *world) waits(s Step, told bool) bool {
	switch v := w.votes[s.Node]; {
	case s.Verb == MoveAddress:
		return w.takesFrom(s.Node) == ""
	case s.Verb == Activate:
		return v != nil && (v.fresh || !w.votesNow(s.Node))
	}
	return told && w.holds == ""
}

// meet reports whether any two majorities have a voter in common, of those that vote, or may when their machine is there again.
func (w *world) meet(x, y []string) bool {
	only, both := map[bool]int{}, 0
	for _, name := range x {
		switch {
		case w.votes[name] == nil || !w.in.Observed.Machines[name].Made:
		case slices.Contains(y, name):
			both++
		default:
			only[true]++
		}
	}
	for _, name := range y {
		if w.votes[name] != nil && w.in.Observed.Machines[name].Made && !slices.Contains(x, name) {
			only[false]++
		}
	}
	return max(len(x)/2+1-only[true], 0)+max(len(y)/2+1-only[false], 0) > both
}

func (w *world) member(name string) *observed.Member {
	for i := range w.in.Observed.Etcd.Members {
		m := &w.in.Observed.Etcd.Members[i]
		n, ok := w.in.Wanted.Node(name)
		if !ok {
			n = nodeIn(w.in.Record, name)
		}
		if m.Name == name || slices.Contains(m.PeerURLs, n.EtcdPeerURL()) {
			return m
		}
	}
	return nil
}

func (w *world) do(s Step) {
	n, _ := w.in.Wanted.Node(s.Node)
	e := &w.in.Observed.Etcd
	if (s.Verb == Start || s.Verb == Restart) && actsOnAPIServer(s, n) {
		if w.own == nil {
			w.own = map[string]bool{}
		}
		w.own[s.Node] = w.in.Wanted.ExternalEtcd()
	}
	switch s.Verb {
	case Serve:
		w.in.Observed.APIServers[s.Node] = observed.APIServer{Ready: true}
		if member := w.member(s.Node); member != nil {
			member.Healthy, member.Error = true, ""
		}
	case Stop:
		if _, there := w.in.Observed.APIServers[s.Node]; there && (all(s.Units) || slices.Contains(s.Units, "kube-apiserver")) {
			w.in.Observed.APIServers[s.Node] = observed.APIServer{Error: "stopped"}
		}
	case RemoveData:
		m := w.in.Observed.Machines[s.Node]
		m.EtcdData = false
		w.in.Observed.Machines[s.Node] = m
	case CreateMachine, StartMachine:
		made := healthy(w.in.Wanted).Observed.Machines[s.Node]
		if s.Verb == CreateMachine {
			made.Files, made.Units = nil, nil
			w.set(s.Node, Joining)
		}
		w.in.Observed.Machines[s.Node] = made
	case RemoveMachine:
		w.in.Observed.Machines[s.Node] = observed.Machine{}
		if i := w.record(s.Node); w.in.Record[i].State != Joining {
			w.in.Record[i].State, w.in.Record[i].Rejoin = Leaving, true
		}
	case WriteFiles, Restart, Reload, Start:
		m := w.in.Observed.Machines[s.Node]
		whole := healthy(w.in.Wanted).Observed.Machines[s.Node]
		if s.Verb == WriteFiles {
			m.Files, m.Manifest = whole.Files, whole.Manifest
		} else {
			if m.Units == nil {
				m.Units = map[string]observed.Unit{}
			}
			for name, u := range whole.Units {
				if all(s.Units) || slices.Contains(s.Units, name) {
					m.Units[name] = u
				}
			}
			m.EtcdData = m.EtcdData || slices.Contains(s.Units, "etcd")
			if member := w.member(s.Node); member != nil && (all(s.Units) || slices.Contains(s.Units, "etcd")) {
				member.Name, member.Healthy, member.Error = s.Node, true, ""
			}
			if n.Role == spec.RoleControlPlane && (all(s.Units) || slices.Contains(s.Units, "kube-apiserver")) {
				w.in.Observed.APIServers[s.Node] = observed.APIServer{Ready: true}
			}
		}
		w.in.Observed.Machines[s.Node] = m
	case AddMember:
		if w.member(s.Node) == nil {
			w.next++
			e.Members = append(e.Members, observed.Member{ID: 100 + w.next, PeerURLs: []string{n.EtcdPeerURL()}, Learner: true})
		}
	case PromoteMember:
		w.member(s.Node).Learner = false
	case RemoveMember:
		old := w.member(s.Node)
		if old != nil {
			id, led := old.ID, old.Leader
			e.Members = slices.DeleteFunc(e.Members, func(m observed.Member) bool { return m.ID == id })
			if led && len(e.Members) > 0 {
				e.Members[0].Leader = true
			}
		}
	case Activate:
		w.set(s.Node, Active)
	case Forget:
		w.in.Record = slices.DeleteFunc(w.in.Record, func(n Node) bool { return n.Name == s.Node })
	}
}

func (w *world) record(name string) int {
	return slices.IndexFunc(w.in.Record, func(n Node) bool { return n.Name == name })
}

func (w *world) set(name string, state State) {
	if i := w.record(name); i >= 0 {
		w.in.Record[i].State, w.in.Record[i].Rejoin = state, false
		return
	}
	n, _ := w.in.Wanted.Node(name)
	w.in.Record = append(w.in.Record, Node{Node: n, State: state})
}

// Whatever the cluster is like and whatever is wanted, no plan passes a state with
// fewer healthy voters than quorum where it began with quorum; carried out, cut off
// anywhere and planned again, it ends in what was wanted. A cluster that is well takes any change.
func TestNoPlanLosesQuorum(t *testing.T) {
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		was := rapid.Bool().Draw(t, "external etcd")
		external := was != rapid.SampledFrom([]bool{false, false, true}).Draw(t, "etcd moves")
		kind := rapid.SampledFrom([]spec.BalancerKind{spec.Dedicated, spec.OnControlPlane, spec.ExternalBalancer}).Draw(t, "load balancers")
		from, to := drawNodes(t, kind, was, "from"), drawNodes(t, kind, external, "to")
		had, have := rapid.Bool().Draw(t, "workers had load balancers"), rapid.Bool().Draw(t, "workers have load balancers")
		in := becomeLocal(outer, kind, from, to, had, have)
		in.Moving = external && !was
		in.OneByOne = rapid.Bool().Draw(t, "one by one")
		well := true
		for _, name := range from {
			kind := rapid.SampledFrom([]string{"well", "well", "well", "off", "gone", "unready", "learner", "nameless", "other flags", "balances no more"}).Draw(t, name)
			well = well && (kind == "well" || kind == "other flags")
			switch kind {
			case "off":
				dies(&in, name, false)
			case "gone":
				dies(&in, name, true)
				in.Replace = append(in.Replace, name)
			case "balances no more":
				for _, unit := range render.BalancerUnits {
					if strings.HasPrefix(name, "cp-") {
						delete(in.Observed.Machines[name].Units, unit)
					}
				}
			case "unready":
				in.Observed.APIServers[name] = observed.APIServer{Error: "refused"}
			case "learner":
				if m := (&world{in: in}).member(name); m != nil {
					m.Learner, m.Leader = true, false
				}
			case "nameless":
				if m := (&world{in: in}).member(name); m != nil {
					m.Name, m.Healthy = "", false
				}
			case "other flags":
				for u, state := range in.Observed.Machines[name].Units {
					state.Config = "old"
					in.Observed.Machines[name].Units[u] = state
				}
			}
		}
		if rapid.Bool().Draw(t, "replace") {
			in.Replace = append(in.Replace, rapid.SampledFrom(from).Draw(t, "replaced"))
			well = false
		}
		w := &world{in: in, own: map[string]bool{}, votes: map[string]*votes{}, unseen: map[string]bool{}, disk: map[string][]string{}, runs: map[string][]string{}}
		for _, n := range in.Record {
			if n.Role == spec.RoleWorker && had && in.Observed.Machines[n.Name].Running {
				w.disk[n.Name], w.runs[n.Name] = controlPlaneOf(from), controlPlaneOf(from)
			}
		}
		if kind == spec.OnControlPlane {
			for _, n := range in.Record {
				if n.Role == spec.RoleControlPlane && in.Observed.Machines[n.Name].Made {
					m := in.Observed.Machines[n.Name]
					w.votes[n.Name] = &votes{lists: [][]string{slices.Sorted(slices.Values(controlPlaneOf(from)))}, stopped: m.Running && !m.Units["keepalived"].Active}
				}
			}
		}
		for _, name := range from {
			w.own[name] = was
			if m := w.member(name); m != nil && strings.HasPrefix(name, "cp-") {
				machine := w.in.Observed.Machines[name]
				machine.EtcdData = true
				w.in.Observed.Machines[name] = machine
			}
		}
		w.seen()
		began := in.Observed.Etcd.Voting().HasQuorum()
		w.in.Observed.Etcd.Quorum = began
		for range 5 { // each round is cut off somewhere, but the last
			c, err := Plan(w.in)
			var refused *Refused
			var lost *LostError
			if errors.As(err, &refused) || errors.As(err, &lost) {
				if well { // nothing stands in the way of any change
					t.Fatalf("refused on a cluster that is well: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if c.Nothing() && began {
				w.arrived(t)
			}
			if c.Nothing() {
				return
			}
			w.begin()
			stop := rapid.IntRange(1, 2*len(c.Steps)).Draw(t, "cut off")
			w.walk(t, c, stop, began, well)
			w.in.Resumed = true
			if rapid.IntRange(0, 3).Draw(t, "something else is wanted then") == 0 {
				from, to, had, have = to, from, have, had
				w.in.Wanted = wantedOf(outer, kind, to...)
				w.in.Wanted.NodeLocal = have
				w.in.Desired, w.in.Moving = desired(w.in.Wanted), w.in.Wanted.ExternalEtcd()
			}
		}
		for range 3 { // what waits for a machine that is off may have to be asked for once more
			c, err := Plan(w.in)
			if err != nil {
				return
			}
			w.begin()
			if w.walk(t, c, len(c.Steps), began, well) {
				if began {
					w.arrived(t)
				}
				return
			}
		}
		if w.holds != "" || !w.lacksLeaver() {
			t.Fatal("it never gets there")
		}
	})
}

// begin writes down who leaves, as whoever carries a change out does first.
func (w *world) begin() {
	for i := range w.in.Record {
		n := &w.in.Record[i]
		if _, ok := w.in.Wanted.Node(n.Name); !ok {
			n.State = Leaving
		}
		if slices.Contains(w.in.Replace, n.Name) {
			n.State, n.Rejoin = Leaving, true
		}
	}
	w.in.Replace = nil
}

func drawNodes(t *rapid.T, kind spec.BalancerKind, external bool, label string) []string {
	var out []string
	if kind == spec.Dedicated {
		out = append(out, "lb-1")
	}
	add := func(prefix string, least, most int) {
		for _, i := range rapid.SliceOfNDistinct(rapid.IntRange(1, 7), least, most, rapid.ID).Draw(t, label+" "+prefix) {
			out = append(out, fmt.Sprintf("%s-%d", prefix, i))
		}
	}
	add("cp", 1, 5)
	add("worker", 1, 3)
	if external {
		add("etcd", 1, 5)
	}
	return out
}

// walk does steps of a plan, each only where its guard allows it, in an order that apply may do
// them in: it begins whatever has all that it needs, side by side. It reports whether it did all: it ends where each that is left waits for others.
func (w *world) walk(t *rapid.T, c *Change, steps int, began, well bool) bool {
	done := map[string]bool{}
	for _, s := range c.Steps {
		for _, need := range s.Needs {
			if !done[need] {
				t.Fatalf("%s comes before %s, which it needs", s.ID, need)
			}
		}
		done[s.ID] = true
	}
	clear(done)
	begun := map[string]Step{} // and wait
	for range min(steps, len(c.Steps)) {
		var ready, stop []Step
		for id, s := range begun {
			if done[id] = !w.waits(s, true); done[id] {
				delete(begun, id)
			}
		}
		blocked := len(begun) > 0
		for _, s := range c.Steps {
			if _, waits := begun[s.ID]; waits || done[s.ID] || slices.ContainsFunc(s.Needs, func(need string) bool { return !done[need] }) {
				continue
			}
			if w.waits(s, false) {
				blocked = true
				continue
			}
			ready = append(ready, s)
			if s.Guard.Etcd == OpStop && s.Verb == Restart {
				stop = append(stop, s)
			}
		}
		if len(ready) == 0 && blocked {
			return false
		}
		if len(ready) == 0 {
			t.Fatalf("nothing can be done after %v of %v", done, c.Steps)
		}
		if len(stop) > 1 {
			t.Fatalf("%s and %s stop members at the same time", stop[0].ID, stop[1].ID)
		}
		s := rapid.SampledFrom(ready).Draw(t, "next")
		told := w.step(t, s, began)
		if well {
			w.asked(t, s)
			w.leadsSomewhere(t, s)
		}
		if done[s.ID] = true; w.waits(s, told) {
			done[s.ID], begun[s.ID] = false, s
		}
	}
	return steps >= len(c.Steps) && !(len(begun) > 0 && w.holds == "")
}

// step does one, and reports whether it told a load balancer on a control-plane node who the others are.
func (w *world) step(t *rapid.T, s Step, began bool) bool {
	n, _ := w.in.Wanted.Node(s.Node)
	if n.Name == "" {
		n = nodeIn(w.in.Record, s.Node)
	}
	if err := Check(Step{ID: s.ID, Node: s.Node, Guard: Guard{Etcd: s.Guard.Etcd}}, n, w.in.Observed); err != nil {
		t.Fatalf("planned, and refused when it comes to it: %v", err)
	}
	if s.Guard.Etcd == OpStop && s.Verb == Restart {
		id := w.member(s.Node).ID
		if v := w.in.Observed.Etcd.Voting(); v.Voters() > 2 && began && !v.Stop(id).HasQuorum() {
			t.Fatalf("%s takes quorum: %v", s.ID, v)
		}
	}
	if s.Verb == WriteFiles && w.in.Wanted.ExternalEtcd() && n.Role == spec.RoleControlPlane && w.member(s.Node) != nil {
		t.Fatalf("%s takes the files of etcd from under a member", s.ID)
	}
	w.lead(t, s, n)
	w.do(s)
	told := w.tell(s)
	w.tellLocal(t, s, n)
	if s.Verb == MoveAddress && w.holds == s.Node {
		w.holds = w.takesFrom(s.Node)
	}
	w.seen()
	w.oneHolds(t, s)
	if v := w.in.Observed.Etcd.Voting(); began && !v.HasQuorum() {
		t.Fatalf("no quorum after %s: %v", s.ID, v)
	}
	return told
}

// asked fails the test where an API server that serves asks nobody who votes, or where none serves.
func (w *world) asked(t *rapid.T, after Step) {
	serving, all := 0, 0
	for node, a := range w.in.Observed.APIServers {
		if !w.in.Observed.Machines[node].Running {
			continue
		}
		all++
		if !a.Ready {
			continue
		}
		serving++
		if m := w.member(node); !w.own[node] && (m == nil || m.Learner || !m.Healthy) {
			t.Fatalf("after %s the API server of %s asks the member beside it: %+v", after.ID, node, m)
		}
		votes := func(m observed.Member) bool { return strings.HasPrefix(m.Name, "etcd-") && !m.Learner && m.Healthy }
		if w.own[node] && !slices.ContainsFunc(w.in.Observed.Etcd.Members, votes) {
			t.Fatalf("after %s the API server of %s asks machines of etcd's own, and none has a voter", after.ID, node)
		}
	}
	if serving == 0 && all > 1 {
		t.Fatalf("after %s no API server serves", after.ID)
	}
}

// leadsSomewhere fails the test where API servers serve, and a worker's own load balancer knows of none of them.
func (w *world) leadsSomewhere(t *rapid.T, after Step) {
	serves := func(node string) bool {
		return w.in.Observed.APIServers[node].Ready && w.in.Observed.Machines[node].Running
	}
	var serving []string
	for node := range w.in.Observed.APIServers {
		if serves(node) {
			serving = append(serving, node)
		}
	}
	for worker, knows := range w.runs {
		if len(serving) > 0 && !slices.ContainsFunc(knows, serves) {
			t.Fatalf("after %s the load balancer of %s leads to %v, and %v serve", after.ID, worker, knows, serving)
		}
	}
}

func nodeIn(record []Node, name string) (out topology.Node) {
	for _, n := range record {
		if n.Name == name {
			return n.Node
		}
	}
	return out
}

// arrived fails the test unless the nodes and members are those that are wanted.
func (w *world) arrived(t *rapid.T) {
	var have, members []string
	for _, n := range w.in.Wanted.Nodes {
		if n.Role != spec.RoleWorker {
			continue
		}
		var knows []string
		if w.in.Wanted.NodeLocal {
			knows = nodeNames(w.in.Wanted.ControlPlane())
		}
		if !slices.Equal(w.runs[n.Name], knows) {
			t.Fatalf("the load balancer of %s goes by %v at the end, want %v", n.Name, w.runs[n.Name], knows)
		}
	}
	for _, n := range w.in.Record {
		if n.Role == spec.RoleControlPlane && w.in.Wanted.ExternalEtcd() && w.in.Observed.Machines[n.Name].EtcdData {
			t.Fatalf("data of etcd's is left on %s", n.Name)
		}
		if n.State != Active {
			t.Fatalf("%s is %s at the end", n.Name, n.State)
		}
		have = append(have, n.Name)
	}
	var want, wantMembers []string
	for _, n := range w.in.Wanted.Nodes {
		want = append(want, n.Name)
	}
	for _, n := range w.in.Wanted.EtcdMembers() {
		wantMembers = append(wantMembers, n.Name)
	}
	for _, m := range w.in.Observed.Etcd.Members {
		members = append(members, m.Name)
		if m.Learner {
			t.Fatalf("%s is a learner at the end", m.Name)
		}
	}
	for _, list := range [][]string{have, want, members, wantMembers} {
		slices.Sort(list)
	}
	if !slices.Equal(have, want) || !slices.Equal(members, wantMembers) {
		t.Fatalf("nodes %v, want %v; members %v, want %v", have, want, members, wantMembers)
	}
}
