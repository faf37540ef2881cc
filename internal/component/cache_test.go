package component

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func TestSweepRemovesOnlyWhatIsDead(t *testing.T) {
	dir := t.TempDir()
	c, err := openCache(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range []string{"dead-1", "live-2"} {
		if err := os.MkdirAll(filepath.Join(c.temp(entry), "sub"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	unlock, err := c.lock(t.Context(), "live-2")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := openCache(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(c.temp("dead-1")); !os.IsNotExist(err) {
		t.Errorf("the dead run's folder is still there (%v)", err)
	}
	if _, err := os.Stat(c.temp("live-2")); err != nil {
		t.Errorf("the live run's folder: %v", err)
	}
}

func TestLockWaitsAndGivesUp(t *testing.T) {
	c, err := openCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	unlock, err := c.lock(t.Context(), "e")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.lock(ctx, "e"); err == nil {
		t.Error("a lock that is held was given twice")
	}
	time.AfterFunc(50*time.Millisecond, unlock)
	again, err := c.lock(t.Context(), "e")
	if err != nil {
		t.Fatalf("lock after it was released: %v", err)
	}
	again()
}

// Two runs at once: one builds, the other waits and takes what was built.
func TestConcurrentBuilds(t *testing.T) {
	o := hello(t)
	var mu sync.Mutex
	count := map[State]int{}
	o.Report = func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		count[e.State]++
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if _, err := build(t.Context(), []row{helloRow()}, o); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if count[Built] != 1 || count[Cached] != 1 {
		t.Errorf("events %v, want one built and one cached", count)
	}
}
