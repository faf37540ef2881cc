package nspawn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/internal/durable"
)

// endProcesses kills what runs of a machine, whatever its record says.
func (p *Provider) endProcesses(ctx context.Context, machine string) ([]int, error) {
	if proc, err := p.readProcess(machine); err == nil {
		_ = proc.signal(unix.SIGKILL)
	}
	pids, err := killCgroup(ctx, p.cgroup(machine))
	if err != nil {
		return pids, err
	}
	return pids, durable.Remove(p.dir(machine, processFile))
}

// release takes away all of a machine that is not a file, and says what it was.
func (p *Provider) release(ctx context.Context, machine string) (removed []string, err error) {
	note := func(found bool, what string) {
		if found {
			removed = append(removed, what)
		}
	}
	pids, err := p.endProcesses(ctx, machine)
	note(len(pids) > 0, fmt.Sprintf("machine %s (%d processes)", machine, len(pids)))
	if err != nil {
		return removed, err // the rest is in use
	}
	found, err1 := p.removeNetns(machine)
	note(found, "network namespace "+p.netns(machine))
	found, err2 := removeCgroup(ctx, p.cgroup(machine))
	note(found, "cgroup "+p.cgroup(machine))
	mounts, err3 := unmountUnder(p.dir(machine))
	note(len(mounts) > 0, "mount "+strings.Join(mounts, ", "))
	// nspawn removes its folder when it ends in order, not when it is killed.
	err4 := os.Remove(filepath.Join("/run/systemd/nspawn/propagate", p.container(machine)))
	if errors.Is(err4, fs.ErrNotExist) {
		err4 = nil
	}
	return removed, errors.Join(err1, err2, err3, err4)
}
