package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/haplane/haplane/internal/durable"
	"github.com/haplane/haplane/internal/poll"
)

const tempPrefix = "building-"

// makeEntry makes the folder dir by filling a temporary one beside it: dir is
// complete or not there. One builder works at a time; what lies about while
// the lock is free was left by one that died.
func makeEntry(ctx context.Context, dir string, fill func(tmp string) error) error {
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	unlock, err := lock(ctx, filepath.Join(parent, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if err := sweep(parent); err != nil {
		return err
	}
	if _, err := os.Stat(dir); err == nil {
		return nil // another builder had the lock before
	}
	tmp, err := os.MkdirTemp(parent, tempPrefix)
	if err != nil {
		return err
	}
	if err := errors.Join(os.Chmod(tmp, 0o755), fill(tmp)); err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	return durable.Rename(tmp, dir)
}

func sweep(parent string) error {
	left, err := filepath.Glob(filepath.Join(parent, tempPrefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range left {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("sweep %s: %w", dir, err)
		}
	}
	return nil
}

// lock waits for a lock that the kernel frees when its holder dies.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	err = poll.Until(ctx, 100*time.Millisecond, func(context.Context) error {
		unlock, err = durable.Exclusive(path)
		if errors.Is(err, durable.ErrHeld) {
			return fmt.Errorf("wait for another builder: %w", err)
		}
		if err != nil {
			return poll.Stop(err)
		}
		return nil
	})
	return unlock, err
}

// run runs a builder in a mount namespace of its own, so that its mounts end
// with it however it ends. Cancelled, it is asked to clean up before it is killed.
func run(ctx context.Context, log io.Writer, argv ...string) error {
	tail := &lastBytes{max: 2048}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = io.MultiWriter(log, tail), io.MultiWriter(log, tail)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", argv[0], err, strings.TrimSpace(string(tail.data)))
	}
	return nil
}

// lastBytes keeps the end of what a command prints, for its error.
type lastBytes struct {
	data []byte
	max  int
}

func (l *lastBytes) Write(p []byte) (int, error) {
	l.data = append(l.data, p...)
	l.data = l.data[max(0, len(l.data)-l.max):]
	return len(p), nil
}
