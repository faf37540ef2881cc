package store

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/internal/durable"
)

const lockFile = "lock"

// Lock keeps other runs away from the cluster until unlock is called, or this
// process ends in whatever way. It makes the store's folder.
func (s Store) Lock() (unlock func(), err error) {
	unlock, holder, err := durable.Lock(s.path(lockFile))
	if errors.Is(err, durable.ErrHeld) {
		return nil, fmt.Errorf("lock cluster %s: in use by another haplane (pid %s%s)", s.Name(), holder, s.changeOf(holder))
	}
	if err != nil {
		return nil, fmt.Errorf("lock cluster: %w", err)
	}
	return unlock, nil
}

// changeOf tells which change a process is at, where it is at one.
func (s Store) changeOf(pid string) string {
	r, err := s.Record()
	if err != nil || r.Change == nil || !strings.HasSuffix(r.Change.Holder, " pid "+pid) {
		return ""
	}
	return fmt.Sprintf(": %s, begun %s", r.Change.Command, r.Change.Started.Format("2006-01-02 15:04:05 MST"))
}

// Locked reports whether a process that lives has the lock, by the id that it wrote
// down. It does not take the lock, not even for a moment.
func (s Store) Locked() (bool, error) {
	data, err := s.load(lockFile)
	if err != nil {
		return false, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	return err == nil && pid != os.Getpid() && unix.Kill(pid, 0) != unix.ESRCH, nil
}

// Remove removes all that the store has. Whoever waits for its lock finds that there
// is no cluster any more. The lock must be held.
func (s Store) Remove() error { return durable.RemoveLocked(s.Dir, lockFile) }
