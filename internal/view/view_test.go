package view

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/phase"
	"github.com/haplane/haplane/spec"
)

func TestProgressWithoutATerminalHasALineForEachPhase(t *testing.T) {
	var w bytes.Buffer
	p := NewProgress(&w, -1)
	p.Event(phase.Event{ID: "make-keys", State: phase.Started})
	p.Doing("9 of 10 keys") // told where it lasts
	p.Detail("make-keys", "ten keys")
	p.Event(phase.Event{ID: "make-keys", State: phase.Finished, Elapsed: 1234 * time.Millisecond})
	p.Event(phase.Event{ID: "write-files", State: phase.Started})
	p.Event(phase.Event{ID: "write-files", State: phase.Current})
	p.Event(phase.Event{ID: "start", State: phase.Started})
	p.Event(phase.Event{ID: "start", State: phase.Failed, Elapsed: time.Minute, Err: errors.New("said later")})
	p.Close()
	want := `  make-keys: ten keys
✓ make-keys                 1.2s
✓ write-files               0.0s  nothing to do
✗ start                    60.0s
`
	if diff := cmp.Diff(want, w.String()); diff != "" {
		t.Error(diff)
	}
}

func TestProgressWithoutATerminalTellsOfWaits(t *testing.T) {
	p := &Progress{}
	p.Waiting("", "one list of nodes")
	if got := p.about(); got != "one list of nodes" {
		t.Error(got)
	}
	p.Waiting("cp-2", "is not ready")
	p.Waiting("cp-1", "has not registered")
	p.Waiting("cp-2", "is not ready yet")
	if got := p.about(); got != "cp-1 has not registered; cp-2 is not ready yet" {
		t.Error(got)
	}
	p.Waiting("cp-1", "")
	p.Waiting("cp-9", "")
	if got := p.about(); got != "cp-2 is not ready yet" {
		t.Error(got)
	}
}

// screen is what a terminal shows in the end; it knows the sequences of frame alone.
func screen(text string) []string {
	lines := []string{""}
	for text != "" {
		var up int
		if n, _ := fmt.Sscanf(text, "\x1b[%dA", &up); n == 1 {
			lines = append(lines[:len(lines)-1-up], "")
			text = text[strings.Index(text, "A")+len("A\r\x1b[J"):]
			continue
		}
		if text[0] == '\n' {
			lines = append(lines, "")
		} else {
			lines[len(lines)-1] += text[:1]
		}
		text = text[1:]
	}
	return lines
}

func TestProgressOnATerminal(t *testing.T) {
	var w bytes.Buffer
	width, height := 50, 5
	p := &Progress{w: &w, frame: newFrame(&w, func() (int, int, error) { return width, height, nil })}
	shows := func(what string, want ...string) {
		t.Helper()
		p.draw()
		if d := cmp.Diff(append(want, ""), screen(w.String())); d != "" {
			t.Errorf("%s: %s", what, d)
		}
	}
	p.Event(phase.Event{ID: "make", State: phase.Started})
	p.Detail("make", "ten keys")
	shows("a phase", "… make                      0.0s  ten keys")
	p.Doing("1 of 2 packages")
	p.Doing("2 of 2 packages")
	shows("how far it is", "… make                      0.0s  2 of 2 packages")
	p.Event(phase.Event{ID: "make", State: phase.Finished})
	p.Event(phase.Event{ID: "wait", State: phase.Started})
	p.Waiting("cp-2", "ask https://10.0.0.12:6443/readyz: refused")
	p.Waiting("cp-1", "not ready")
	shows("waits", "✓ make                      0.0s", "… wait                      0.0s",
		"  cp-1                      0.0s  not ready", "  cp-2                      0.0s  ask htt…refused")
	for _, n := range []string{"cp-3", "cp-4"} {
		p.Waiting(n, "not ready")
	}
	shows("more than there is room for", "✓ make                      0.0s", "… wait                      0.0s",
		"  cp-1                      0.0s  not ready", "  cp-2                      0.0s  ask htt…refused", "  and 2 more")
	p.Notice("wait", "take cp-3 out")
	p.Event(phase.Event{ID: "wait", State: phase.Failed, Elapsed: time.Minute})
	shows("the end, and what the user has to do", "✓ make                      0.0s", "  wait: take cp-3 out", "✗ wait                     60.0s")
}

