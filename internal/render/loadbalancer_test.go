package render

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/haproxyapi"
	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/spec"
)

// A fakeServer says its name, until it hangs: it then takes connections as a frozen
// program's kernel does, and those that it has stay. Of its health it says what it is told to.
type fakeServer struct {
	*httptest.Server
	hangs             atomic.Bool
	unready, starting atomic.Bool // unready: without etcd, say
}

func (s *fakeServer) health(w http.ResponseWriter, r *http.Request) {
	if s.starting.Load() || s.unready.Load() && !r.URL.Query().Has("exclude") {
		w.WriteHeader(http.StatusInternalServerError)
	}
	_, _ = io.WriteString(w, "health") // an empty body is another answer for HAProxy
}

type hangingListener struct {
	net.Listener
	server *fakeServer
}

func (l hangingListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil || !l.server.hangs.Load() {
			return conn, err
		}
		defer conn.Close() // with the listener
	}
}

func startServers(t *testing.T, names ...string) map[string]*fakeServer {
	servers := map[string]*fakeServer{}
	for _, name := range names {
		s, mux := &fakeServer{}, http.NewServeMux()
		mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) })
		mux.HandleFunc("GET /readyz", s.health)
		s.Server = httptest.NewUnstartedServer(mux)
		s.Listener = hangingListener{s.Listener, s}
		s.StartTLS()
		t.Cleanup(func() { s.Listener.Close(); s.CloseClientConnections() })
		servers[name] = s
	}
	return servers
}

var (
	bindLine   = regexp.MustCompile(`(?m)^ +bind .*$`)
	serverLine = regexp.MustCompile(`(?m)^( +server (cp-\d)\S*) \S+`)
)

// configure writes the rendered files of a load balancer, changed to lead to other
// servers and to need no root.
func configure(t *testing.T, dir, listen string, servers map[string]*fakeServer) {
	t.Helper()
	for path, f := range Render(input(identity(spec.PerNode), Platform{}))["lb-1"].Files {
		if filepath.Dir(path) != "/etc/haproxy" {
			continue
		}
		text := bindLine.ReplaceAllString(string(f.Data), "    bind "+listen)
		text = serverLine.ReplaceAllStringFunc(text, func(line string) string {
			m := serverLine.FindStringSubmatch(line)
			return m[1] + " " + servers[m[2]].Listener.Addr().String()
		})
		text = strings.NewReplacer("/etc/haproxy/", dir+"/", "/run/haproxy/", dir+"/", "    user haproxy\n", "", "    group haproxy\n", "",
			"kubernetes.default", "example.com").Replace(text)
		if strings.HasSuffix(path, ".crt") {
			text = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: servers["cp-1"].Certificate().Raw}))
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// startLoadBalancer runs Debian's HAProxy, and returns where it listens and its socket.
func startLoadBalancer(t *testing.T, servers map[string]*fakeServer) (address, socket string) {
	t.Helper()
	const haproxy = "/usr/sbin/haproxy"
	if _, err := os.Stat(haproxy); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir, err1 := os.MkdirTemp("", "haproxy") // a Unix socket's path has at most 107 bytes
	free, err2 := net.Listen("tcp", "127.0.0.1:0")
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	address = free.Addr().String()
	free.Close()
	configure(t, dir, address, servers)
	cmd := exec.Command(haproxy, "-db", "-f", filepath.Join(dir, "haproxy.cfg"))
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return address, filepath.Join(dir, "admin.sock")
}

// A held connection stays open between requests.
type held struct {
	net.Conn
	reader *bufio.Reader
}

