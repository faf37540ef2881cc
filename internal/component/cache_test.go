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

// What a copy or a restored backup does to the times of files is no reason to build for twenty minutes.
func TestOtherTimes(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, path string, modified time.Time)
		want   State
	}{
		"times to the second": {func(t *testing.T, path string, modified time.Time) {
			retime(t, path, modified.Truncate(time.Second))
		}, Cached},
		"times of the copy": {func(t *testing.T, path string, _ time.Time) {
			retime(t, path, time.Now().Add(time.Hour))
		}, Cached},
		"another program of the same size": {func(t *testing.T, path string, _ time.Time) {
			change(t, path)
		}, Built},
	} {
		t.Run(name, func(t *testing.T) {
			o := hello(t)
			programs, _ := states(t, o)
			info, err := os.Stat(programs[0].Path)
			if err != nil {
				t.Fatal(err)
			}
			c.change(t, programs[0].Path, info.ModTime())
			again, seen := states(t, o)
			if seen[len(seen)-1] != c.want || again[0].SHA256 != programs[0].SHA256 {
				t.Errorf("states %v of %+v, want %s in the end and the same sum", seen, again[0], c.want)
			}
			checkTimeNoted(t, again[0].Path)
		})
	}
}

func retime(t *testing.T, path string, to time.Time) {
	t.Helper()
	if err := os.Chtimes(path, to, to); err != nil {
		t.Fatal(err)
	}
}

// change writes over the first bytes of a file, at another time than the manifest's.
func change(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("#!/bin/false\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	retime(t, path, time.Now().Add(time.Hour))
}

// checkTimeNoted wants the next run to trust the file without reading it.
func checkTimeNoted(t *testing.T, path string) {
	t.Helper()
	m, err := readManifest(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if !info.ModTime().Equal(m.Programs[0].Modified) {
		t.Errorf("the manifest has time %s, the file %s", m.Programs[0].Modified, info.ModTime())
	}
}
