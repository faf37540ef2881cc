package poll

import (
	"context"
	"errors"
	"testing"
	"time"
)

var errNotYet = errors.New("not yet")

func TestUntilSucceeds(t *testing.T) {
	calls := 0
	err := Until(t.Context(), time.Millisecond, func(context.Context) error {
		if calls++; calls < 3 {
			return errNotYet
		}
		return nil
	})
	if err != nil || calls != 3 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

func TestUntilReturnsTheLastErrorAtTheDeadline(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := Until(ctx, time.Millisecond, func(ctx context.Context) error {
		if ctx.Err() != nil {
			return ctx.Err() // of an attempt that was cut off
		}
		return errNotYet
	})
	if !errors.Is(err, errNotYet) {
		t.Error(err)
	}
}

func TestUntilStops(t *testing.T) {
	calls := 0
	err := Until(t.Context(), time.Hour, func(context.Context) error { calls++; return Stop(errNotYet) })
	if !errors.Is(err, errNotYet) || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

func TestUntilEndsWhenCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := Until(ctx, time.Hour, func(context.Context) error { cancel(); return errNotYet })
	if !errors.Is(err, context.Canceled) || !errors.Is(err, errNotYet) {
		t.Error(err)
	}
}
