package change

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/observed"
)

// outward is a cluster whose etcd is to get machines of its own.
func outward(t *testing.T) Input {
	t.Helper()
	in := become(t, three, with("etcd-1", "etcd-2", "etcd-3"))
	in.Moving = true
	return in
}

func homeward(t *testing.T) Input {
	t.Helper()
	return become(t, with("etcd-1", "etcd-2", "etcd-3"), three)
}

func TestEtcdGetsMachinesOfItsOwn(t *testing.T) {
	c := plan(t, outward(t))
	before(t, c, "create-machine@etcd-1", "write-files@etcd-1", "member-add@etcd-1", "start@etcd-1/etcd", "member-promote@etcd-1", "member-add@etcd-2",
		"member-promote@etcd-2", "member-add@etcd-3", "member-promote@etcd-3", "lb-drain@cp-1", "stop@cp-1/kube-apiserver", "move-leader@cp-1",
		"member-remove@cp-1", "write-files@cp-1", "start@cp-1/kube-apiserver", "lb-restore@cp-1", "lb-drain@cp-2", "lb-restore@cp-2", "lb-drain@cp-3", "lb-restore@cp-3")
	before(t, c, "member-remove@cp-1", "start@cp-1/kube-apiserver", "etcd-data-remove@cp-1")
	tolerates(t, c, 1)
	if w := c.Warnings(); len(w) != 1 || !strings.Contains(w[0], "etcd moves to machines of its own, with its data") {
		t.Errorf("warnings %v", w)
	}
}

func TestEtcdComesBackFromItsMachines(t *testing.T) {
	c := plan(t, homeward(t))
	before(t, c, "etcd-data-remove@cp-1", "member-add@cp-1", "write-files@cp-1", "start@cp-1/etcd", "member-promote@cp-1", "lb-drain@cp-1",
		"stop@cp-1/kube-apiserver", "start@cp-1/kube-apiserver", "lb-restore@cp-1", "etcd-data-remove@cp-2", "lb-restore@cp-2", "lb-restore@cp-3",
		"move-leader@etcd-1", "member-remove@etcd-1", "stop@etcd-1", "remove-machine@etcd-1", "forget@etcd-1")
	before(t, c, "lb-restore@cp-3", "member-remove@etcd-3")
	tolerates(t, c, 1)
}

// tolerates fails the test where etcd bears fewer failures after some step.
func tolerates(t *testing.T, c *Change, least int) {
	t.Helper()
	for _, s := range c.Steps {
		if s.Etcd != nil && s.Etcd.After.Tolerates < least {
			t.Errorf("after %s etcd tolerates %d failures", s.ID, s.Etcd.After.Tolerates)
		}
	}
}

// Cut off right after a member was removed: its API server is stopped, its files and its data are there.
func TestEtcdMoveGoesOnAndBack(t *testing.T) {
	cut := func(in Input) Input {
		stacked := healthy(wanted(t, three...))
		own := healthy(wanted(t, with("etcd-1", "etcd-2", "etcd-3")...))
		in.Record, in.Observed.Machines = own.Record, own.Observed.Machines
		for _, node := range []string{"cp-1", "cp-2", "cp-3"} {
			in.Observed.Machines[node] = stacked.Observed.Machines[node]
		}
		in.Observed.Etcd.Members = append(stacked.Observed.Etcd.Members[1:], own.Observed.Etcd.Members...)
		for i := range in.Observed.Etcd.Members {
			in.Observed.Etcd.Members[i].ID = uint64(i + 1)
		}
		m := in.Observed.Machines["cp-1"]
		m.EtcdData = true
		in.Observed.Machines["cp-1"], in.Observed.APIServers["cp-1"] = m, observed.APIServer{Error: "stopped"}
		return in
	}
	t.Run("on", func(t *testing.T) {
		c := plan(t, cut(outward(t)))
		before(t, c, "write-files@cp-1", "start@cp-1", "lb-drain@cp-2", "member-remove@cp-2")
		before(t, c, "start@cp-1", "etcd-data-remove@cp-1")
		if _, twice := c.Step("member-remove@cp-1"); twice {
			t.Error("it is no member any more")
		}
	})
	t.Run("back", func(t *testing.T) {
		in := cut(homeward(t))
		in.Back = true
		c := plan(t, in)
		before(t, c, "etcd-data-remove@cp-1", "member-add@cp-1", "start@cp-1/etcd", "member-promote@cp-1", "start@cp-1/kube-apiserver", "member-remove@etcd-1", "forget@etcd-1")
		for _, s := range c.Steps {
			if s.Node == "cp-2" || s.Verb == DrainBackend {
				t.Errorf("step %s", s.ID)
			}
		}
	})
}

