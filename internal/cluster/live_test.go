package cluster

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// testOptions are those of a run without a user.
func testOptions(t *testing.T, s store.Store) Options {
	t.Helper()
	return Options{Store: s, Cache: t.TempDir(), Report: func(Progress) {}, Log: slog.New(slog.DiscardHandler)}
}

// The first bring-up was cut off: there is nothing yet that could be changed.
func TestUnfinishedClusterIsNotChanged(t *testing.T) {
	s := testStore(t)
	c := spec.Default("demo")
	if err := s.Update(func(r *store.Record) error { r.Wanted = c; return nil }); err != nil {
		t.Fatal(err)
	}
	_, err := Apply(t.Context(), Request{Wanted: c}, testOptions(t, s))
	var hinted *HintedError
	if !errors.Is(err, errUnfinished) || !errors.As(err, &hinted) || hinted.Hint != "haplane up --cluster demo finishes it" {
		t.Errorf("error %v", err)
	}
}

// commented is a cluster file as a user writes one: the worker has no name.
const commented = `# ours
apiVersion: haplane/v1alpha1
kind: Cluster
metadata:
  name: demo
spec:
  nodes:
  - name: cp-1 # the first
    role: control-plane
  - name: cp-2
    role: control-plane
  - role: worker # for pods
`

