package apply

import (
	"testing"
	"time"

	"github.com/haplane/haplane/internal/kubeapi"
)

func TestReadyIsOfAfterTheStart(t *testing.T) {
	start := time.Date(2026, 11, 27, 20, 0, 10, 7, time.UTC)
	node := func(ready bool, reported time.Time) []kubeapi.Node {
		return []kubeapi.Node{{Name: "worker-1", Ready: ready, Reason: "KubeletNotReady", Reported: reported}}
	}
	tests := map[string]struct {
		started bool
		nodes   []kubeapi.Node
		want    string
	}{
		"ready":               {false, node(true, start.Add(-time.Minute)), ""},
		"ready, of before":    {true, node(true, start.Add(-time.Second)), "has not reported since its machine was started"},
		"ready, of after":     {true, node(true, start.Truncate(time.Second)), ""},
		"not ready, of after": {true, node(false, start), "is not ready: KubeletNotReady"},
		"not there":           {true, nil, "has not registered"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := &Runner{}
			if test.started {
				r.started.Store("worker-1", start)
			}
			got := ""
			if err := r.ready(test.nodes, "worker-1"); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
