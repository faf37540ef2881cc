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
	hangs  atomic.Bool
	silent atomic.Int32 // who asked meanwhile
}

func (f *fakeHAProxy) serve() {
	for {
		conn, err := f.Accept()
		if err != nil {
			return
		}
		if f.hangs.Load() {
			defer conn.Close()
			f.silent.Add(1)
			continue
		}
		_, _ = conn.Read(make([]byte, 64))
		_, _ = conn.Write([]byte("2.6.12\n"))
		conn.Close()
	}
}

// Where this program is late every time, HAProxy is not thought well for ever.
func TestSilenceIsExcusedForAWhile(t *testing.T) {
	tests := map[string]struct {
		took, silence time.Duration
		want          bool
	}{
		"in time":                {mayBeSilent, mayBeSilent, false},
		"late":                   {mayBeSilent + 2*askEvery, time.Second, true},
		"late, and silent since": {mayBeSilent + 2*askEvery, longestSilence, false},
	}
	for name, tt := range tests {
		if got := excused(tt.took, tt.silence); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
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

// Silence of a HAProxy that was just told to load its configuration does not count: the process that takes over has not begun yet.
func TestBalancerWaitsForAReload(t *testing.T) {
	dir, err := os.MkdirTemp("", "balancer")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	o := BalancerOptions{Socket: filepath.Join(dir, "s"), TrackFile: filepath.Join(dir, "track"), Loaded: filepath.Join(dir, "haproxy.loaded"), Log: slog.New(slog.DiscardHandler)}
	l, err := net.Listen("unix", o.Socket)
	if err != nil {
		t.Fatal(err)
	}
	haproxy := &fakeHAProxy{Listener: l}
	go haproxy.serve()
	defer haproxy.Close()
	if err := errors.Join(writeTrack(o.TrackFile, true), os.WriteFile(o.Loaded, []byte("digest\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	haproxy.hangs.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan error)
	go func() { done <- RunBalancer(ctx, o) }()
	if err := poll.Until(ctx, 5*time.Millisecond, func(context.Context) error {
		if now := time.Now(); os.Chtimes(o.Loaded, now, now) != nil || haproxy.silent.Load() < 4 {
			return errors.New("it was not asked four times yet")
		}
		return nil
	}); err != nil || !said(o.TrackFile) {
		t.Fatalf("well %v, %v", said(o.TrackFile), err)
	}
	if long := time.Now().Add(-mayLoad); os.Chtimes(o.Loaded, long, long) != nil {
		t.Fatal("the reload cannot be long ago")
	}
	if err := poll.Until(ctx, 5*time.Millisecond, func(context.Context) error {
		if said(o.TrackFile) {
			return errors.New("one that hangs is well")
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
