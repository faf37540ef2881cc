package cluster

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/spec"
)

func TestRequestsKeepTheUsersText(t *testing.T) {
	tests := map[string]struct {
		ask   func(*Handle) (Request, error)
		nodes []string
		text  []string // in this order
	}{
		"add with names": {
			func(h *Handle) (Request, error) { return h.AddNodes(spec.RoleControlPlane, []string{"cp-4", "cp-5"}) },
			[]string{"cp-1", "cp-2", "cp-4", "cp-5", "worker-1", "lb-1"},
			[]string{"# ours", "name: cp-1 # the first", "name: cp-4", "name: cp-5", "role: worker # for pods"},
		},
		"add with a name by default": {
			func(h *Handle) (Request, error) { return h.AddNodes(spec.RoleWorker, nil) },
			[]string{"cp-1", "cp-2", "worker-1", "worker-2", "lb-1"}, []string{"# ours", "# the first", "# for pods", "name: worker-2"},
		},
		"remove the first": {
			func(h *Handle) (Request, error) { return h.RemoveNodes([]string{"cp-1"}) },
			[]string{"cp-2", "worker-1", "lb-1"}, []string{"# ours", "name: cp-2", "# for pods"},
		},
		"replace with a name": {
			func(h *Handle) (Request, error) { return h.ReplaceNodeWith("cp-1", "cp-9") },
			[]string{"cp-9", "cp-2", "worker-1", "lb-1"}, []string{"# ours", "name: cp-9 # the first"},
		},
		"replace with a name by default": {
			func(h *Handle) (Request, error) { return h.ReplaceNodeWith("worker-1", "") },
			[]string{"cp-1", "cp-2", "worker-2", "lb-1"}, []string{"# ours", "# the first", "# for pods"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			applied(t, commented)
			q, err := test.ask(opened(t))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.nodes, nodeNames(q.Wanted)); diff != "" {
				t.Error(diff)
			}
			rest := string(q.Text)
			for _, part := range test.text {
				_, after, ok := strings.Cut(rest, part)
				if !ok {
					t.Fatalf("no %q, in this order, in\n%s", part, q.Text)
				}
				rest = after
			}
			again, err := spec.ParseFor("again", q.Text, spec.Known{Nodes: q.Wanted.Spec.Nodes, Address: q.Wanted.Spec.LoadBalancer.Address})
			if diff := cmp.Diff(q.Wanted, again); diff != "" || err != nil {
				t.Errorf("the text says another cluster: %v\n%s", err, diff)
			}
		})
	}
}

func TestNodesThatStayKeepNameAndAddress(t *testing.T) {
	applied(t, commented)
	h := opened(t)
	before := h.Request().Wanted
	q, err := h.RemoveNodes([]string{"cp-1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range q.Wanted.Spec.Nodes {
		i := slices.IndexFunc(before.Spec.Nodes, func(o spec.Node) bool { return o.Name == n.Name })
		if i < 0 || before.Spec.Nodes[i] != n {
			t.Errorf("%+v was not there before", n)
		}
	}
}

// cutOff is a store with a change that was begun and ended after some nodes got on.
func cutOff(t *testing.T, ask func(*Handle) (Request, error), got func(*store.Record)) {
	t.Helper()
	s := applied(t, commented)
	l := asked(t, s, must[Request](t)(ask(opened(t))))
	if err := errors.Join(l.begin(), s.Update(func(r *store.Record) error { got(r); return nil })); err != nil {
		t.Fatal(err)
	}
}

// The same command again goes on, however far the change was.
func TestTheSameCommandGoesOn(t *testing.T) {
	state := func(name string, state store.NodeState) func(*store.Record) {
		return func(r *store.Record) { r.Node(name).State, r.Node(name).Rejoin = state, false }
	}
	gone := func(name string) func(*store.Record) {
		return func(r *store.Record) {
			r.Nodes = slices.DeleteFunc(r.Nodes, func(n store.Node) bool { return n.Name == name })
		}
	}
	nothing := func(*store.Record) {}
	addTwo := func(h *Handle) (Request, error) { return h.AddNodes(spec.RoleWorker, []string{"worker-2", "worker-3"}) }
	addOne := func(h *Handle) (Request, error) { return h.AddNodes(spec.RoleWorker, nil) }
	removeTwo := func(h *Handle) (Request, error) { return h.RemoveNodes([]string{"cp-1", "worker-1"}) }
	replace := func(h *Handle) (Request, error) { return h.ReplaceNode("cp-1") }
	with := func(h *Handle) (Request, error) { return h.ReplaceNodeWith("cp-1", "cp-9") }
	tests := map[string]struct {
		ask func(*Handle) (Request, error)
		got func(*store.Record)
	}{
		"add, both join":             {addTwo, nothing},
		"add, one is there":          {addTwo, state("worker-2", store.Active)},
		"add without a name":         {addOne, nothing},
		"add without a name, there":  {addOne, state("worker-2", store.Active)},
		"remove, both leave":         {removeTwo, nothing},
		"remove, one is gone":        {removeTwo, gone("cp-1")},
		"replace, it leaves":         {replace, nothing},
		"replace, it joins":          {replace, state("cp-1", store.Joining)},
		"replace, it is there":       {replace, state("cp-1", store.Active)},
		"replace with another":       {with, nothing},
		"replace with another, gone": {with, gone("cp-1")},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cutOff(t, test.ask, test.got)
			h := opened(t)
			q, err := test.ask(h)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(h.ofNodes(), q); diff != "" {
				t.Errorf("it asks for something else: %s", diff)
			}
		})
	}
}

