package apply

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func shellScript(t *testing.T, stdin string, script string, args ...string) error {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c", script, "sh"}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	return cmd.Run()
}

const sumOfNew = "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437" // of "new"

// A program is there whole and right, or as it was: also where the disk is full in the middle.
func TestBringAndUse(t *testing.T) {
	dir := t.TempDir()
	brought, program := filepath.Join(dir, "programs", sumOfNew), filepath.Join(dir, "bin", "kube")
	if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, []byte("old"), 0o755); err != nil {
		t.Fatal(err)
	}
	has := func(path, want string) {
		t.Helper()
		if data, _ := os.ReadFile(path); string(data) != want {
			t.Errorf("%s has %q, want %q", path, data, want)
		}
	}
	full := func(path string) {
		t.Helper()
		if err := os.Symlink("/dev/full", path+".part"); err != nil {
			t.Fatal(err)
		}
	}
	if err := shellScript(t, "other", take, sumOfNew, brought); err == nil {
		t.Error("what arrived damaged is taken")
	}
	_ = os.Remove(brought + ".part")
	full(brought)
	if err := shellScript(t, "new", take, sumOfNew, brought); err == nil {
		t.Error("on a full disk it is taken")
	}
	has(brought, "")
	if err := shellScript(t, "", use, brought, program); err == nil { // which the machine lacks
		t.Error("what is not there is used")
	}
	has(program, "old")
	_ = os.Remove(brought + ".part")
	for range 2 {
		if err := shellScript(t, "new", take, sumOfNew, brought); err != nil {
			t.Fatal(err)
		}
	}
	_ = os.Remove(program + ".part")
	full(program)
	if err := shellScript(t, "", use, brought, program); err == nil {
		t.Error("on a full disk it is used")
	}
	has(program, "old")
	_ = os.Remove(program + ".part")
	for range 2 {
		if err := shellScript(t, "", use, brought, program); err != nil {
			t.Fatal(err)
		}
	}
	has(program, "new")
	if info, err := os.Stat(program); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// Machines keep the programs of one upgrade: those of the one before make room.
func TestProgramsOfAnEarlierUpgradeGo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "programs")
	if err := shellScript(t, "", dropOthers, dir, "new"); err != nil {
		t.Errorf("where there is no folder yet: %v", err)
	}
	for range 2 {
		for _, name := range []string{"new", "newer", "old", "old.part", "new.part"} {
			if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, name), nil, 0o755)); err != nil {
				t.Fatal(err)
			}
		}
		if err := shellScript(t, "", dropOthers, dir, "new", "newer"); err != nil {
			t.Fatal(err)
		}
		left, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(left) != 2 || filepath.Base(left[0]) != "new" || filepath.Base(left[1]) != "newer" {
			t.Errorf("left are %v, %v", left, err)
		}
	}
	for _, name := range []string{"new", "newer"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := shellScript(t, "", dropOthers, dir, "new"); err != nil {
		t.Errorf("where the folder is empty: %v", err)
	}
}

// What a haplane that was killed has begun is waited for.
func TestBringWaitsForWhoWasKilled(t *testing.T) {
	dir := t.TempDir()
	brought := filepath.Join(dir, sumOfNew)
	const hold = 300 * time.Millisecond
	other := exec.CommandContext(t.Context(), "flock", dir, "sleep", "0.3")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(hold / 3) // it has the lock
	began := time.Now()
	if err := shellScript(t, "new", take, sumOfNew, brought); err != nil || time.Since(began) < hold/3 {
		t.Errorf("did not wait: %s, %v", time.Since(began), err)
	}
	_ = other.Wait()
}
