package kubeprobe

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/client-go/rest"

	"github.com/haplane/haplane/internal/probe"
)

// A machine is where the connections of a server end. It may be cut off, and its process may be given no CPU.
type machine struct {
	net.Listener
	conns chan *net.TCPConn
	until atomic.Int64 // when the process reads again, in nanoseconds since 1970
}

func (m *machine) Accept() (net.Conn, error) {
	c, err := m.Listener.Accept()
	if err != nil {
		return nil, err
	}
	m.conns <- c.(*net.TCPConn)
	return &starved{c, m}, nil
}

// starved is a connection of a process that does not always run. Its kernel does.
type starved struct {
	net.Conn
	on *machine
}

func (s *starved) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	time.Sleep(time.Until(time.Unix(0, s.on.until.Load())))
	return n, err
}

// direct is the lane straight to a server on that machine.
func (m *machine) direct(t *testing.T) (probe.Lane, *atomic.Int64) {
	t.Helper()
	config, connections := serveOn(t, func(http.ResponseWriter, *http.Request) {}, func(l net.Listener) net.Listener { m.Listener = l; return m })
	config.TLSClientConfig = rest.TLSClientConfig{Insecure: true} // it is not named as API servers are
	target := ForConfig(config, nil)
	lane, err := target.Direct("cp-1", config.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lane.Close)
	return lane, connections
}

func newMachine() *machine { return &machine{conns: make(chan *net.TCPConn, 10)} }

// A lane straight to an API server leaves a connection to a machine that is gone, before the limit of its requests, and makes another.
func TestMachineGone(t *testing.T) {
	t.Parallel()
	m := newMachine()
	lane, connections := m.direct(t)
	if err := lane.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	dropAll(t, <-m.conns)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := lane.Send(ctx); !errors.Is(err, syscall.ETIMEDOUT) {
		t.Fatalf("a request to a machine that is gone: %v", err)
	}
	if err := lane.Send(ctx); err != nil || connections.Load() != 2 {
		t.Errorf("the next one: %v, on connection %d", err, connections.Load())
	}
}

// dropAll has the kernel drop what arrives on a connection, so that nothing is acknowledged any more.
func dropAll(t *testing.T, c *net.TCPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	nothing := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	err = errors.Join(raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing[0]})
	}), err)
	if err != nil {
		t.Fatal(err)
	}
}

// An API server that gets no CPU for longer than that answers late, on the same connection: nobody has to leave it.
func TestProcessStarved(t *testing.T) {
	t.Parallel()
	m := newMachine()
	lane, connections := m.direct(t)
	if err := lane.Send(t.Context()); err != nil {
		t.Fatal(err)
	}
	again := time.Now().Add(goneAfter + time.Second)
	m.until.Store(again.UnixNano())
	if err := lane.Send(t.Context()); err != nil || connections.Load() != 1 || time.Now().Before(again) {
		t.Errorf("%v after %s, on connection %d", err, time.Since(again), connections.Load())
	}
}
