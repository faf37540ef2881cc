package haproxyapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/haplane/haplane/internal/poll"
)

// TestDrainKeepsWhatIsOpen has one connection through a real HAProxy: a drain leaves it
// open and counted, and takes no other.
func TestDrainKeepsWhatIsOpen(t *testing.T) {
	ready := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	defer ready.Close()
	socket := startHAProxy(t, ready.Listener.Addr().String())
	client := New(socket)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	awaitStatus(ctx, t, client, "UP")

	conn, err := net.Dial("unix", filepath.Join(filepath.Dir(string(socket)), "in"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ask := func() error {
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: api\r\n\r\n"); err != nil {
			return err
		}
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		_, err = io.ReadAll(response.Body)
		return err
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	if err := client.SetState(ctx, "api", "cp-1", Drain); err != nil {
		t.Fatal(err)
	}
	if err := ask(); err != nil {
		t.Errorf("the connection that was open: %v", err)
	}
	awaitSessions(ctx, t, client, 1)
	conn.Close()
	awaitSessions(ctx, t, client, 0)
}

func awaitSessions(ctx context.Context, t *testing.T, client *Client, want int) {
	t.Helper()
	if err := poll.Until(ctx, 20*time.Millisecond, func(ctx context.Context) error {
		got, err := client.Sessions(ctx, "api", "cp-1")
		if err == nil && got != want {
			err = fmt.Errorf("%d sessions, want %d", got, want)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

// deaf takes every command and changes nothing.
type deaf struct{ admin Admin }

func (d deaf) Command(_ context.Context, text string) (string, error) {
	if strings.HasPrefix(text, "show servers state") {
		return fmt.Sprintf("%s3 api 1 cp-1 10.10.10.11 2 %d 1 - 6443\n", stateHeader, d.admin), nil
	}
	return "\n", nil
}

func TestSetStateReadsBack(t *testing.T) {
	tests := map[string]struct {
		state State
		admin Admin
		want  string // "" where it is so
	}{
		"ready":                     {Ready, 0, ""},
		"disabled once":             {Ready, AdminMaintConf, ""},
		"drained":                   {Drain, AdminDrain, ""},
		"not drained":               {Drain, 0, "no effect: the admin state is 0x0, want 0x8"},
		"inherits maintenance":      {Ready, 0x02, "no effect: the admin state is 0x2, want 0x0"},
		"in maintenance, not ready": {Ready, AdminMaint | AdminMaintConf, "no effect: the admin state is 0x5, want 0x0"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := New(deaf{tt.admin}).SetState(t.Context(), "api", "cp-1", tt.state)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	if err := New(deaf{}).SetState(t.Context(), "api", "cp-2", Ready); !errors.Is(err, ErrNoServer) {
		t.Errorf("a server that is not there: %v", err)
	}
}
