package component

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/haplane/haplane/internal/durable"
	"github.com/haplane/haplane/internal/poll"
)

const (
	lockPrefix   = ".lock-"
	lockInterval = 200 * time.Millisecond
)

// ErrHeld means that a run uses the cache, so that nothing may be removed from it.
var ErrHeld = errors.New("a run of haplane is using the cache; try again when it has ended")

// Hold keeps what is in the cache from being removed until release is called or
// this process ends. Any number of runs hold it at the same time. Who goes on to
// use a program or an image after it was built holds the cache for all of that.
func Hold(ctx context.Context, dir string) (release func(), err error) {
	return await(ctx, func() (func(), error) { return lockCache(dir, durable.Shared) })
}

// HoldAlone is Hold for who removes things: the error is ErrHeld when anyone
// else holds the cache.
func HoldAlone(dir string) (release func(), err error) {
	release, err = lockCache(dir, durable.Exclusive)
	if errors.Is(err, durable.ErrHeld) {
		return nil, ErrHeld
	}
	return release, err
}

func lockCache(dir string, take func(string) (func(), error)) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return take(filepath.Join(dir, "lock"))
}

// lock waits for the entry's lock.
func (c cache) lock(ctx context.Context, entry string) (unlock func(), err error) {
	return await(ctx, func() (func(), error) { return c.tryLock(entry) })
}

func (c cache) tryLock(entry string) (unlock func(), err error) {
	return durable.Exclusive(c.path(lockPrefix + entry))
}

func await(ctx context.Context, try func() (func(), error)) (unlock func(), err error) {
	err = poll.Until(ctx, lockInterval, func(context.Context) error {
		unlock, err = try()
		if err != nil && !errors.Is(err, durable.ErrHeld) {
			return poll.Stop(err)
		}
		return err
	})
	return unlock, err
}