// Of steps that do the same on several nodes there is one line.
func TestProgressOfAGroup(t *testing.T) {
	var w bytes.Buffer
	p := NewProgress(&w, -1)
	event := func(id string, state phase.State) {
		p.Event(phase.Event{ID: id, Group: "start", Of: 2, State: state, Elapsed: time.Minute})
	}
	for range 2 { // also one after the other
		event("start@cp-1", phase.Started)
		event("start@cp-1", phase.Current)
		event("start@cp-2", phase.Started)
		event("start@cp-2", phase.Finished)
	}
	event("start@cp-1", phase.Started)
	event("start@cp-2", phase.Started)
	event("start@cp-1", phase.Current)
	event("start@cp-2", phase.Current)
	event("start@cp-1", phase.Started)
	event("start@cp-1", phase.Failed)
	event("start@cp-2", phase.Stopped)
	p.Event(phase.Event{ID: "wait", State: phase.Started})
	p.Event(phase.Event{ID: "wait", State: phase.Stopped, Err: errors.New("only waited")})
	p.Close()
	want := `✓ start                     0.0s
✓ start                     0.0s
✓ start                     0.0s  nothing to do
✗ start@cp-1               60.0s
`
	if diff := cmp.Diff(want, w.String()); diff != "" {
		t.Error(diff)
	}
}

func TestErrorIsPrintedOnce(t *testing.T) {
	var w bytes.Buffer
	Error(&w, errors.New("one\ntwo\n"), []string{"panic"}, "do this", "/x.log")
	if diff := cmp.Diff("error: one\n  two\n  | panic\nhint:  do this\nlog:   /x.log\n", w.String()); diff != "" {
		t.Error(diff)
	}
}

