package oplock

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/haplane/haplane/internal/machine"
)

// A shell is a machine that runs commands here, with a folder of its own for /run/haplane.
type shell struct {
	machine.Machine
	name string
	dir  string
	off  atomic.Bool
	runs atomic.Int32
}

func shells(t *testing.T, names ...string) []*shell {
	t.Helper()
	if _, err := exec.LookPath("flock"); err != nil {
		t.Skip("flock is not installed")
	}
	all := make([]*shell, len(names))
	for i, name := range names {
		all[i] = &shell{name: name, dir: filepath.Join(t.TempDir(), "run", "haplane")}
	}
	return all
}

func machines(all []*shell) []machine.Machine {
	out := make([]machine.Machine, len(all))
	for i, s := range all {
		out[i] = s
	}
	return out
}

func (s *shell) Name() string { return s.name }

func (s *shell) Run(ctx context.Context, cmd machine.Command) (machine.Result, error) {
	s.runs.Add(1)
	if s.off.Load() {
		return machine.Result{}, fmt.Errorf("connect to %s: no route to host", s.name)
	}
	argv := slices.Clone(cmd.Argv)
	for i := range argv {
		if argv[i] == dir {
			argv[i] = s.dir
		}
	}
	c := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var stdout, stderr bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = cmd.Stdin, &stdout, &stderr
	err := c.Run()
	result := machine.Result{Stdout: stdout.String(), Stderr: stderr.String()}
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		return result, &machine.CommandError{Machine: s.name, Argv: cmd.Argv, ExitCode: exit.ExitCode(), Stderr: result.Stderr}
	}
	return result, errors.Join(err, ctx.Err())
}

func (s *shell) path(name string) string { return filepath.Join(s.dir, name) }

// ages sets the heartbeat back.
func (s *shell) ages(t *testing.T, seconds int) {
	t.Helper()
	lines := s.lines(t)
	var beat int
	if _, err := fmt.Sscan(lines[1], &beat); err != nil {
		t.Fatal(err)
	}
	lines[1] = fmt.Sprint(beat - seconds)
	s.write(t, strings.Join(lines, "\n"))
}

func (s *shell) lines(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(s.path("lock"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(text), "\n")
}

func (s *shell) write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(s.path("lock"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// reboots forgets what is in /run.
func (s *shell) reboots(t *testing.T) {
	t.Helper()
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
}

func (s *shell) locked() bool {
	_, err := os.Stat(s.path("lock"))
	return err == nil
}
