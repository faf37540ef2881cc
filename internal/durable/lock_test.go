package durable

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store", "demo", "lock")
	unlock, _, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, holder, err := Lock(path); !errors.Is(err, ErrHeld) || holder != strconv.Itoa(os.Getpid()) {
		t.Errorf("a second one: held by %q, %v", holder, err)
	}
	unlock()
	if err := os.WriteFile(path, []byte("1234567890 of a run before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	unlock, _, err = Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if got := content(t, path); got != strconv.Itoa(os.Getpid())+"\n" {
		t.Errorf("the lock has %q", got)
	}
}

func TestSharedAndExclusive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Shared(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Shared(path)
	if err != nil {
		t.Fatal(err)
	}
	first()
	if _, err := Exclusive(path); !errors.Is(err, ErrHeld) {
		t.Errorf("beside a shared one: %v", err)
	}
	second()
	alone, err := Exclusive(path)
	if err != nil {
		t.Fatal(err)
	}
	defer alone()
	if _, err := Shared(path); !errors.Is(err, ErrHeld) {
		t.Errorf("beside an exclusive one: %v", err)
	}
}

// Who had the file open when its holder removed it must not have a lock that
// guards nothing, beside one who made the file anew.
func TestALockThatWasRemovedIsNotTaken(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	path := filepath.Join(dir, "lock")
	unlock, _, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	waiting, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	if err := RemoveLocked(dir, "lock"); err != nil {
		t.Fatal(err)
	}
	next, _, err := Lock(path)
	if err != nil {
		t.Fatalf("after the folder is gone: %v", err)
	}
	defer next()
	unlock()
	if err := flock(waiting, exclusive); err != nil || isAt(waiting, path) {
		t.Errorf("the removed file: lock %v, still in its place %v", err, isAt(waiting, path))
	}
	if _, _, err := Lock(path); !errors.Is(err, ErrHeld) {
		t.Errorf("a third one: %v", err)
	}
}

func TestRemoveLockedKeepsOthersAwayUntilAllIsGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	path := filepath.Join(dir, "lock")
	unlock, _, err := Lock(path)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if err := MkdirAll(filepath.Join(dir, "pki", "etcd"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(dir, "pki", "ca.key"), []byte("key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := RemoveLocked(dir, "lock"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder: %v", err)
	}
	if err := RemoveLocked(dir, "lock"); err != nil {
		t.Errorf("again: %v", err)
	}
}
