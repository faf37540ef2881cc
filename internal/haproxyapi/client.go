// Package haproxyapi reads and steers HAProxy through its runtime API (the
// stats socket): parsers of what it prints, and a client over any way to send a line.
package haproxyapi

import (
	"context"
	"fmt"
	"strings"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/topology"
)

// A Commander sends one command to HAProxy's runtime API and returns the answer.
type Commander interface {
	Command(ctx context.Context, text string) (string, error)
}

// A Client asks and commands one HAProxy.
type Client struct{ commander Commander }

// New returns a client that speaks through c.
func New(c Commander) *Client { return &Client{commander: c} }

// Backends returns all backends with their servers.
func (c *Client) Backends(ctx context.Context) ([]Backend, error) {
	text, err := c.commander.Command(ctx, "show stat")
	if err != nil {
		return nil, fmt.Errorf("haproxy: show stat: %w", err)
	}
	return ParseStat(text)
}

// ServersState returns the state of every server of a backend; of all with backend "".
func (c *Client) ServersState(ctx context.Context, backend string) ([]ServerState, error) {
	command := strings.TrimSpace("show servers state " + backend)
	text, err := c.commander.Command(ctx, command)
	if err != nil {
		return nil, fmt.Errorf("haproxy: %s: %w", command, err)
	}
	return ParseServersState(text)
}

// OnMachine returns a Commander for the HAProxy that runs on m. The machine needs socat.
func OnMachine(m machine.Machine) Commander { return onMachine{m} }

type onMachine struct{ machine machine.Machine }

func (o onMachine) Command(ctx context.Context, text string) (string, error) {
	// Without -t, socat gives up 0.5 s after the end of its input, and a busy
	// HAProxy's answer would be cut short without an error.
	cmd := machine.Cmd("socat", "-t", "5", "-", "UNIX-CONNECT:"+topology.HAProxySocket)
	cmd.Stdin = strings.NewReader(text + "\n")
	result, err := o.machine.Run(ctx, cmd)
	return result.Stdout, err
}
