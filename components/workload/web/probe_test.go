package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// A server that refuses the third request, defers the fifth once, and hangs at the seventh.
func TestProbe(t *testing.T) {
	var count atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch count.Add(1) {
		case 3:
			w.WriteHeader(http.StatusInternalServerError)
		case 5:
			w.Header().Set("Retry-After", "0.001")
			w.WriteHeader(http.StatusTooManyRequests)
		case 7:
			<-r.Context().Done()
		}
	}))
	defer server.Close()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var asked atomic.Int64
	var out bytes.Buffer
	p := &prober{out: &out, client: server.Client(), period: 10 * time.Millisecond, timeout: 300 * time.Millisecond}
	p.request = func(ctx context.Context) (*http.Request, error) {
		if asked.Add(1) == 20 {
			stop()
		}
		return http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
	}
	if err := p.run(ctx); err != nil {
		t.Fatal(err)
	}
	var samples []sample
	until := int64(0)
	for d := json.NewDecoder(&out); d.More(); {
		var l line
		if err := d.Decode(&l); err != nil {
			t.Fatal(err)
		}
		samples, until = append(samples, l.Samples...), l.Until
	}
	failed, deferred, last := 0, 0, int64(0)
	for _, s := range samples {
		if s.Error != "" {
			failed++
		}
		deferred += s.Deferred
		last = max(last, s.Due)
	}
	// One of the requests was a second attempt.
	if len(samples) != int(asked.Load())-1 || failed != 2 || deferred != 1 || until != last+10_000 {
		t.Errorf("%d samples, %d failed, %d deferred, until %d after the last", len(samples), failed, deferred, until-last)
	}
}
