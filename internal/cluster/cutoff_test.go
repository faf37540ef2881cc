package cluster

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/spec"
)

// The kinds of changes that may be cut off, by what has begun them.
var cutOffChanges = map[string]struct {
	change   store.Change
	rotation *store.Rotation
	hint     string
}{
	"node remove": {store.Change{Replace: []string{"cp-2"}}, nil, "haplane apply --cluster demo goes on from there, and with --abort it goes back"},
	"upgrade": {store.Change{Upgrade: &store.Upgrade{From: "v1.36.3", To: "v1.37.2"}, Replace: []string{"cp-1", "cp-2", "worker-1"}}, nil,
		"haplane upgrade --resume --cluster demo goes on from there, haplane upgrade --back --cluster demo returns to v1.36.3"},
	"upgrade --back":     {store.Change{Upgrade: &store.Upgrade{From: "v1.37.2", To: "v1.36.3", Down: true}}, nil, "haplane upgrade --resume --cluster demo goes on from there"},
	"certs renew":        {store.Change{Renew: map[string]string{pki.Scheduler: "1"}}, nil, "haplane apply --cluster demo goes on from there"},
	"etcd defrag":        {store.Change{Task: &store.Task{Kind: change.DefragmentAll}}, nil, "haplane apply --cluster demo goes on from there, and with --abort it goes back"},
	"certs rotate, 1":    {store.Change{}, &store.Rotation{Name: pki.RotateCA, Phase: pki.Trust}, "haplane certs rotate ca --cluster demo goes on from there, haplane apply --abort --cluster demo goes back"},
	"certs rotate, 2":    {store.Change{}, &store.Rotation{Name: pki.RotateCA, Phase: pki.Switch}, "haplane certs rotate ca --cluster demo goes on from there"},
	"between two phases": {store.Change{}, &store.Rotation{Name: pki.RotateCA, Phase: pki.Switch, Proved: true}, "haplane apply --cluster demo goes on from there, and with --abort it goes back"},
}

// A change that was cut off is gone on with by who began it and by who says so, and by nobody else: a renewal or a move of the leader that a timer
// asks for does not go on with an upgrade that stopped.
func TestWhoGoesOnWithAChange(t *testing.T) {
	renews := func(names ...string) Request {
		q := Request{About: aboutCertificates, Renew: map[string]string{}}
		for _, name := range names {
			q.Renew[name] = "2"
		}
		return q
	}
	requests := map[string]Request{
		"apply": {}, "apply -f": {Text: []byte("x")}, "apply --abort": {Abort: true},
		"node, the same": {About: aboutNodes}, "node, more": {About: aboutNodes, Text: []byte("x")},
		"renew, the same": renews(pki.Scheduler), "renew, done": renews(), "renew, more": renews(pki.Scheduler, pki.Flannel),
		"defrag": {About: aboutEtcd, Task: newTask(change.DefragmentAll)}, "move-leader": {About: aboutEtcd, Task: newTask(change.MoveTheLeader)},
	}
	anybody := []string{"apply", "apply -f", "apply --abort"}
	goOn := map[string][]string{"node remove": {"node, the same"}, "between two phases": {"node, the same"}, "certs renew": {"renew, the same", "renew, done"}, "etcd defrag": {"defrag"}}
	applied := must[*spec.Cluster](t)(spec.Parse("test", []byte(commented)))
	for began, c := range cutOffChanges {
		r := &store.Record{Applied: applied, Change: &c.change, Rotation: c.rotation}
		r.Change.Command, r.Change.Started, r.Change.Holder = "haplane "+began, time.Date(2026, 11, 28, 1, 2, 3, 0, time.UTC), "root@host pid 7"
		for name, q := range requests {
			q.Command = "haplane it"
			err := q.mayGoOn(r)
			if slices.Contains(anybody, name) || slices.Contains(goOn[began], name) {
				if err != nil {
					t.Errorf("%s goes on with %s: %v", name, began, err)
				}
				continue
			}
			var refused *change.Refused
			var hinted *HintedError
			want := "haplane it: refused: another change was cut off, and has to end first: haplane " + began + ", begun 2026-11-28 01:02:03 UTC by root@host pid 7"
			if !errors.As(err, &refused) || !errors.As(err, &hinted) || err.Error() != want || hinted.Hint != c.hint {
				t.Errorf("%s after %s: %v, want %s; %s", name, began, err, want, c.hint)
			}
		}
	}
	for name, q := range requests {
		if err := q.mayGoOn(&store.Record{Applied: applied}); err != nil {
			t.Errorf("%s, and nothing was cut off: %v", name, err)
		}
	}
}

// Commands say what they are about, so that newLive refuses them before anything is looked at.
func TestCommandsThatDoNotGoOn(t *testing.T) {
	s := certified(t)
	if err := s.SaveNext(pki.RotateCA, must[pki.Bundle](t)(s.Keys(run(s).rows)).Pairs[pki.CA]); err != nil {
		t.Fatal(err)
	}
	for began, c := range cutOffChanges {
		if err := s.Update(func(r *store.Record) error { r.Change, r.Rotation = &c.change, c.rotation; return nil }); err != nil {
			t.Fatal(err)
		}
		h := opened(t)
		brought, _, err := h.ImportCertificates(nil)
		if err != nil || brought.About != aboutCertificates {
			t.Errorf("import: about %q, %v", brought.About, err)
		}
		for name, q := range map[string]Request{
			"add": must[Request](t)(h.AddNodes(spec.RoleWorker, []string{"worker-2"})), "remove": must[Request](t)(h.RemoveNodes([]string{"worker-1"})),
			"replace --with": must[Request](t)(h.ReplaceNodeWith("cp-2", "cp-7")), "renew": must[Request](t)(h.RenewCertificates([]string{pki.Flannel})),
			"move-leader": must[Request](t)(h.MoveLeader("")), "disarm": h.MakeRoom(),
		} {
			var refused *change.Refused
			if _, err := newLive(q, testOptions(t, s)); !errors.As(err, &refused) {
				t.Errorf("%s after %s: %v", name, began, err)
			}
		}
		if q := h.Defragment(); began != "etcd defrag" {
			var refused *change.Refused
			if _, err := newLive(q, testOptions(t, s)); !errors.As(err, &refused) {
				t.Errorf("defrag after %s: %v", began, err)
			}
		}
	}
}

