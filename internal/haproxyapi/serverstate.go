package haproxyapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// State is what an operator wants of a server.
type State string

// The states that `set server` takes.
const (
	Ready State = "ready" // take traffic when healthy
	Drain State = "drain" // keep established connections, take no new ones
	Maint State = "maint" // take none; health checks stop too
)

// admin is what a state looks like when it is read back.
var admin = map[State]Admin{Ready: 0, Drain: AdminDrain, Maint: AdminMaint}

// ErrNoServer is a server, or its backend, that HAProxy does not have.
var ErrNoServer = errors.New("no such server")

// SetState makes a server ready, drained or in maintenance, and reads back that it
// is. One that is so already is left so. It lasts until the next command, restart, or reload
// without a state file.
func (c *Client) SetState(ctx context.Context, backend, server string, state State) error {
	command := fmt.Sprintf("set server %s/%s state %s", backend, server, state)
	answer, err := c.commander.Command(ctx, command)
	if err != nil {
		return fmt.Errorf("haproxy: %s: %w", command, err)
	}
	// HAProxy is silent when it obeys.
	switch answer = strings.TrimSpace(answer); answer {
	case "":
	case "No such server.", "No such backend.":
		return fmt.Errorf("haproxy: %s: %w", command, ErrNoServer)
	default:
		return fmt.Errorf("haproxy: %s: %s", command, answer)
	}
	if err := c.isIn(ctx, backend, server, state); err != nil {
		return fmt.Errorf("haproxy: %s: %w", command, err)
	}
	return nil
}

func (c *Client) isIn(ctx context.Context, backend, server string, state State) error {
	states, err := c.ServersState(ctx, backend)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(states, func(s ServerState) bool { return s.Backend == backend && s.Name == server })
	if i < 0 {
		return ErrNoServer
	}
	if got := states[i].Admin; got&^AdminMaintConf != admin[state] {
		return fmt.Errorf("no effect: the admin state is %#x, want %#x", int(got), int(admin[state]))
	}
	return nil
}

// Sessions returns how many connections a server has right now.
func (c *Client) Sessions(ctx context.Context, backend, server string) (int, error) {
	backends, err := c.Backends(ctx)
	if err != nil {
		return 0, err
	}
	for _, b := range backends {
		for _, s := range b.Servers {
			if b.Name == backend && s.Name == server {
				return int(s.Sessions.Current), nil
			}
		}
	}
	return 0, fmt.Errorf("haproxy: sessions of %s/%s: %w", backend, server, ErrNoServer)
}