// applied is the store of a cluster that was brought up from a file.
func applied(t *testing.T, text string) store.Store {
	t.Helper()
	s := testStore(t)
	c, err := spec.Parse("test", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(s.SaveClusterText([]byte(text)), s.Update(func(r *store.Record) error {
		r.Applied, r.Nodes = c, nil
		for _, n := range c.Spec.Nodes {
			r.Nodes = append(r.Nodes, store.Node{Name: n.Name, Role: n.Role, Address: n.Address, State: store.Active})
		}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asked is a request as far as a change that is about to begin.
func asked(t *testing.T, s store.Store, q Request) *live {
	t.Helper()
	r, err := s.Record()
	if err != nil {
		t.Fatal(err)
	}
	return &live{env: newEnv(q.Wanted, testOptions(t, s)), Request: q, record: r}
}

func opened(t *testing.T) *Handle {
	t.Helper()
	h, err := Open("demo")
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// Killed between the record and the file, a change goes on with the text that it began with.
func TestTextOfAChangeThatWasCutOff(t *testing.T) {
	s := applied(t, commented)
	q := must[Request](t)(opened(t).AddNodes(spec.RoleWorker, []string{"worker-2"}))
	if err := asked(t, s, q).begin(); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveClusterText([]byte(commented)); err != nil { // as if it had not come to that
		t.Fatal(err)
	}
	again := must[Request](t)(opened(t).AddNodes(spec.RoleWorker, []string{"worker-2"}))
	if names := nodeNames(again.Wanted); !slices.Equal(names, []string{"cp-1", "cp-2", "worker-1", "worker-2", "lb-1"}) || again.Text != nil {
		t.Errorf("nodes %v, text:\n%s", names, again.Text)
	}
	r := must[*store.Record](t)(s.Record())
	if string(r.Change.TextBefore) != commented || string(r.Change.TextAfter) != string(q.Text) {
		t.Errorf("before:\n%s\nafter:\n%s", r.Change.TextBefore, r.Change.TextAfter)
	}
}

// A replacement that was cut off goes on with the node that it had, and with no other.
func TestReplaceWithAfterACut(t *testing.T) {
	s := applied(t, commented)
	if err := asked(t, s, must[Request](t)(opened(t).ReplaceNodeWith("cp-2", "cp-7"))).begin(); err != nil {
		t.Fatal(err)
	}
	for with, ok := range map[string]bool{"": true, "cp-7": true, "cp-9": false} {
		q, err := opened(t).ReplaceNodeWith("cp-2", with)
		if (err == nil) != ok || ok && !slices.Contains(nodeNames(q.Wanted), "cp-7") {
			t.Errorf("with %q: error %v", with, err)
		}
	}
	s = applied(t, commented)
	if err := asked(t, s, must[Request](t)(opened(t).RemoveNodes([]string{"cp-2"}))).begin(); err != nil {
		t.Fatal(err)
	}
	if _, err := opened(t).ReplaceNodeWith("cp-2", "cp-7"); err == nil || !strings.Contains(err.Error(), "nobody joins in its place") {
		t.Errorf("of a node that leaves: error %v", err)
	}
}

// A change whose first step was refused, say, has touched nothing.
func TestPutBackLeavesNoTrace(t *testing.T) {
	s := applied(t, commented)
	was := must[*store.Record](t)(s.Record())
	l := asked(t, s, must[Request](t)(opened(t).RemoveNodes([]string{"cp-2"})))
	if err := errors.Join(l.begin(), l.putBack()); err != nil {
		t.Fatal(err)
	}
	is := must[*store.Record](t)(s.Record())
	is.Serial = was.Serial
	if diff := cmp.Diff(was, is); diff != "" {
		t.Error(diff)
	}
	if text := must[[]byte](t)(s.ClusterText()); string(text) != commented {
		t.Errorf("text:\n%s", text)
	}
}

// Killed between the record and the keys, a node that is gone leaves none behind.
func TestSettleForgetsWhoIsGone(t *testing.T) {
	s := applied(t, commented)
	l := asked(t, s, must[Request](t)(opened(t).RemoveNodes([]string{"cp-2"})))
	l.change = &change.Change{}
	name := pki.EtcdPeer("cp-2")
	keys := pki.Bundle{Pairs: map[string]pki.Pair{name: {Cert: []byte("c"), Key: []byte("k")}}}
	if err := errors.Join(s.SaveKeys(keys, []string{name}), l.begin(), l.settle()); err != nil {
		t.Fatal(err)
	}
	have := must[pki.Bundle](t)(s.Keys([]pki.Row{{Name: name}}))
	if len(have.Pairs) > 0 {
		t.Errorf("kept %v", have.Pairs)
	}
	r := must[*store.Record](t)(s.Record())
	if !slices.Equal(nodeNames(r.Applied), []string{"cp-1", "worker-1", "lb-1"}) || r.Wanted != nil || r.Change != nil {
		t.Errorf("record %+v", r)
	}
}

// A machine whose disk is gone is one that is to be made anew, not one that is off.
func TestMachineWithoutADiskIsGone(t *testing.T) {
	s := applied(t, commented)
	l := asked(t, s, opened(t).Request())
	for name, folders := range map[string][]string{"cp-1": {"upper", "data/etcd", "data/containerd", "data/kubelet"}, "cp-2": {"upper"}} {
		dir := filepath.Join(s.Machines(), name)
		for _, f := range folders {
			if err := os.MkdirAll(filepath.Join(dir, f), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		record := fmt.Sprintf(`{"name":%q,"addresses":["10.10.10.11"],"image":"/image"}`, name)
		if err := errors.Join(os.WriteFile(filepath.Join(dir, "console.log"), nil, 0o600), os.WriteFile(filepath.Join(dir, "machine.json"), []byte(record), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	made, err := l.power()
	if diff := cmp.Diff(map[string]bool{"cp-1": false}, made); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// A cluster that answers has machines, whatever this folder knows of them.
func TestMachinesOfAnotherFolder(t *testing.T) {
	s := applied(t, commented)
	l := asked(t, s, opened(t).Request())
	l.seen = observed.State{APISeen: true, Machines: map[string]observed.Machine{"cp-1": {}}}
	if err := l.plan(t.Context()); err == nil || !strings.Contains(err.Error(), "they were made from another folder") {
		t.Errorf("error %v", err)
	}
	l.seen.Machines["cp-1"] = observed.Machine{Made: true, Running: true}
	if err := l.ours(); err != nil {
		t.Error(err)
	}
	l.seen.Balancers = map[string]observed.Balancer{"lb-1": {Seen: true, Servers: map[string]bool{"cp-9": true}}}
	l.seen.Machines["cp-1"] = observed.Machine{Made: true}
	if err := errors.Join(l.newest(t.Context()), l.plan(t.Context())); err == nil || strings.Count(err.Error(), "does not know server cp-9 of lb-1: it is older than the cluster") != 2 {
		t.Errorf("error %v", err)
	}
}

// A record that is older than the cluster would take back what somebody did with a newer one.
func TestStrangers(t *testing.T) {
	nodes := []change.Node{{Node: topology.NewNode("cp-1", spec.RoleControlPlane, "10.10.10.11")}, {Node: topology.NewNode("cp-2", spec.RoleControlPlane, "10.10.10.12"), State: change.Joining}}
	known := observed.State{
		Etcd: observed.Etcd{Quorum: true, Members: []observed.Member{{ID: 1, Name: "cp-1", PeerURLs: []string{"https://10.10.10.11:2380"}},
			{ID: 2, PeerURLs: []string{"https://10.10.10.12:2380"}, Learner: true}}},
		Balancers: map[string]observed.Balancer{"lb-1": {Seen: true, Servers: map[string]bool{"cp-1": true}}},
	}
	if got := strangers(nodes, known); len(got) > 0 {
		t.Errorf("of a cluster that the record knows: %v", got)
	}
	known.Etcd.Members = append(known.Etcd.Members, observed.Member{ID: 171, Name: "cp-4", PeerURLs: []string{"https://10.10.10.14:2380"}}, observed.Member{ID: 172, PeerURLs: []string{"https://10.10.10.15:2380"}})
	known.Balancers["lb-1"].Servers["cp-4"] = false
	want := []string{"etcd member cp-4 at https://10.10.10.14:2380", "etcd member ac at https://10.10.10.15:2380", "server cp-4 of lb-1"}
	if d := cmp.Diff(want, strangers(nodes, known)); d != "" {
		t.Error(d)
	}
	known.Etcd.Quorum = false
	if d := cmp.Diff(want[2:], strangers(nodes, known)); d != "" {
		t.Errorf("of what members remember: %s", d)
	}
}

// Two commands began at the same time: the one that comes second would undo the first.
func TestRequestOfBeforeAnotherChangeIsRefused(t *testing.T) {
	s := applied(t, commented)
	first := must[Request](t)(opened(t).AddNodes(spec.RoleWorker, []string{"worker-2"}))
	second := must[Request](t)(opened(t).AddNodes(spec.RoleWorker, []string{"worker-3"}))
	l := asked(t, s, first)
	l.change = &change.Change{}
	if err := errors.Join(l.begin(), l.settle()); err != nil {
		t.Fatal(err)
	}
	_, err := Apply(t.Context(), second, testOptions(t, s))
	if err == nil || err.Error() != "cluster demo was changed by another haplane just now" {
		t.Errorf("error %v", err)
	}
}
