package agent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/haplane/haplane/internal/lease"
)

// A leaseSocket sends and receives what load balancers and voters tell each other, signed.
type leaseSocket struct {
	conn *net.UDPConn
	keys *keyFile
	log  *slog.Logger
	told time.Time // when it last logged of a message that is none
}

// listenLease listens at an address until ctx ends. Keys are read from a file, and again when that is replaced.
func listenLease(ctx context.Context, at netip.AddrPort, key string, log *slog.Logger) (*leaseSocket, error) {
	keys := &keyFile{path: key, log: log}
	if err := keys.read(); err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	return &leaseSocket{conn: conn, keys: keys, log: log}, nil
}

// receive waits for a message of this cluster; false is the end of the socket.
func (s *leaseSocket) receive() (netip.AddrPort, lease.Message, bool) {
	buf := make([]byte, lease.MaxMessage+1)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return netip.AddrPort{}, lease.Message{}, false
		}
		if err != nil {
			continue // such as a port that was closed where we sent to
		}
		m, err := lease.Open(s.keys.all(), buf[:n])
		if err == nil {
			return netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), m, true
		}
		if time.Since(s.told) > time.Minute {
			s.log.Warn("what came is not taken", "from", from, "err", err)
			s.told = time.Now()
		}
	}
}

// send is no news when it fails: who does not get a message asks again.
func (s *leaseSocket) send(to netip.AddrPort, m lease.Message) {
	_, _ = s.conn.WriteToUDPAddrPort(lease.Seal(s.keys.all()[0], m), to)
}

// A keyFile has keys in hexadecimal, one a line: the first one signs, all are believed.
type keyFile struct {
	path   string
	log    *slog.Logger
	mu     sync.Mutex
	keys   [][]byte
	looked time.Time
	seen   os.FileInfo
}

// minKey is the shortest key that is taken, in bytes.
const minKey = 16

// all are the keys, at most a second old.
func (k *keyFile) all() [][]byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Since(k.looked) > time.Second {
		if err := k.read(); err != nil {
			k.log.Error("the keys of before stay", "err", err)
		}
	}
	return k.keys
}

func (k *keyFile) read() error {
	k.looked = time.Now()
	info, err := os.Stat(k.path)
	if err == nil && k.seen != nil && os.SameFile(info, k.seen) && info.ModTime().Equal(k.seen.ModTime()) && info.Size() == k.seen.Size() {
		return nil
	}
	text, err := os.ReadFile(k.path)
	if err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	var keys [][]byte
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		key, err := hex.DecodeString(lines.Text())
		if err != nil || len(key) < minKey {
			return fmt.Errorf("read keys: %s: line %d is no key of %d bytes or more in hexadecimal", k.path, len(keys)+1, minKey)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return fmt.Errorf("read keys: %s has none", k.path)
	}
	k.keys, k.seen = keys, info
	return nil
}
