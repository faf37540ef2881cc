package collect

import (
	"net/http"
	"sync"
	"time"
)

// A clock compares the Date of answers with the clock of this host. A Date is cut
// to the second, so an answer tells that the server is ahead by something between
// low and high; several answers tell it more closely.
type clock struct {
	mu        sync.Mutex
	heard     bool
	low, high time.Duration
}

func (c *clock) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		sent := time.Now()
		response, err := next.RoundTrip(r)
		if err == nil {
			c.hear(response.Header.Get("Date"), sent, time.Now())
		}
		return response, err
	})
}

func (c *clock) hear(date string, sent, received time.Time) {
	at, err := http.ParseTime(date)
	if err != nil {
		return
	}
	low, high := at.Sub(received), at.Add(time.Second).Sub(sent)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.heard {
		c.heard, c.low, c.high = true, low, high
	}
	c.low, c.high = max(c.low, low), min(c.high, high)
}

// ahead is how far the server is ahead, to the second: 0 where that fits as well.
// Servers behind a load balancer that disagree give something between them.
func (c *clock) ahead() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.low <= 0 && c.high >= 0 {
		return 0
	}
	return ((c.low + c.high) / 2).Round(time.Second)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