// What is sick on a node whose turn comes later must not lose its files before its member.
func TestEtcdMovesOffSickNodes(t *testing.T) {
	t.Run("machine off", func(t *testing.T) {
		in := outward(t)
		dies(&in, "cp-2", false)
		c := plan(t, in)
		before(t, c, "start-machine@cp-2", "serve@cp-2", "lb-drain@cp-2", "member-remove@cp-2", "write-files@cp-2", "start@cp-2", "lb-restore@cp-2")
		before(t, c, "member-promote@etcd-3", "member-remove@cp-2")
	})
	t.Run("member dead", func(t *testing.T) {
		in := outward(t)
		in.Observed.Etcd.Members[1].Healthy, in.Observed.APIServers["cp-2"] = false, observed.APIServer{Error: "no etcd"}
		c := plan(t, in)
		before(t, c, "member-remove@cp-2", "member-add@etcd-1", "member-promote@etcd-3", "write-files@cp-2", "start@cp-2/kube-apiserver", "lb-drain@cp-1")
	})
	t.Run("nobody tells", func(t *testing.T) {
		in := outward(t)
		in.Observed.Etcd = observed.Etcd{Error: "no member answers"}
		_, err := Plan(in)
		var refused *Refused
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), "its members are not known") {
			t.Errorf("error %v", err)
		}
	})
}

// A control-plane node that leaves takes its member along, wherever etcd is to be; those of machines of etcd's own
// leave behind all that may ask them.
func TestNodesLeaveWhileEtcdMoves(t *testing.T) {
	in := become(t, three, append(without("cp-3"), "etcd-1", "etcd-2", "etcd-3"))
	in.Moving = true
	before(t, plan(t, in), "member-promote@etcd-3", "lb-restore@cp-2", "stop@cp-3/kube-apiserver", "member-remove@cp-3", "stop@cp-3")
	c := plan(t, become(t, append([]string{"etcd-1"}, three...), without("cp-3")))
	before(t, c, "lb-restore@cp-2", "stop@cp-3", "member-remove@etcd-1")
}

// A change that made cp-4 with a member was cut off before cp-4 was one of us, and etcd is to have machines of its own after all.
func TestNodeThatJoinedWithAMemberIsMadeAnewWhereEtcdMoves(t *testing.T) {
	for name, left := range map[string]func(*Input){
		"member": func(*Input) {},
		"data": func(in *Input) {
			in.Observed.Etcd.Members = slices.DeleteFunc(in.Observed.Etcd.Members, func(m observed.Member) bool { return m.Name == "cp-4" })
		},
		"off": func(in *Input) { dies(in, "cp-4", false) },
	} {
		t.Run(name, func(t *testing.T) {
			four := []string{"lb-1", "cp-1", "cp-2", "cp-3", "cp-4", "worker-1"}
			in := become(t, four, append(with("etcd-1", "etcd-2", "etcd-3"), "cp-4"))
			in.Moving = true
			for i := range in.Record {
				if in.Record[i].Name == "cp-4" {
					in.Record[i].State = Joining
				}
			}
			m := in.Observed.Machines["cp-4"]
			m.EtcdData = true
			in.Observed.Machines["cp-4"] = m
			left(&in)
			c := plan(t, in)
			before(t, c, "remove-machine@cp-4", "create-machine@cp-4", "write-files@cp-4", "activate@cp-4")
			if name != "data" {
				before(t, c, "member-remove@cp-4", "remove-machine@cp-4")
			}
		})
	}
}

func TestEtcdDoesNotMoveTwice(t *testing.T) {
	for name, nodes := range map[string][]string{"stacked": three, "own": with("etcd-1")} {
		in := healthy(wanted(t, nodes...))
		in.Moving = slices.Contains(nodes, "etcd-1")
		if diff := cmp.Diff([]string(nil), ids(plan(t, in))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
