package collect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// hungAfter is how long a server may say nothing before it counts as hung, whatever
// --timeout allows for the rest: one that was stopped takes connections still, and its
// kernel acknowledges what is sent. A healthy one takes milliseconds.
const hungAfter = 3 * time.Second

// hungLimit is that within the time that there is.
func hungLimit(timeout time.Duration) time.Duration { return min(timeout, hungAfter) }

// A silence is that of a server that hangs.
type silence struct{ lasted time.Duration }

func (s silence) Error() string { return fmt.Sprintf("no answer within %s", s.lasted) }

// A listener gives up on a server that has said nothing at all to any request, once: what
// would be sent afterwards is not. It counts from when a request is sent: a credential plugin
// may take its time before.
type listener struct {
	limit         time.Duration
	heard, gaveUp atomic.Bool
}

func (l *listener) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if l.gaveUp.Load() && !l.heard.Load() {
			return nil, silence{l.limit}
		}
		ctx, giveUp := context.WithCancelCause(r.Context())
		timer := time.AfterFunc(l.limit, func() {
			if !l.heard.Load() {
				l.gaveUp.Store(true)
				giveUp(silence{l.limit})
			}
		})
		response, err := next.RoundTrip(r.WithContext(ctx)) // the body is read later: until then the context goes on
		timer.Stop()
		if hung := (silence{}); err != nil && errors.As(context.Cause(ctx), &hung) {
			return nil, hung
		}
		if err == nil {
			l.heard.Store(true)
		}
		return response, err
	})
}
