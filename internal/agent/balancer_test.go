package agent

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/haplane/haplane/internal/poll"
)

func TestBalancerHealth(t *testing.T) {
	refused, silent := errors.New("refused"), os.ErrDeadlineExceeded
	var b balancerHealth
	for i, one := range []struct {
		err  error
		well bool
	}{
		{nil, false}, {nil, false}, {nil, true},
		{refused, true}, {nil, true}, {refused, true}, {refused, false}, // one refusal is a reload
		{nil, false}, {refused, false}, {nil, false}, {nil, false}, {nil, true},
		{silent, false}, {nil, false}, {nil, false}, {nil, true},
	} {
		before := b.well
		if well, changed := b.note(one.err); well != one.well || changed != (well != before) {
			t.Fatalf("answer %d (%v): well %v, changed %v", i, one.err, well, changed)
		}
	}
}

// A haproxy answers on a socket, until it hangs.
type fakeHAProxy struct {
	net.Listener
	hangs atomic.Bool
}

func (f *fakeHAProxy) serve() {
	for {
		conn, err := f.Accept()
		if err != nil {
			return
		}
		if f.hangs.Load() {
			defer conn.Close()
			continue
		}
		_, _ = conn.Read(make([]byte, 64))
		_, _ = conn.Write([]byte("2.6.12\n"))
		conn.Close()
	}
}

func TestBalancerTellsKeepalived(t *testing.T) {
	dir, err := os.MkdirTemp("", "balancer") // a Unix socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket, file := filepath.Join(dir, "s"), filepath.Join(dir, "track")
	listen := func() *fakeHAProxy {
		l, err := net.Listen("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		f := &fakeHAProxy{Listener: l}
		go f.serve()
		return f
	}
	says := func(want string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if err := poll.Until(ctx, 5*time.Millisecond, func(context.Context) error {
			if got, err := os.ReadFile(file); err != nil || strings.TrimSpace(string(got)) != want {
				return errors.New(want + " is not there yet")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- RunBalancer(ctx, BalancerOptions{Socket: socket, TrackFile: file, Log: slog.New(slog.DiscardHandler)})
	}()
	says("1")
	haproxy := listen()
	says("0")
	haproxy.Close()
	says("1")
	haproxy = listen()
	says("0")
	haproxy.hangs.Store(true)
	says("1")
	haproxy.hangs.Store(false)
	says("0")
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	// Started anew it goes on as it was.
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if err := RunBalancer(ctx, BalancerOptions{Socket: socket, TrackFile: file, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Error(err)
	}
	says("0")
	haproxy.Close()
	if err := RunBalancer(t.Context(), BalancerOptions{TrackFile: filepath.Join(dir, "none", "track")}); err == nil {
		t.Error("no error where nobody can be told")
	}
}
