package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haplane/haplane/internal/change"
)

// Between two turns an upgrade waits and asks where it is to, also one that goes on by a command that knows nothing of that.
func TestBetweenTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &live{Request: Request{Upgrade: &Upgrade{Pause: time.Minute}}}
		l.change = &change.Change{Steps: []change.Step{{ID: "check-cluster@cp-1", Verb: change.CheckCluster, Node: "cp-1"}, {ID: "check-cluster@cp-2", Verb: change.CheckCluster, Node: "cp-2"}}}
		first, last := l.change.Steps[0], l.change.Steps[1]
		waited := func(s change.Step) time.Duration {
			began := time.Now()
			if err := l.between(t.Context(), s); err != nil {
				t.Errorf("after %s: %v", s.Node, err)
			}
			return time.Since(began)
		}
		if a, b := waited(first), waited(last); a != time.Minute || b != 0 {
			t.Errorf("waits %s between two turns and %s after the last", a, b)
		}
		l.Upgrade.ConfirmEach = true
		if err := l.between(t.Context(), first); err == nil || !strings.Contains(err.Error(), "there is nobody to ask") {
			t.Errorf("nobody is there to be asked: %v", err)
		}
		held := errors.New("no")
		var asked []string
		l.ConfirmTurn = func(after string) error { asked = append(asked, after); return held }
		if err := l.between(t.Context(), last); err != nil || asked != nil {
			t.Errorf("after the last turn: %v, asked %v", err, asked)
		}
		if err := l.between(t.Context(), first); err != held || len(asked) != 1 || asked[0] != "cp-1" {
			t.Errorf("%v, asked after %v", err, asked)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := l.between(ctx, first); !errors.Is(err, context.Canceled) {
			t.Errorf("interrupted while it waits: %v", err)
		}
	})
}
