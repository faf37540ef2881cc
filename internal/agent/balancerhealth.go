package agent

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// How HAProxy is asked. It answers within a millisecond; where it takes longer the machine is busy, and that is no reason
// to move the address: it resets every connection, and the next machine is as busy.
const (
	askEvery     = 100 * time.Millisecond
	mayBeSilent  = 500 * time.Millisecond // one that hangs: it takes connections, and says nothing
	refusalsOf   = 2                      // asked so often in a row, one that refuses is gone, and not just being started anew
	countedAgain = 3                      // answers in a row, until it may have the address again
	// On a machine that is so busy that this program is late each time, HAProxy may hang nevertheless.
	longestSilence = 3 * time.Second
	mayLoad        = 3 * time.Second // from when it is told to load its configuration: who takes over is silent until he has
)

// watchHAProxy tells whether the HAProxy beside it takes connections, whenever that changes, until ctx ends. It never asks
// whether the API behind it is well: an overloaded API must not move the address. Loaded is a file that is written right before
// HAProxy loads its configuration.
func watchHAProxy(ctx context.Context, socket, loaded string, b balancerHealth, tell func(well bool, err error)) {
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	heard := time.Now() // when HAProxy answered last
	for due := time.Now(); ; due = time.Now().Add(askEvery) {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if late := time.Since(due); late > askEvery {
			continue // this program did not run either: nobody knows what HAProxy would have done
		}
		asked := time.Now()
		err := askHAProxy(ctx, socket)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			heard = asked
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && (excused(time.Since(asked), time.Since(heard)) || loading(loaded)) {
			continue // or HAProxy is not there yet
		}
		if well, changed := b.note(err); changed {
			tell(well, err)
		}
	}
}

// excused tells that silence says nothing of HAProxy: this program slept longer than it wanted, too. That
// holds for some seconds since HAProxy was heard.
func excused(took, silence time.Duration) bool {
	return took > mayBeSilent+askEvery && silence < longestSilence
}

// loading reports whether HAProxy was told to load its configuration a moment ago.
func loading(file string) bool {
	info, err := os.Stat(file)
	if err != nil {
		return false
	}
	since := time.Since(info.ModTime())
	return since >= 0 && since < mayLoad
}

// A balancerHealth is what was seen of HAProxy. It begins as it was when an earlier one ended: that this program is started
// anew must not move the address.
type balancerHealth struct {
	well              bool
	answers, refusals int
}

// note takes how HAProxy answered, and reports whether it is well now, and was otherwise before.
func (b *balancerHealth) note(err error) (well, changed bool) {
	before := b.well
	switch {
	case err == nil:
		b.refusals = 0
		if b.answers++; b.answers >= countedAgain {
			b.well = true
		}
	case errors.Is(err, os.ErrDeadlineExceeded):
		b.answers, b.well = 0, false
	default:
		b.answers = 0
		if b.refusals++; b.refusals >= refusalsOf {
			b.well = false
		}
	}
	return b.well, b.well != before
}

// askHAProxy asks its Runtime API for something small.
func askHAProxy(ctx context.Context, socket string) error {
	dialer := net.Dialer{Timeout: mayBeSilent}
	conn, err := dialer.DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(mayBeSilent)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "show version\n"); err != nil {
		return err
	}
	answer, err := io.ReadAll(io.LimitReader(conn, 1<<12))
	if err == nil && len(answer) == 0 {
		return io.ErrUnexpectedEOF
	}
	return err
}