// In the middle of a change a node is made anew that is not well, which the change may wait for, and no other one.
func TestANodeThatIsLostInTheMiddleOfAChange(t *testing.T) {
	s := applied(t, commented)
	for _, began := range slices.Sorted(maps.Keys(cutOffChanges)) {
		c := cutOffChanges[began]
		if err := s.Update(func(r *store.Record) error { r.Change, r.Rotation = &c.change, c.rotation; return nil }); err != nil {
			t.Fatal(err)
		}
		q := must[Request](t)(opened(t).ReplaceNode("worker-1"))
		if q.About != aboutNodes || !slices.Equal(q.Replace, []string{"worker-1"}) || q.mayGoOn(must[*store.Record](t)(s.Record())) != nil {
			t.Errorf("%s: %+v", began, q)
		}
		l := asked(t, s, q)
		l.seen = observed.State{APISeen: true, Machines: map[string]observed.Machine{"worker-1": {Made: true, Running: true, Reachable: true}}, Nodes: map[string]observed.Node{"worker-1": {Ready: true}}}
		var refused *change.Refused
		if err := l.mends(q.Replace); !errors.As(err, &refused) {
			t.Errorf("%s, and it is well: %v", began, err)
		}
		for what, hurt := range map[string]func(){
			"not Ready":       func() { l.seen.Nodes["worker-1"] = observed.Node{} },
			"does not answer": func() { l.seen.Machines["worker-1"] = observed.Machine{Made: true, Running: true} },
			"gone":            func() { l.seen.Machines = nil },
		} {
			was := l.seen
			l.seen.Machines, l.seen.Nodes = maps.Clone(was.Machines), maps.Clone(was.Nodes)
			if hurt(); l.mends(q.Replace) != nil {
				t.Errorf("%s, and it is %s: refused", began, what)
			}
			l.seen = was
		}
	}
	l := asked(t, s, Request{Wanted: opened(t).Request().Wanted, About: aboutNodes})
	l.seen = observed.State{Machines: map[string]observed.Machine{"cp-1": {Made: true, Running: true, Reachable: true}}, APIServers: map[string]observed.APIServer{"cp-1": {Ready: true}},
		Etcd: observed.Etcd{Seen: true, Members: []observed.Member{{Name: "cp-1", Healthy: true}}}}
	cp1, _ := l.topology.Node("cp-1")
	if !l.well(cp1) {
		t.Error("cp-1 is not well")
	}
	for what, hurt := range map[string]func(*observed.State){
		"its member is sick":        func(s *observed.State) { s.Etcd.Members = []observed.Member{{Name: "cp-1"}} },
		"it is no member any more":  func(s *observed.State) { s.Etcd.Members = nil },
		"its API server is unready": func(s *observed.State) { s.APIServers = map[string]observed.APIServer{"cp-1": {}} },
	} {
		was := l.seen
		if hurt(&l.seen); l.well(cp1) {
			t.Errorf("well although %s", what)
		}
		l.seen = was
	}
}

// The new machine of a node that a change makes anew may be lost too, before the change has ended: the same command makes it anew once more.
func TestANodeThatIsLostAgain(t *testing.T) {
	s := applied(t, commented)
	if err := asked(t, s, must[Request](t)(opened(t).ReplaceNode("worker-1"))).begin(); err != nil {
		t.Fatal(err)
	}
	if err := s.Update(func(r *store.Record) error {
		r.Node("worker-1").State, r.Node("worker-1").Rejoin = store.Active, false
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	e := newEnv(must[*spec.Cluster](t)(s.Cluster()), testOptions(t, s))
	there := func(node string) {
		e.off(t, node)
		for _, f := range []string{"upper", "data/etcd", "data/containerd", "data/kubelet"} {
			if err := os.MkdirAll(filepath.Join(s.Machines(), node, f), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	there("cp-1")
	if q := must[Request](t)(opened(t).ReplaceNode("worker-1")); !slices.Equal(q.Replace, []string{"worker-1"}) {
		t.Errorf("its machine is gone: it asks for %v", q.Replace)
	}
	there("worker-1")
	if q := must[Request](t)(opened(t).ReplaceNode("worker-1")); q.Replace != nil {
		t.Errorf("its machine is there: it asks for %v", q.Replace)
	}
}

// up asks before it goes on with an upgrade, and so the plan says that it is one.
func TestAPlanSaysThatItUpgrades(t *testing.T) {
	for upgrades, u := range map[bool]*Upgrade{true: {From: "v1.36.3", To: "v1.37.2"}, false: nil} {
		s := applied(t, commented)
		l := asked(t, s, Request{Wanted: opened(t).Request().Wanted, Upgrade: u})
		l.change = &change.Change{}
		if got := must[*Plan](t)(l.show(t.Context())).Upgrades(); got != upgrades {
			t.Errorf("upgrades %v, want %v", got, upgrades)
		}
	}
}
