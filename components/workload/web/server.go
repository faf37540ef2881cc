package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// drainTime is how long requests in flight may take after SIGTERM.
const drainTime = 5 * time.Second

func serve(ctx context.Context, address string) error {
	server := &http.Server{Addr: address, Handler: handler(), ReadHeaderTimeout: 5 * time.Second}
	drained := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		limit, cancel := context.WithTimeout(context.Background(), drainTime)
		defer cancel()
		drained <- server.Shutdown(limit)
	})
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-drained
}

func handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", identity)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /kube", askKube)
	mux.HandleFunc("GET /kube/{path...}", askKube)
	return mux
}

// identity tells which pod answered, so that a test sees how requests spread.
func identity(w http.ResponseWriter, r *http.Request) {
	host, _ := os.Hostname()
	fmt.Fprintf(w, "hostname: %s\naddress: %s\nclient: %s\n", host, strings.Join(addresses(), " "), r.RemoteAddr)
}

// addresses returns the pod's addresses, or POD_IP's if that is set.
func addresses() []string {
	if ip := os.Getenv("POD_IP"); ip != "" {
		return []string{ip}
	}
	var found []string
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			found = append(found, n.IP.String())
		}
	}
	return found
}

// askKube passes the API server's answer on; what kept it from answering is a 502.
func askKube(w http.ResponseWriter, r *http.Request) {
	path := r.PathValue("path")
	if path != "" && r.URL.RawQuery != "" {
		path += "?" + r.URL.RawQuery
	}
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	status, body, err := fetchKube(ctx, path)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
