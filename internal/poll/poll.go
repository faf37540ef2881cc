// Package poll waits for a condition.
package poll

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Until calls fn at once and then every interval until it returns nil. When ctx
// ends first, the error carries fn's last error beside ctx's; a deadline is never success.
// An error marked by Stop ends the wait at once.
func Until(ctx context.Context, every time.Duration, fn func(context.Context) error) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var last error
	for {
		if err := ctx.Err(); err != nil {
			return ended(err, last)
		}
		err := fn(ctx)
		if err == nil {
			return nil
		}
		var stop stopError
		if errors.As(err, &stop) {
			return stop.error
		}
		// An attempt that was cut off by ctx says nothing of the condition.
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// Stop marks an error that no further attempt can mend.
func Stop(err error) error { return stopError{err} }

// Stopped reports whether an error is so marked.
func Stopped(err error) bool {
	var stop stopError
	return errors.As(err, &stop)
}

type stopError struct{ error }

func (e stopError) Unwrap() error { return e.error }

func ended(ctxErr, last error) error {
	if last == nil {
		return ctxErr
	}
	if errors.Is(ctxErr, context.DeadlineExceeded) {
		return fmt.Errorf("gave up waiting: %w", last)
	}
	return fmt.Errorf("%w; last seen: %w", ctxErr, last)
}
