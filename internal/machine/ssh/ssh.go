// Package ssh reaches machines with the OpenSSH client, so that whatever the
// user's ssh can reach, haplane can: configuration, agent, jump hosts, known hosts.
// All commands to one machine share one connection, if a client is not told otherwise.
package ssh

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/haplane/haplane/internal/child"
	"github.com/haplane/haplane/internal/machine"
)

// A Client holds the connections to the machines of one cluster.
type Client struct {
	// Sudo runs commands with sudo, without a password, where the user at the other
	// end is not root. It is set before the first command.
	Sudo bool
	// Direct gives each command a connection of its own, where one command to each
	// machine is all: a connection to share is a process more.
	Direct bool

	config string // an ssh_config file; "" is the user's own
	dir    string // control sockets
	log    *slog.Logger

	mu      sync.Mutex
	masters map[string]*master // by destination
}

// New returns a client that reads the given ssh_config file; "" is that of the
// user who runs it. Close must be called.
func New(config string, log *slog.Logger) (*Client, error) {
	Sweep()
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", dirPrefix, os.Getpid())) // short: a socket's path has at most 104 bytes
	if err != nil {
		return nil, fmt.Errorf("make folder for control sockets: %w", err)
	}
	return &Client{config: config, dir: dir, log: log, masters: map[string]*master{}}, nil
}

// dirPrefix starts the names of the folders for control sockets; the process's id follows.
const dirPrefix = "haplane-ssh-"

// Sweep removes the folders of clients whose process was killed.
func Sweep() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), dirPrefix+"*"))
	for _, dir := range dirs {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), dirPrefix), "-")
		if n, err := strconv.Atoi(pid); err == nil && errors.Is(syscall.Kill(n, 0), syscall.ESRCH) {
			_ = os.RemoveAll(dir)
		}
	}
}

// Machine returns the machine of the given name, as the ssh_config has it. It does not connect.
func (c *Client) Machine(name string) *Machine { return c.MachineAt(name, name) }

// MachineAt returns the machine of the given name that ssh reaches as destination:
// a host, or user@host. It does not connect.
func (c *Client) MachineAt(name, destination string) *Machine {
	return &Machine{client: c, name: name, destination: destination}
}

// Close ends all connections.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.masters {
		m.end()
	}
	return os.RemoveAll(c.dir)
}

// A master is an ssh process that owns the connection to one machine. It is a
// child of ours and dies with us.
type master struct {
	socket string
	mu     sync.Mutex // held while connecting
	cmd    *exec.Cmd
	exited chan struct{}
	stderr bytes.Buffer
}

func (m *master) end() {
	if m.cmd != nil {
		_ = m.cmd.Process.Kill()
		<-m.exited
	}
}

func (m *master) alive() bool {
	if m.cmd == nil {
		return false
	}
	select {
	case <-m.exited:
		return false
	default:
		return true
	}
}

// connect makes sure that there is a connection to the machine, and returns its socket.
func (c *Client) connect(ctx context.Context, to *Machine) (socket string, err error) {
	c.mu.Lock()
	m := c.masters[to.destination]
	if m == nil { // numbered, for the name of a host may be too long for a socket's path
		m = &master{socket: filepath.Join(c.dir, strconv.Itoa(len(c.masters)))}
		c.masters[to.destination] = m
	}
	c.mu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.alive() {
		return m.socket, nil
	}
	return m.socket, m.start(ctx, to)
}

// args are those of every ssh that shares a connection. What a user's configuration
// may have for sessions of their own is turned off: a connection that goes to the
// background, a command instead of ours, forwarded ports, agents and displays.
func (c *Client) args(socket string, more ...string) []string {
	args := []string{"-S", socket, "-a", "-x", "-o", "BatchMode=yes", "-o", "ControlPersist=no",
		"-o", "RemoteCommand=none", "-o", "ClearAllForwardings=yes"}
	if c.config != "" {
		args = append(args, "-F", c.config)
	}
	return append(args, more...)
}

