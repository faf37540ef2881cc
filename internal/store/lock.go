package store

import (
	"errors"
	"fmt"

	"github.com/haplane/haplane/internal/durable"
)

const lockFile = "lock"

// Lock keeps other runs away from the cluster until unlock is called, or this
// process ends in whatever way. It makes the store's folder.
func (s Store) Lock() (unlock func(), err error) {
	unlock, holder, err := durable.Lock(s.path(lockFile))
	if errors.Is(err, durable.ErrHeld) {
		return nil, fmt.Errorf("lock cluster %s: in use by another haplane (pid %s)", s.Name(), holder)
	}
	if err != nil {
		return nil, fmt.Errorf("lock cluster: %w", err)
	}
	return unlock, nil
}

// Remove removes all that the store has. Whoever waits for its lock finds that there
// is no cluster any more. The lock must be held.
func (s Store) Remove() error { return durable.RemoveLocked(s.Dir, lockFile) }
