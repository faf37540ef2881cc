// Package rig runs the haplane program as a user does, for the end-to-end tests
// and the benchmark: with a home, a kubeconfig and a folder for temporary files
// of its own. Only the cache of components and images is the user's.
package rig

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/internal/child"
	"github.com/haplane/haplane/internal/poll"
)

// A Rig is a place to run haplane in. Its folder is the same in each run, so that
// a run finds what one that was killed has left.
type Rig struct {
	Root       string // the module's
	Dir        string // the rig's own; its path is short, for the sockets of ssh
	Program    string // a copy of bin/haplane: building it anew changes nothing here
	Cache      string // of components and images; empty for the user's
	Components string // folder of the components' modules; empty for the module's own
	lock       *os.File
}

// New prepares the rig of the given name, which nobody else can use until Close
// or the end of this process. It builds bin/haplane where that is older than its source.
func New(ctx context.Context, name string) (*Rig, error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find cache folder: %w", err)
	}
	r := &Rig{Root: root, Dir: filepath.Join(cache, name)}
	if err := r.takeFolder(); err != nil {
		return nil, err
	}
	if err := r.build(ctx); err != nil {
		return nil, err
	}
	r.Program = filepath.Join(r.Dir, "haplane")
	if err := copyFile(filepath.Join(root, "bin", "haplane"), r.Program); err != nil {
		return nil, err
	}
	return r, r.sweep(ctx)
}

// sweepTime is enough to take down what is there.
const sweepTime = 30 * time.Second

// sweep takes down the clusters of a run that was killed.
func (r *Rig) sweep(ctx context.Context) error {
	names, err := r.clusters()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sweepTime)
	defer cancel()
	for _, name := range names {
		c := Cluster{Rig: r, Name: name}
		err := poll.Until(ctx, 100*time.Millisecond, func(ctx context.Context) error {
			if result := c.Down(ctx); result.Code != 0 { // its haplane may be about to end
				return fmt.Errorf("take down what another run has left:\n%s", result)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *Rig) clusters() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(r.Home(), "*", "machines"))
	for i, f := range files {
		files[i] = filepath.Base(filepath.Dir(f))
	}
	return files, err
}

// Close removes the rig's folder, unless a cluster is left in it.
func (r *Rig) Close() error {
	defer r.lock.Close()
	if names, err := r.clusters(); err != nil || len(names) > 0 {
		return errors.Join(fmt.Errorf("clusters %v are left in %s", names, r.Home()), err)
	}
	return os.RemoveAll(r.Dir)
}

// Home, Kubeconfig and Temp are what haplane has of its own in the rig.
func (r *Rig) Home() string { return filepath.Join(r.Dir, "home") }

// Kubeconfig is the file that haplane takes for the user's.
func (r *Rig) Kubeconfig() string { return filepath.Join(r.Dir, "kubeconfig") }

// Temp is the folder for temporary files.
func (r *Rig) Temp() string { return filepath.Join(r.Dir, "tmp") }

func (r *Rig) takeFolder() error {
	if err := os.MkdirAll(r.Temp(), 0o700); err != nil {
		return err
	}
	var err error
	if r.lock, err = os.OpenFile(filepath.Join(r.Dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	if err := unix.Flock(int(r.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("%s is in use by another run: %w", r.Dir, err)
	}
	return nil
}

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find module: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

func (r *Rig) build(ctx context.Context) error {
	program := filepath.Join(r.Root, "bin", "haplane")
	if stale, err := r.stale(program); err != nil || !stale {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "./cmd/haplane")
	cmd.Dir, cmd.Env = r.Root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build haplane: %w\n%s", err, out)
	}
	return nil
}

// stale reports whether any file that the program is made of is younger than it.
func (r *Rig) stale(program string) (bool, error) {
	info, err := os.Stat(program)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	stale := false
	for _, part := range []string{"cmd", "internal", "spec", "go.mod", "go.sum"} {
		err := filepath.WalkDir(filepath.Join(r.Root, part), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := d.Info()
			stale = stale || err == nil && file.ModTime().After(info.ModTime())
			return err
		})
		if err != nil {
			return false, err
		}
	}
	return stale, nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.Remove(to); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// A Result is one run of haplane.
type Result struct {
	Args           []string
	Code           int
	Stdout, Stderr string
	Elapsed        time.Duration
}

// String shows the run as on a terminal, for the message of a failed test.
func (r Result) String() string {
	return fmt.Sprintf("$ haplane %s\n%s%s(exit code %d after %s)", strings.Join(r.Args, " "), r.Stdout, r.Stderr, r.Code,
		r.Elapsed.Round(10*time.Millisecond))
}

// Command is haplane with the rig's surroundings. It is interrupted, not killed, when ctx ends.
func (r *Rig) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, r.Program, args...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), ours),
		"HAPLANE_HOME="+r.Home(), "HAPLANE_COMPONENTS="+cmp.Or(r.Components, filepath.Join(r.Root, "components")), "KUBECONFIG="+r.Kubeconfig(), "TMPDIR="+r.Temp())
	if r.Cache != "" {
		cmd.Env = append(cmd.Env, "HAPLANE_CACHE="+r.Cache)
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// Start starts a command. A run of tests that is killed must not leave a haplane that
// goes on making machines.
func Start(cmd *exec.Cmd) error { return child.Start(cmd, syscall.SIGTERM) }

func ours(variable string) bool {
	name, _, _ := strings.Cut(variable, "=")
	return slices.Contains([]string{"HAPLANE_HOME", "HAPLANE_COMPONENTS", "KUBECONFIG", "TMPDIR"}, name)
}

// Run runs haplane to its end.
func (r *Rig) Run(ctx context.Context, args ...string) Result { return Finish(r.Command(ctx, args...)) }

// Finish runs a command to its end. The code of one that did not start, or was
// killed, is -1, and stderr tells why.
func Finish(cmd *exec.Cmd) Result {
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	err := Start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	result := Result{Args: cmd.Args[1:], Elapsed: time.Since(start), Stdout: stdout.String(), Stderr: stderr.String()}
	if result.Code = cmd.ProcessState.ExitCode(); result.Code < 0 {
		result.Stderr += fmt.Sprintln(err)
	}
	return result
}
