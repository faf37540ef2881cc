//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// pace is the time between two requests of a lane.
const pace = 20 * time.Millisecond

// A lane sends one request after another through the load balancer.
type lane struct {
	name   string
	client *http.Client
	url    string

	mu       sync.Mutex
	sent     int
	deferred int // told to try again later, as an API server that stops may
	failures []string
	lastOK   time.Time
	gap      time.Duration // the longest time without an answer
}

// traffic is what clients send while something happens to the cluster.
type traffic struct {
	lanes []*lane
	stop  context.CancelFunc
	done  sync.WaitGroup
}

// startTraffic sends requests by new connections and by one that is kept.
func (c *cluster) startTraffic(t *testing.T) *traffic {
	t.Helper()
	config, err := rest.TLSConfigFor(c.config(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(background(t))
	tr := &traffic{stop: stop}
	for name, transport := range map[string]*http.Transport{
		"new connections":   {TLSClientConfig: config.Clone(), DisableKeepAlives: true},
		"reused connection": {TLSClientConfig: withHTTP2(config.Clone()), ForceAttemptHTTP2: true},
	} {
		l := &lane{name: name, url: "https://" + c.endpoint() + "/api/v1/namespaces/default", lastOK: time.Now(),
			client: &http.Client{Transport: transport, Timeout: 10 * time.Second}}
		tr.lanes = append(tr.lanes, l)
		tr.done.Go(func() { l.run(ctx) })
	}
	t.Cleanup(func() { stop(); tr.done.Wait() })
	return tr
}

func withHTTP2(config *tls.Config) *tls.Config {
	config.NextProtos = []string{"h2"}
	return config
}

func (l *lane) run(ctx context.Context) {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := l.send(ctx); ctx.Err() == nil {
			l.note(time.Now(), err)
		}
	}
}

func (l *lane) send(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, l.url, nil)
	if err != nil {
		return err
	}
	response, err := l.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode == http.StatusTooManyRequests && response.Header.Get("Retry-After") != "" {
		return errDeferred
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", response.Status)
	}
	return nil
}

// errDeferred is no failure: clients of Kubernetes send the request again by themselves.
var errDeferred = errors.New("try again later")

func (l *lane) note(now time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	if errors.Is(err, errDeferred) {
		l.deferred++
		return
	}
	if err != nil {
		l.failures = append(l.failures, now.Format("15:04:05.000 ")+err.Error())
		return
	}
	l.gap, l.lastOK = max(l.gap, now.Sub(l.lastOK)), now
}

// A tally is what a lane saw since the last one.
type tally struct {
	sent, deferred int
	failures       []string
	gap            time.Duration
}

func (l *lane) take() tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := tally{l.sent, l.deferred, l.failures, max(l.gap, time.Since(l.lastOK))}
	l.sent, l.deferred, l.failures, l.gap, l.lastOK = 0, 0, nil, 0, time.Now()
	return out
}

// report logs what each lane saw since the last report, and returns how many
// requests failed in the worst.
func (tr *traffic) report(t *testing.T, event string) int {
	t.Helper()
	failed := 0
	for _, l := range tr.lanes {
		seen := l.take()
		failed = max(failed, len(seen.failures))
		t.Logf("%s: %s: %d of %d requests failed, %d deferred, longest gap %s", event, l.name, len(seen.failures), seen.sent, seen.deferred, ms(seen.gap))
		for _, f := range seen.failures[:min(5, len(seen.failures))] {
			t.Logf("  %s", f)
		}
		if seen.sent < 50 {
			t.Errorf("%s: %s: %d requests say nothing", event, l.name, seen.sent)
		}
	}
	return failed
}

// answers waits until every lane has had answers only for a second.
func (tr *traffic) answers(t *testing.T, limit time.Duration) {
	t.Helper()
	for _, l := range tr.lanes {
		since, sent, failed := time.Now(), 0, 0
		wait(t, limit, l.name+" to be answered", func(context.Context) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			if len(l.failures) != failed {
				since, sent, failed = time.Now(), l.sent, len(l.failures)
			}
			if time.Since(since) < time.Second || l.sent < sent+10 {
				return fmt.Errorf("%d requests since the last failure", l.sent-sent)
			}
			return nil
		})
	}
}
