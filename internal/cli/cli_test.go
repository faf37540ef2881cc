package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/topology"
)

func TestMain(m *testing.M) {
	programs := map[string]func(){
		"haplane": func() {
			os.Exit(Run(context.Background(), os.Args[1:], Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
		},
	}
	for _, name := range kubePrograms {
		programs[name] = func() { fakeProgram(name, os.Args[1:]) }
	}
	testscript.Main(m, programs)
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exitcode": exitCodeIs, "keys": makeKeys, "programs": linkPrograms, "mkfifo": makePipe},
		Setup: func(e *testscript.Env) error {
			e.Setenv("HAPLANE_HOME", e.WorkDir+"/home")
			e.Setenv("HAPLANE_CACHE", e.WorkDir+"/cache")
			components, err := filepath.Abs("../../components")
			if err != nil {
				return err
			}
			e.Setenv("COMPONENTS", components)
			e.Setenv("KUBECONFIG", e.WorkDir+"/kubeconfig")
			return nil
		},
	})
}

// makeKeys is the script command `keys CLUSTER`: what up makes before it makes machines.
func makeKeys(ts *testscript.TestScript, _ bool, args []string) {
	s := store.Store{Dir: filepath.Join(ts.Getenv("HAPLANE_HOME"), args[0])}
	c, err := s.Cluster()
	ts.Check(err)
	rows := pki.Catalogue(topology.New(c))
	plan, _ := pki.Plan(rows, pki.Bundle{}, time.Now(), false)
	keys, err := pki.Issue(rows, pki.Bundle{}, plan, time.Now(), rand.Reader)
	ts.Check(err)
	var names []string
	for _, r := range plan {
		names = append(names, r.Name)
	}
	ts.Check(s.SaveKeys(keys, names))
}

// makePipe is the script command `mkfifo NAME`.
func makePipe(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(syscall.Mkfifo(ts.MkAbs(args[0]), 0o600))
}

// exitCodeIs is the script command `exitcode CODE PROGRAM ARGS...`.
func exitCodeIs(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s: %v", code, args[0], err)
	}
}
