package view

import (
	"bytes"
	"errors"
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

func TestProgressOnATerminalWritesOverOneLine(t *testing.T) {
	var w bytes.Buffer
	p := NewProgress(&w, -1)
	p.mu.Lock()
	p.live, p.width = true, 30
	p.mu.Unlock()
	p.Event(phase.Event{ID: "a", State: phase.Started})
	p.Event(phase.Event{ID: "b", State: phase.Started})
	p.Detail("a", strings.Repeat("long ", 20))
	p.Event(phase.Event{ID: "a", State: phase.Finished})
	p.Event(phase.Event{ID: "b", State: phase.Finished})
	p.Close()
	text := w.String()
	if strings.Count(text, "\n") != 2 || !strings.HasSuffix(text, "\r\x1b[K") {
		t.Errorf("%q", text)
	}
	for part := range strings.SplitSeq(text, "\r\x1b[K") {
		if len([]rune(strings.TrimSpace(part))) >= 40 {
			t.Errorf("a line wider than the terminal: %q", part)
		}
	}
}

func TestErrorIsPrintedOnce(t *testing.T) {
	var w bytes.Buffer
	Error(&w, errors.New("one\ntwo\n"), []string{"panic"}, "do this", "/x.log")
	if diff := cmp.Diff("error: one\n  two\n  | panic\nhint:  do this\nlog:   /x.log\n", w.String()); diff != "" {
		t.Error(diff)
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
	}
	var w bytes.Buffer
	if err := Status(&w, s); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"not ready", "healthy, leader", "down", "no endpoints", "nobody", "node cp-1: NodeStatusUnknown",
		"API server of cp-1: connection refused", "could not look: list nodes: timeout"} {
		if !strings.Contains(w.String(), want) {
			t.Errorf("no %q in:\n%s", want, w.String())
		}
	}
}
