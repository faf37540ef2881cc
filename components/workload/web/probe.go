package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// A prober asks a URL on a fixed schedule, whatever becomes of earlier requests, and
// prints what it saw once a second.
type prober struct {
	out     io.Writer
	client  *http.Client
	request func(ctx context.Context) (*http.Request, error)
	period  time.Duration
	timeout time.Duration

	mu      sync.Mutex
	flying  map[int64]bool // when requests under way were due
	next    int64          // when the next one is due
	samples []sample
}

// A sample is a request that has ended. Times are in microseconds, Due since 1970.
type sample struct {
	Due      int64  `json:"due"`
	Took     int64  `json:"took"`
	Deferred int    `json:"deferred,omitempty"`
	Error    string `json:"error,omitempty"`
}

// A line is what is printed. Every request that was due before Until is in it, or
// in an earlier one.
type line struct {
	Until   int64    `json:"until"`
	Samples []sample `json:"samples"`
}

// probeKube asks the API server through its Service as the pod's service account, by
// the Service's address: that of a name is another matter.
func probeKube(ctx context.Context, out io.Writer, period, timeout time.Duration) error {
	if period <= 0 || timeout <= 0 {
		return errors.New("probe: --period and --timeout must be positive")
	}
	ca, err := os.ReadFile(filepath.Join(accountDir, "ca.crt"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return errors.New("ca.crt has no certificate")
	}
	url := "https://" + net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")) + "/version"
	p := &prober{out: out, period: period, timeout: timeout,
		client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}},
		request: func(ctx context.Context) (*http.Request, error) {
			token, err := os.ReadFile(filepath.Join(accountDir, "token")) // kubelet renews it
			if err != nil {
				return nil, err
			}
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err == nil {
				r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
			}
			return r, err
		}}
	return p.run(ctx)
}

// run probes until ctx ends, and then prints what is left.
func (p *prober) run(ctx context.Context) error {
	start := time.Now()
	p.flying, p.next = map[int64]bool{}, start.UnixMicro()
	var all sync.WaitGroup
	all.Go(func() {
		for n := 0; pause(ctx, time.Until(start.Add(time.Duration(n)*p.period))); n++ {
			due := start.Add(time.Duration(n) * p.period)
			p.begin(due)
			all.Go(func() { p.end(p.ask(due)) })
		}
	})
	for pause(ctx, time.Second) {
		if err := p.print(); err != nil {
			return err
		}
	}
	all.Wait()
	return p.print()
}

func (p *prober) begin(due time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flying[due.UnixMicro()] = true
	p.next = due.Add(p.period).UnixMicro()
}

func (p *prober) end(s sample) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.flying, s.Due)
	p.samples = append(p.samples, s)
}

// ask sends the request, again where the API server defers it.
func (p *prober) ask(due time.Time) sample {
	ctx, cancel := context.WithDeadline(context.Background(), due.Add(p.timeout))
	defer cancel()
	s := sample{Due: due.UnixMicro()}
	for {
		wait, err := p.once(ctx)
		if wait > 0 {
			s.Deferred++
			if pause(ctx, wait) {
				continue
			}
		}
		if err != nil {
			s.Error = err.Error()
		}
		s.Took = time.Since(due).Microseconds()
		return s
	}
}

// once returns how long to wait where the answer is to come again later.
func (p *prober) once(ctx context.Context) (time.Duration, error) {
	request, err := p.request(ctx)
	if err != nil {
		return 0, err
	}
	response, err := p.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close() //nolint:errcheck // read only
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return 0, err
	}
	if response.StatusCode < 300 {
		return 0, nil
	}
	err = fmt.Errorf("status %s", response.Status)
	seconds, bad := time.ParseDuration(response.Header.Get("Retry-After") + "s")
	if bad == nil && (response.StatusCode == http.StatusTooManyRequests || response.StatusCode >= 500) {
		return seconds, err
	}
	return 0, err
}

func (p *prober) print() error {
	p.mu.Lock()
	l := line{Until: p.next, Samples: p.samples}
	for due := range p.flying {
		l.Until = min(l.Until, due)
	}
	p.samples = nil
	p.mu.Unlock()
	return json.NewEncoder(p.out).Encode(l)
}

// pause reports whether the time went by before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
