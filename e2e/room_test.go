//go:build e2e

package e2e

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/haplane/haplane/e2e/rig"
)

// withoutRoom has no room left where a node keeps some files, which are there as before, while something is done.
func (c *cluster) withoutRoom(t *testing.T, node, folder string, do func()) {
	t.Helper()
	const copied = "/run/e2e-room"
	c.on(t, node, strings.NewReplacer("FOLDER", folder, "COPIED", copied).Replace(`set -e
mkdir -p FOLDER; cp -a FOLDER COPIED
mount -t tmpfs -o size=4m,mode=755 full FOLDER; cp -a COPIED/. FOLDER; rm -r COPIED
dd if=/dev/zero of=FOLDER/full bs=4k 2>/dev/null || true`))
	defer c.on(t, node, "umount --lazy "+folder)
	do()
}

// noRoom fails the test unless a change has stopped because a node has no room, which one error says with what goes on from there, and the API answers.
func (c *cluster) noRoom(t *testing.T, stopped rig.Result, node, goesOn string) {
	t.Helper()
	must(t, 1, stopped)
	want(t, "number of errors", strings.Count("\n"+stopped.Stderr, "\nerror: "), 1)
	contains(t, "what stands in the way", stopped.Stderr, node, "No space left on device", goesOn+" --cluster "+c.Name+" goes on from there")
	must(t, 0, c.Kubectl(background(t), "get", "nodes"))
}

// machineFull has one machine without room when a snapshot is due there: those that it has stay, status says why, and there is a new one when there
// is room. The process has a view of the file systems of its own, which it gets as it starts.
func (s *scheduled) machineFull(t *testing.T) {
	const node, again = "cp-3", "systemctl restart haplane-snapshots"
	before := s.kept(background(t), t)[node]
	if len(before) == 0 {
		t.Fatalf("%s has none", node)
	}
	s.on(t, node, "mount -t tmpfs -o size=64m,mode=700 full /var/lib/haplane/snapshots; "+again)
	wait(t, time.Minute, "status to tell of it", func(ctx context.Context) error {
		status := s.Run(ctx, "status", "--cluster", s.Name)
		if !strings.Contains(status.Stdout, node+" has none yet; the last attempt: ") || !strings.Contains(status.Stdout, "MiB left, and a snapshot takes") {
			return errors.New(status.String())
		}
		return nil
	})
	must(t, 0, s.Kubectl(background(t), "get", "nodes"))
	s.on(t, node, "umount --lazy /var/lib/haplane/snapshots; "+again)
	wait(t, time.Minute, "the next one", func(ctx context.Context) error {
		now := s.kept(ctx, t)[node]
		if len(now) == 0 || now[len(now)-1].Revision <= before[len(before)-1].Revision || !now[len(now)-1].Verified {
			return errors.New("there is none that is newer")
		}
		return nil
	})
	s.wellAgain(t)
}
