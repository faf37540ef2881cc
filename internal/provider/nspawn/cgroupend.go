package nspawn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/internal/poll"
)

// killCgroup kills all that is in a cgroup, or below it, and waits for its end.
func killCgroup(ctx context.Context, path string) (killed []int, err error) {
	all, err := hierarchies()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err = poll.Until(ctx, 5*time.Millisecond, func(context.Context) error {
		pids := processesIn(all, path)
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL)
			if !slices.Contains(killed, pid) {
				killed = append(killed, pid)
			}
		}
		if len(pids) > 0 {
			return fmt.Errorf("kill processes of cgroup %s: %d are left", path, len(pids))
		}
		return nil
	})
	return killed, err
}

func processesIn(all []hierarchy, path string) []int {
	var pids []int
	for _, h := range all {
		for _, dir := range subtree(filepath.Join(h.path, path)) {
			data, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
			for _, f := range strings.Fields(string(data)) {
				if pid, err := strconv.Atoi(f); err == nil && pid > 1 {
					pids = append(pids, pid)
				}
			}
		}
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

// removeCgroup removes an empty cgroup from every hierarchy and reports whether
// there was one.
func removeCgroup(ctx context.Context, path string) (found bool, err error) {
	all, err := hierarchies()
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for _, h := range all {
		// The kernel lets go of a process that has ended a moment later.
		err = errors.Join(err, poll.Until(ctx, 5*time.Millisecond, func(context.Context) error {
			for _, dir := range slices.Backward(subtree(filepath.Join(h.path, path))) {
				found = true
				if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return fmt.Errorf("remove cgroup: %w", err)
				}
			}
			return nil
		}))
	}
	return found, err
}

// subtree lists dir and the folders below it, parents first; none when it is gone.
func subtree(dir string) []string {
	var out []string
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			out = append(out, path)
		}
		return nil
	})
	return out
}
