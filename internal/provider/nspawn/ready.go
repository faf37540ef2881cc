package nspawn

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/poll"
)

// Ready waits until the sshd of every named machine greets, or of every machine.
// A machine whose process has ended is an error at once, with its last words.
func (p *Provider) Ready(ctx context.Context, names ...string) error {
	records, err := p.records(names)
	if err != nil {
		return err
	}
	return each(records, func(_ int, r record) error {
		return poll.Until(ctx, 50*time.Millisecond, func(ctx context.Context) error {
			proc, err := p.readProcess(r.Name)
			if err != nil || !proc.alive() {
				return poll.Stop(fmt.Errorf("machine %s does not run: %s", r.Name, p.lastLines(r.Name)))
			}
			if err := greets(ctx, r.Addresses[0]); err != nil {
				return fmt.Errorf("wait for sshd of machine %s: %w", r.Name, err)
			}
			return nil
		})
	})
}

// greetTimeout is for an sshd that has taken the connection: on a loaded host it needs its time to greet.
const greetTimeout = 10 * time.Second

func greets(ctx context.Context, address netip.Addr) error {
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(address, 22).String())
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	_ = conn.SetDeadline(time.Now().Add(greetTimeout))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "SSH-2.0-") {
		err = fmt.Errorf("greeting is %q", line)
	}
	return err
}
