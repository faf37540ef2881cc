package haproxyapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/poll"
)

// TestRealHAProxy speaks to the distribution's HAProxy: the parsers' columns are its, not ours.
func TestRealHAProxy(t *testing.T) {
	ready := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer ready.Close()
	address := ready.Listener.Addr().String()
	client := New(startHAProxy(t, address))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	awaitStatus(ctx, t, client, "UP")
	backends, err := client.Backends(ctx)
	if err != nil {
		t.Fatal(err)
	}
	server := backends[0].Servers[0]
	if server.Address != address || server.LastCheck.Code != 200 || server.LastCheck.Status != "L7OK" {
		t.Errorf("server %+v, want address %s and check L7OK 200", server, address)
	}

	for _, step := range []struct {
		state  State
		status string
		admin  Admin
	}{{Drain, "DRAIN", AdminDrain}, {Maint, "MAINT", AdminMaint}, {Ready, "UP", 0}} {
		for range 2 { // what is so already is success
			if err := client.SetState(ctx, "api", "cp-1", step.state); err != nil {
				t.Fatal(err)
			}
		}
		awaitStatus(ctx, t, client, step.status)
		states, err := client.ServersState(ctx, "api")
		if err != nil {
			t.Fatal(err)
		}
		if len(states) != 1 || states[0].Name != "cp-1" || states[0].Admin != step.admin {
			t.Errorf("after %s: %+v, want admin state %d", step.state, states, step.admin)
		}
		if states[0].Address.String() != address {
			t.Errorf("address %s, want %s", states[0].Address, address)
		}
	}

	for place, want := range map[[2]string]string{{"api", "cp-9"}: "set server api/cp-9 state drain: no such server", {"web", "cp-1"}: "set server web/cp-1"} {
		err := client.SetState(ctx, place[0], place[1], Drain)
		if !errors.Is(err, ErrNoServer) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want %q", place, err, want)
		}
		if _, err := client.Sessions(ctx, place[0], place[1]); !errors.Is(err, ErrNoServer) {
			t.Errorf("sessions of %v: error %v", place, err)
		}
	}
	if err := client.SetState(ctx, "api", "cp-1", "away"); err == nil || errors.Is(err, ErrNoServer) {
		t.Errorf("a state that is none: error %v", err)
	}
	if _, err := client.ServersState(ctx, "nowhere"); err == nil {
		t.Error("no error for an unknown backend")
	}
}

func awaitStatus(ctx context.Context, t *testing.T, client *Client, want string) {
	t.Helper()
	err := poll.Until(ctx, 20*time.Millisecond, func(ctx context.Context) error {
		backends, err := client.Backends(ctx)
		if err != nil {
			return err
		}
		if got := backends[0].Servers[0].Status; got != want {
			return fmt.Errorf("cp-1 is %q, want %q", got, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

const haproxyConfig = `global
  stats socket %[1]s mode 600 level admin
  maxconn 100
defaults
  mode tcp
  timeout connect 1s
  timeout client 5s
  timeout server 5s
backend api
  option httpchk GET /readyz
  default-server check inter 100ms fall 1 rise 1
  server cp-1 %[2]s
frontend in
  bind %[3]s
  default_backend api
`

// startHAProxy runs haproxy in the foreground until the test ends.
func startHAProxy(t *testing.T, server string) unixSocket {
	t.Helper()
	// Debian has it where a user's PATH does not look.
	binary, err := exec.LookPath("haproxy")
	if err != nil {
		binary, err = exec.LookPath("/usr/sbin/haproxy")
	}
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("haproxy is not installed")
		}
		t.Skip("haproxy is not installed")
	}
	// Not t.TempDir: a Unix socket's path has at most 107 bytes.
	dir, err := os.MkdirTemp("", "haproxy")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket, config := filepath.Join(dir, "s"), filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(config, fmt.Appendf(nil, haproxyConfig, socket, server, "unix@"+filepath.Join(dir, "in")), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "-db", "-q", "-f", config)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	commander := unixSocket(socket)
	err = poll.Until(ctx, 20*time.Millisecond, func(ctx context.Context) error {
		_, err := commander.Command(ctx, "show info")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return commander
}

type unixSocket string

func (u unixSocket) Command(ctx context.Context, text string) (string, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", string(u))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text+"\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

// recorder is a machine that answers every command with the same text.
type recorder struct {
	machine.Machine
	argv   []string
	stdin  string
	answer string
	err    error
}

func (r *recorder) Run(_ context.Context, cmd machine.Command) (machine.Result, error) {
	in, _ := io.ReadAll(cmd.Stdin)
	r.argv, r.stdin = cmd.Argv, string(in)
	return machine.Result{Stdout: r.answer}, r.err
}

func TestOnMachine(t *testing.T) {
	r := &recorder{answer: "\n"}
	if _, err := OnMachine(r).Command(t.Context(), "show info"); err != nil {
		t.Fatal(err)
	}
	want := []string{"socat", "-t", "5", "-", "UNIX-CONNECT:/run/haproxy/admin.sock"}
	if diff := cmp.Diff(want, r.argv); diff != "" {
		t.Error("-want +got\n" + diff)
	}
	if r.stdin != "show info\n" {
		t.Errorf("stdin %q", r.stdin)
	}
	r.err = &machine.CommandError{Machine: "lb", Argv: want, ExitCode: 1}
	if _, err := New(OnMachine(r)).Backends(t.Context()); err == nil || !strings.Contains(err.Error(), "lb: socat") {
		t.Errorf("error %v, want one that names the machine", err)
	}
}