func TestNamesThatAreWrong(t *testing.T) {
	tests := map[string]struct {
		ask  func(*Handle) (Request, error)
		want string
	}{
		"add one that is there": {func(h *Handle) (Request, error) { return h.AddNodes(spec.RoleWorker, []string{"worker-1"}) }, "there is a node worker-1 already"},
		"add one twice":         {func(h *Handle) (Request, error) { return h.AddNodes(spec.RoleWorker, []string{"w", "w"}) }, "node w is named more than once"},
		"remove one twice":      {func(h *Handle) (Request, error) { return h.RemoveNodes([]string{"cp-1", "cp-1"}) }, "node cp-1 is named more than once"},
		"remove another":        {func(h *Handle) (Request, error) { return h.RemoveNodes([]string{"cp-7"}) }, "there is no node cp-7; there are cp-1, cp-2, worker-1, lb-1"},
		"replace another":       {func(h *Handle) (Request, error) { return h.ReplaceNode("cp-7") }, `cluster demo has no node "cp-7"; it has cp-1, cp-2, worker-1, lb-1`},
		"replace the balancer beside itself": {func(h *Handle) (Request, error) { return h.ReplaceNodeWith("lb-1", "lb-2") },
			"lb-1 has the address that clients use, which a new node beside it cannot have; haplane node replace lb-1 makes it anew"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			applied(t, commented)
			_, err := test.ask(opened(t))
			var wrong *NodeNameError
			if !errors.As(err, &wrong) || err.Error() != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}

// Without the last control-plane node, or the last etcd machine, all data would be gone.
func TestTheLastIsNotRemoved(t *testing.T) {
	for name, names := range map[string][]string{"control plane": {"cp-1", "cp-2"}, "with others": {"worker-1", "cp-2", "cp-1"}} {
		t.Run(name, func(t *testing.T) {
			applied(t, commented)
			_, err := opened(t).RemoveNodes(names)
			var fixed *spec.NotLiveError
			if !errors.As(err, &fixed) || !fixed.LosesData() || !strings.Contains(err.Error(), "no control-plane node would be left") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestAbortAsksForWhatWas(t *testing.T) {
	s := applied(t, commented)
	if _, err := AbortRequest("demo"); err == nil || !strings.HasPrefix(err.Error(), "no change was cut off") {
		t.Errorf("without a change: %v", err)
	}
	if err := asked(t, s, must[Request](t)(opened(t).RemoveNodes([]string{"cp-1"}))).begin(); err != nil {
		t.Fatal(err)
	}
	q := must[Request](t)(AbortRequest("demo"))
	if string(q.Text) != commented || !q.Abort || !slices.Equal(nodeNames(q.Wanted), []string{"cp-1", "cp-2", "worker-1", "lb-1"}) {
		t.Errorf("%+v\n%s", q, q.Text)
	}
}