func TestStatusTellsWhoChangesTheClusterFromElsewhere(t *testing.T) {
	lock := cluster.LockStatus{Holder: "ann@laptop pid 71", Command: "haplane node add cp-4", Since: time.Date(2026, 11, 28, 4, 8, 57, 0, time.UTC),
		HeartbeatSeconds: 3, On: []string{"cp-1", "cp-3"}}
	own, expired := lock, lock
	own.Own, expired.Expired = true, true
	const who = "haplane node add cp-4, begun 2026-11-28 04:08:57 UTC by ann@laptop pid 71, last heard of 3 s ago on cp-1, cp-3"
	for want, l := range map[string]*cluster.LockStatus{
		"\na change from elsewhere is under way: " + who + "\n":  &lock,
		"\na change from elsewhere was cut off: " + who + "\n  ": &expired,
		"": &own, // of which Change tells
	} {
		var w bytes.Buffer
		if err := Status(&w, &cluster.Status{Cluster: "demo", Lock: l}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(w.String(), want) || want == "" && strings.Contains(w.String(), l.Holder) {
			t.Errorf("no %q in:\n%s", want, w.String())
		}
	}
}

// A control-plane node can be a load balancer too: then one column has both.
func TestStatusOfControlPlaneNodesThatBalance(t *testing.T) {
	up := []cluster.BackendStatus{{Node: "cp-1", Up: true}, {Node: "cp-2", Up: true}}
	one, none := []cluster.BackendStatus{{Node: "cp-1", Up: true}, {Node: "cp-2"}}, []cluster.BackendStatus{{Node: "cp-1"}, {Node: "cp-2"}}
	for name, test := range map[string]struct {
		balancers []cluster.LBStatus
		want      map[string]string
	}{
		"all is well":               {[]cluster.LBStatus{{Node: "cp-1", Backends: up}, {Node: "cp-2", Backends: up, HoldsAddress: true}}, map[string]string{"cp-1": "up, stands by", "cp-2": "up, has the address"}},
		"one sees less":             {[]cluster.LBStatus{{Node: "cp-1", Backends: up, HoldsAddress: true}, {Node: "cp-2", Backends: one}}, map[string]string{"cp-1": "up, has the address", "cp-2": "up on 1 of 2, stands by"}},
		"one was not seen":          {[]cluster.LBStatus{{Node: "cp-1", Backends: up, HoldsAddress: true}, {Node: "cp-2", Backends: none, Error: "no route"}}, map[string]string{"cp-1": "up, has the address", "cp-2": "up"}},
		"the only one was not seen": {[]cluster.LBStatus{{Node: "lb-1", Backends: none, Error: "no route"}}, map[string]string{"cp-1": "down", "lb-1": "-"}},
		"one of a worker's own": {[]cluster.LBStatus{{Node: "lb-1", Backends: up, HoldsAddress: true}, {Node: "worker-1", Local: true, Backends: one}},
			map[string]string{"cp-1": "up", "cp-2": "up", "lb-1": "-", "worker-1": "its own: 1 of 2 up", "worker-2": "-"}},
		"one of a worker's own, and the only other was not seen": {[]cluster.LBStatus{{Node: "lb-1", Backends: none, Error: "no route"}, {Node: "worker-1", Local: true, Backends: up}},
			map[string]string{"cp-1": "down", "lb-1": "-", "worker-1": "its own: 2 of 2 up"}},
		"one of a worker's own beside two": {[]cluster.LBStatus{{Node: "lb-1", Backends: up, HoldsAddress: true}, {Node: "lb-2", Backends: up}, {Node: "worker-1", Local: true, Backends: none, Error: "no route"}},
			map[string]string{"cp-1": "up", "lb-1": "has the address", "lb-2": "stands by", "worker-1": "its own: not seen"}},
		"a load balancer by itself": {[]cluster.LBStatus{{Node: "lb-1", Backends: up}}, map[string]string{"cp-1": "up", "lb-1": "-"}},
	} {
		t.Run(name, func(t *testing.T) {
			for node, want := range test.want {
				if got := backend(&cluster.Status{LoadBalancers: test.balancers}, node); got != want {
					t.Errorf("%s: %q, want %q", node, got, want)
				}
			}
		})
	}
}

func TestStatusTellsWhatIsWrong(t *testing.T) {
	s := &cluster.Status{Cluster: "demo", Identity: spec.Shared, Endpoint: "https://10.10.10.3:6443",
		Nodes:         []cluster.NodeStatus{{Name: "cp-1", Role: spec.RoleControlPlane, Address: "10.10.10.11", Reason: "NodeStatusUnknown"}},
		APIServers:    []cluster.APIServerStatus{{Node: "cp-1", Error: "connection refused"}},
		Etcd:          cluster.EtcdStatus{Members: []cluster.MemberStatus{{Name: "cp-1", Leader: true, Healthy: true}}},
		Leaders:       map[string]string{"kube-scheduler": ""},
		LoadBalancers: []cluster.LBStatus{{Node: "lb-1", Backends: []cluster.BackendStatus{{Node: "cp-1"}}}},
		Errors:        []string{"list nodes: timeout"},
		Warnings:      []string{"certificate admin ends in 9 days"},
	}
	var w bytes.Buffer
	if err := Status(&w, s); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"not ready", "healthy, leader", "down", "no endpoints", "nobody", "node cp-1: NodeStatusUnknown",
		"API server of cp-1: connection refused", "could not look: list nodes: timeout",
		"warning: certificate admin ends in 9 days"} {
		if !strings.Contains(w.String(), want) {
			t.Errorf("no %q in:\n%s", want, w.String())
		}
	}
}