func (h *held) ask() (string, error) {
	if _, err := io.WriteString(h, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"); err != nil {
		return "", err
	}
	response, err := http.ReadResponse(h.reader, nil)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// holdOneEach returns a connection to each server.
func holdOneEach(ctx context.Context, t *testing.T, address string, servers map[string]*fakeServer) map[string]*held {
	t.Helper()
	found := map[string]*held{}
	err := poll.Until(ctx, 20*time.Millisecond, func(ctx context.Context) error {
		conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		t.Cleanup(func() { conn.Close() })
		h := &held{conn, bufio.NewReader(conn)}
		name, err := h.ask()
		if err != nil {
			return err
		}
		if found[name] == nil {
			found[name] = h
		}
		if len(found) < len(servers) {
			return fmt.Errorf("%d servers were reached", len(found))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// awaitStatus waits until servers have been in a state for two seconds.
func awaitStatus(ctx context.Context, t *testing.T, socket, status string, names ...string) {
	t.Helper()
	client := haproxyapi.New(overSocket(socket))
	err := poll.Until(ctx, 50*time.Millisecond, func(ctx context.Context) error {
		backends, err := client.Backends(ctx)
		if err != nil {
			return err
		}
		wanted := map[string]bool{}
		for _, n := range names {
			wanted[n] = true
		}
		for _, b := range backends {
			for _, s := range b.Servers {
				if wanted[s.Name] && (s.Status != status || s.LastChange < 2*time.Second) {
					return fmt.Errorf("%s is %s for %s, want %s", s.Name, s.Status, s.LastChange, status)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

type overSocket string

func (o overSocket) Command(ctx context.Context, text string) (string, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", string(o))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text+"\n"); err != nil {
		return "", err
	}
	out, err := io.ReadAll(conn)
	return string(out), err
}

// What hangs on a server that is dead ends; where all are down, nothing does.
func TestLoadBalancerCutsTheDead(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	servers := startServers(t, "cp-1", "cp-2", "cp-3")
	address, socket := startLoadBalancer(t, servers)
	connections := holdOneEach(ctx, t, address, servers)
	awaitStatus(ctx, t, socket, "UP", "cp-1", "cp-2", "cp-3")

	servers["cp-2"].hangs.Store(true)
	end, _ := ctx.Deadline()
	_ = connections["cp-2"].SetDeadline(end)
	if _, err := connections["cp-2"].reader.ReadByte(); err == nil || ctx.Err() != nil {
		t.Fatalf("the connection to cp-2 is still there: %v", err)
	}
	for _, name := range []string{"cp-1", "cp-3"} {
		if got, err := connections[name].ask(); err != nil || got != name {
			t.Errorf("connection to %s: %q, %v", name, got, err)
		}
		servers[name].hangs.Store(true)
	}
	awaitStatus(ctx, t, socket, "DOWN", "cp-1", "cp-2", "cp-3")
	for _, name := range []string{"cp-1", "cp-3"} {
		if got, err := connections[name].ask(); err != nil || got != name {
			t.Errorf("connection to %s, with all down: %q, %v", name, got, err)
		}
	}
}

// One that refuses connections is ending: it finishes what it has.
func TestLoadBalancerLeavesTheEndingAlone(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	servers := startServers(t, "cp-1", "cp-2", "cp-3")
	address, socket := startLoadBalancer(t, servers)
	connections := holdOneEach(ctx, t, address, servers)
	servers["cp-2"].Listener.Close()
	awaitStatus(ctx, t, socket, "DOWN", "cp-2")
	time.Sleep(time.Second) // for what would cut it
	if got, err := connections["cp-2"].ask(); err != nil || got != "cp-2" {
		t.Errorf("connection to cp-2: %q, %v", got, err)
	}
}

// Where no API server is ready, those serve that are alive; one that is starting never does.
func TestLoadBalancerLastResort(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	servers := startServers(t, "cp-1", "cp-2", "cp-3")
	servers["cp-2"].starting.Store(true)
	address, socket := startLoadBalancer(t, servers)
	awaitBackend(ctx, t, socket, "kube-apiserver", map[string]string{"cp-1": "UP", "cp-2": "DOWN", "cp-3": "UP"})
	awaitBackend(ctx, t, socket, "kube-apiserver-last-resort", map[string]string{"cp-1": "UP", "cp-2": "NOLB", "cp-3": "UP"})
	servers["cp-1"].unready.Store(true)
	servers["cp-3"].unready.Store(true)
	awaitBackend(ctx, t, socket, "kube-apiserver", map[string]string{"cp-1": "DOWN", "cp-2": "DOWN", "cp-3": "DOWN"})
	got := map[string]int{}
	for range 10 {
		conn, err := (&tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}).DialContext(ctx, "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		name, err := (&held{conn, bufio.NewReader(conn)}).ask()
		if conn.Close(); err != nil {
			t.Fatal(err)
		}
		got[name]++
	}
	if diff := cmp.Diff(map[string]int{"cp-1": 5, "cp-3": 5}, got); diff != "" {
		t.Error(diff)
	}
}

// awaitBackend waits until the servers of a backend are in these states.
func awaitBackend(ctx context.Context, t *testing.T, socket, name string, want map[string]string) {
	t.Helper()
	err := poll.Until(ctx, 50*time.Millisecond, func(ctx context.Context) error {
		backends, err := haproxyapi.New(overSocket(socket)).Backends(ctx)
		if err != nil {
			return err
		}
		got := map[string]string{}
		for _, b := range backends {
			for _, s := range b.Servers {
				if b.Name == name {
					got[s.Name] = s.Status
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Load balancers of workers ask together about as often as a few do, and each still in time for an API server that stops.
func TestManyWorkersAskLessOften(t *testing.T) {
	for workers, want := range map[int]string{1: "inter 100ms", 10: "inter 100ms", 11: "inter 200ms", 20: "inter 200ms", 21: "inter 500ms", 50: "inter 500ms", 51: "inter 1000ms", 200: "inter 1000ms"} {
		c := &spec.Cluster{}
		c.Spec.LoadBalancer.NodeLocal = true
		c.Spec.Nodes = []spec.Node{{Role: spec.RoleControlPlane}, {Role: spec.RoleLoadBalancer}}
		for range workers {
			c.Spec.Nodes = append(c.Spec.Nodes, spec.Node{Role: spec.RoleWorker})
		}
		spec.SetDefaults(c)
		machines := Render(input(c, Platform{}))
		for node, interval := range map[string]string{"worker-1": want, "lb-1": "inter 100ms"} {
			if conf := string(machines[node].Files["/etc/haproxy/haproxy.cfg"].Data); !strings.Contains(conf, "default-server "+interval+" fall 1 rise 1\n") {
				t.Errorf("%d workers: %s lacks %q", workers, node, interval)
			}
		}
	}
}
