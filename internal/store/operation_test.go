package store

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLastOperation(t *testing.T) {
	s := Store{Dir: t.TempDir()}
	for i, want := range []string{"", "a", "b"} {
		last, err := s.LastOperation()
		if err := errors.Join(err, s.BeginOperation(string("abc"[i]))); err != nil || last.Token != want {
			t.Errorf("%d: %+v, %v", i, last, err)
		}
		if info, err := exec.Command("stat", "-c", "%a", s.path(operationFile)).Output(); err != nil || strings.TrimSpace(string(info)) != "600" {
			t.Errorf("mode %s, %v", info, err)
		}
	}
}

func TestOperationThatEnded(t *testing.T) {
	boot, err := bootID()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid, got := cmd.Process.Pid, map[string]bool{}
	ask := func(name string, o Operation) {
		t.Helper()
		ended, err := o.Ended()
		if err != nil {
			t.Fatal(err)
		}
		got[name] = ended
	}
	ask("lives", Operation{PID: pid, Boot: boot})
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	ask("ended", Operation{PID: pid, Boot: boot})
	ask("on another kernel", Operation{PID: pid, Boot: "other"})
	ask("none", Operation{})
	if diff := cmp.Diff(map[string]bool{"lives": false, "ended": true, "on another kernel": false, "none": false}, got); diff != "" {
		t.Error(diff)
	}
}
