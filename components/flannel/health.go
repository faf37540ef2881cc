package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	log "k8s.io/klog/v2"
)

// health answers /healthz (the process is alive) and /readyz (pods have a network).
type health struct{ ready atomic.Bool }

func (h *health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/healthz", r.URL.Path == "/readyz" && h.ready.Load():
		fmt.Fprintln(w, "ok")
	case r.URL.Path == "/readyz":
		http.Error(w, "no lease yet", http.StatusServiceUnavailable)
	default:
		http.NotFound(w, r)
	}
}

// serve listens on address, if there is one, until ctx ends.
func (h *health) serve(ctx context.Context, address string) error {
	if address == "" {
		return nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("serve health: %w", err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.ErrorS(err, "health server stopped")
		}
	}()
	return nil
}