func (m *master) start(ctx context.Context, to *Machine) error {
	name := to.name
	_ = os.Remove(m.socket)
	m.stderr.Reset()
	// Not CommandContext: the connection outlives the command that asked for it.
	m.cmd = exec.Command("ssh", to.client.args(m.socket, "-M", "-N", "--", to.destination)...)
	m.cmd.Stderr = &m.stderr
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := child.Start(m.cmd, syscall.SIGTERM); err != nil {
		m.cmd = nil
		return fmt.Errorf("connect to %s: %w", name, err)
	}
	m.exited = make(chan struct{})
	go func() { _ = m.cmd.Wait(); close(m.exited) }()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		if _, err := os.Stat(m.socket); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			m.end()
			return fmt.Errorf("connect to %s: %w%s", name, ctx.Err(), lastLine(": ", m.stderr.String()))
		case <-m.exited:
			return fmt.Errorf("connect to %s: ssh ended%s", name, lastLine(": ", m.stderr.String()))
		case <-ticker.C:
		}
	}
}

// Check tells whether this host has what the package needs.
func Check() error {
	if _, err := exec.LookPath("ssh"); err != nil {
		return errors.New("program ssh is missing (apt-get install openssh-client)")
	}
	return nil
}

// A Machine is reached over SSH. It implements machine.Machine.
type Machine struct {
	client      *Client
	name        string
	destination string
}

var _ machine.Machine = (*Machine)(nil)

// Name is the node's name.
func (m *Machine) Name() string { return m.name }

// connectionLost is the exit status with which ssh tells of its own trouble.
const connectionLost = 255

// outputDelay is how long what ssh has written may take to be read after ssh has ended. On a host that has too much
// to do, a second was not enough.
const outputDelay = 10 * time.Second

// Run runs a command on the machine.
func (m *Machine) Run(ctx context.Context, cmd machine.Command) (machine.Result, error) {
	socket := "none"
	if !m.client.Direct {
		var err error
		if socket, err = m.client.connect(ctx, m); err != nil {
			return machine.Result{}, err
		}
	}
	c := exec.CommandContext(ctx, "ssh", m.client.args(socket, "-o", "ControlMaster=no", "-T", "--", m.destination, m.client.line(cmd.Argv))...)
	c.WaitDelay = outputDelay
	var stdout, stderr bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = cmd.Stdin, &stdout, &stderr
	if cmd.Stdout != nil {
		c.Stdout = io.MultiWriter(&stdout, cmd.Stdout)
	}
	start := time.Now()
	err := c.Run()
	m.client.log.Debug("ran", "machine", m.name, "argv", cmd.Argv, "elapsed", time.Since(start), "err", err)
	result := machine.Result{Stdout: stdout.String(), Stderr: stderr.String()}
	if err == nil {
		return result, nil
	}
	if ctx.Err() != nil {
		return result, fmt.Errorf("%s: %s: %w", m.name, machine.Short(cmd.Argv), ctx.Err())
	}
	var exit *exec.ExitError
	switch exited := errors.As(err, &exit); {
	case exited && exit.ExitCode() != connectionLost:
		return result, &machine.CommandError{Machine: m.name, Argv: cmd.Argv, ExitCode: exit.ExitCode(), Stderr: result.Stderr}
	case exited && m.client.Direct && stdout.Len() == 0:
		return result, fmt.Errorf("connect to %s: ssh ended%s", m.name, lastLine(": ", result.Stderr))
	}
	return result, fmt.Errorf("run on %s: %s: %w%s", m.name, machine.Short(cmd.Argv), err, lastLine(": ", result.Stderr))
}

// asRoot is a constant script; the command is its arguments. The kernel's word for the
// effective user takes no process.
const asRoot = `while read -r key real user rest && [ "$key" != Uid: ]; do :; done </proc/self/status; [ "$user" = 0 ] || exec sudo -n -- "$@"; exec "$@"`

// line is a command as the shell at the other end reads it.
func (c *Client) line(argv []string) string {
	if c.Sudo {
		argv = shell(asRoot, argv...)
	}
	return machine.Quote(argv)
}

func lastLine(prefix, text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
		return prefix + last
	}
	return ""
}
