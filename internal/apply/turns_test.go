package apply

import (
	"strings"
	"testing"
)

// A look at the whole cluster names all that is hurt, and leaves out whose turn is to come.
func TestWhole(t *testing.T) {
	now := of(three...)
	w := newWorld(t, now)
	r := w.runner(now)
	if err := r.whole(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.hosts["cp-2"].Running, w.hosts["worker-1"].Running = nil, nil
	w.mu.Unlock()
	err := r.whole(t.Context(), nil)
	for _, says := range []string{"cp-2: ", "etcd member cp-2: ", "node worker-1: is not ready"} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("no %q in %v", says, err)
		}
	}
	if err := r.whole(t.Context(), []string{"worker-1"}); err == nil || strings.Contains(err.Error(), "worker-1") {
		t.Errorf("worker-1 is spared: %v", err)
	}
	if err := r.whole(t.Context(), []string{"cp-2", "worker-1"}); err != nil {
		t.Errorf("both are spared: %v", err)
	}
}
