package apply

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

func TestDrainText(t *testing.T) {
	c, err := spec.Parse("f.yaml", []byte(`apiVersion: haplane/v1alpha1
kind: Cluster
spec:
  loadBalancer: {additionalPorts: [8443]}
  network: {machineCIDR: "10.10.10.0/24,fd00:10:10:10::/64"}
  nodes: [{role: control-plane}, {role: load-balancer}, {role: load-balancer}]
`))
	if err != nil {
		t.Fatal(err)
	}
	topo := topology.New(c)
	lb := topo.LoadBalancers()[0]
	want := fmt.Sprintf("link=eth0 moves='%s=%s %s=%s' ports=6443,8443 seconds='30 10' told=/run/haplane/stand-by kept=/run/haplane/drain-kept\n",
		topo.LBAddresses[0], lb.Addresses[0], topo.LBAddresses[1], lb.Addresses[1])
	if text := drainText(topo, lb, change.DrainTime); text != want+drainScript {
		t.Errorf("begins with %q, want %q", text[:strings.Index(text, "\n")+1], want)
	}
	if text := drainText(topo, lb, 0); !strings.Contains(text, "seconds='0 0'") {
		t.Errorf("begins with %q", text[:strings.Index(text, "\n")+1])
	}
}

// A drainHost is a machine with a network of its own.
type drainHost struct {
	network             int // a descriptor of it
	dir, moves, seconds string
}

const moved4, moved6 = "192.0.2.3", "fd00::3"

// newNetwork makes a network namespace that nobody else sees, and moves this goroutine's thread there, which is never unlocked: both end with it.
func newNetwork(t *testing.T) *drainHost {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, for a network namespace")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skip("no network namespace: ", err)
	}
	network, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(network) })
	h := &drainHost{network: network, dir: t.TempDir(), moves: moved4 + "=192.0.2.4 " + moved6 + "=fd00::4", seconds: "2 2"}
	h.sh(t, "ip link set lo up")
	return h
}

// enter has this goroutine's thread, and what it starts, be on that machine.
func (h *drainHost) enter(t *testing.T) {
	t.Helper()
	if err := unix.Setns(h.network, unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
}

// newDrainHost is a machine with a link that has both addresses, and nobody else on it.
func newDrainHost(t *testing.T) *drainHost {
	t.Helper()
	h := newNetwork(t)
	h.sh(t, `ip link add name eth0 type veth peer name other; ip link set eth0 up; ip link set other up
echo 0 >/proc/sys/net/ipv4/conf/eth0/arp_ignore; echo 0 >/proc/sys/net/ipv4/conf/eth0/arp_announce
ip address add 192.0.2.4/24 dev eth0; ip address add fd00::4/64 dev eth0 nodad`)
	h.hold(t)
	return h
}

func (h *drainHost) hold(t *testing.T) {
	t.Helper()
	h.sh(t, "ip address add "+moved4+"/32 dev eth0; ip address add "+moved6+"/128 dev eth0 nodad")
}

// lose is what keepalived does when another machine is to have the addresses.
func (h *drainHost) lose(t *testing.T) {
	t.Helper()
	h.sh(t, "ip address delete "+moved4+"/32 dev eth0; ip address delete "+moved6+"/128 dev eth0")
}

// sh runs a script on the machine.
func (h *drainHost) sh(t *testing.T, script string, args ...string) string {
	t.Helper()
	h.enter(t)
	var out, said bytes.Buffer
	cmd := exec.Command("sh", append([]string{"-ec", script, "sh"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %v: %v: %s", script, args, err, said.String())
	}
	return out.String()
}

func (h *drainHost) drain(t *testing.T, what string) {
	t.Helper()
	h.sh(t, fmt.Sprintf("link=eth0 moves='%s' ports=6443,8443 seconds='%s' told=%[3]s/told kept=%[3]s/kept\n%s", h.moves, h.seconds, h.dir, drainScript), what)
}

// seen is what differs on the machine while it drains.
func (h *drainHost) seen(t *testing.T) string {
	t.Helper()
	return h.sh(t, `cat /proc/sys/net/ipv4/conf/eth0/arp_ignore /proc/sys/net/ipv4/conf/eth0/arp_announce
ip -oneline address show dev lo | awk '{print $4}' | grep -v -e '^127' -e '^::1' || true; ls "$1"`, h.dir)
}

func TestDrainLeavesNothing(t *testing.T) {
	h := newDrainHost(t)
	h.sh(t, "echo 1 >/proc/sys/net/ipv4/conf/eth0/arp_announce")
	before := h.seen(t)
	during := fmt.Sprintf("1\n2\n%s/32\n%s/128\nkept\ntold\n", moved4, moved6)
	h.drain(t, "leave")
	if got := h.seen(t); got != during {
		t.Errorf("while it drains: %q, want %q", got, during)
	}
	h.drain(t, "leave") // and what was kept is not that of the first time
	h.lose(t)
	h.drain(t, "left")
	if got, want := h.seen(t), before+"told\n"; got != want {
		t.Errorf("afterwards: %q, want %q", got, want)
	}
	h.drain(t, "left") // where it had not begun
	if got, want := h.seen(t), before+"told\n"; got != want {
		t.Errorf("once more: %q, want %q", got, want)
	}
}

// A conversation is a connection to an address that moves, both ends of it.
type conversation struct{ client, server net.Conn }

// converse has a client, from a port of its own or from any (0), connect to a server that listens at an address, or at all (::).
func converse(t *testing.T, client *drainHost, from int, server *drainHost, listens, address, port string) conversation {
	t.Helper()
	return connect(t, client, from, server, net.JoinHostPort(listens, port), net.JoinHostPort(address, port))
}

// connect is converse where the server may listen elsewhere than where the client connects to.
func connect(t *testing.T, client *drainHost, from int, server *drainHost, listens, to string) conversation {
	t.Helper()
	reuse := func(_, _ string, c syscall.RawConn) error { // one port leads to several of a server
		return c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
	}
	server.enter(t)
	var config net.ListenConfig
	config.SetMultipathTCP(false) // HAProxy's is none
	listener, err := config.Listen(t.Context(), "tcp", listens)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	client.enter(t)
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{Port: from}, Control: reuse, Timeout: 20 * time.Second}
	asks, err := dialer.Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	answers, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = asks.Close(), answers.Close() })
	return conversation{asks, answers}
}

func (h *drainHost) converse(t *testing.T, listens, address string) conversation {
	t.Helper()
	return converse(t, h, 0, h, listens, address, "6443")
}

// answers has the client ask something, and get an answer.
func (c conversation) answers(t *testing.T) {
	t.Helper()
	send(t, c.client, c.server)
	send(t, c.server, c.client)
}

// send has one end say something, and the other one hear it.
func send(t *testing.T, from, to net.Conn) {
	t.Helper()
	if _, err := io.WriteString(from, "x"); err != nil {
		t.Fatal(err)
	}
	if err := to.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(to, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := to.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
}

// isReset reports whether the client has been told that the connection is over.
func (c conversation) isReset(t *testing.T) bool {
	t.Helper()
	if err := c.client.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	_, err := c.client.Read(make([]byte, 1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false
	case errors.Is(err, syscall.ECONNRESET):
		return true
	}
	t.Fatalf("read: %v", err)
	return false
}

func TestDrainResetsQuietOnesFirst(t *testing.T) {
	for name, at := range map[string]struct{ listens, address string }{
		"IPv4": {moved4, moved4},
		"IPv4, where HAProxy has one socket for both": {"::", moved4},
		"IPv6": {moved6, moved6},
	} {
		t.Run(name, func(t *testing.T) {
			h := newDrainHost(t)
			quiet, asks := h.converse(t, at.listens, at.address), h.converse(t, at.listens, at.address)
			time.Sleep(20 * time.Millisecond) // the kernel counts in some milliseconds
			for _, c := range []conversation{quiet, asks} {
				send(t, c.client, c.server)
			}
			time.Sleep(20 * time.Millisecond)
			send(t, quiet.server, quiet.client)
			h.drain(t, "leave")
			h.lose(t)
			h.seconds = "6 6" // a busy machine needs some for the last two
			h.drain(t, "wait")
			if !quiet.isReset(t) {
				t.Error("who waits for no answer is not reset")
			}
			if asks.isReset(t) {
				t.Error("who waits for an answer is reset before the bound")
			}
			h.drain(t, "left")
			if !asks.isReset(t) {
				t.Error("who waits for an answer is not reset at the bound")
			}
		})
	}
}

// Where nobody takes the address, the machine has it again, and nobody notices.
func TestDrainIsTakenBack(t *testing.T) {
	h := newDrainHost(t)
	c := h.converse(t, moved4, moved4)
	send(t, c.client, c.server)
	h.drain(t, "leave")
	h.lose(t)
	h.hold(t)
	h.drain(t, "left")
	if c.isReset(t) {
		t.Error("it is reset, though the machine has the address")
	}
	if got, want := h.seen(t), "0\n0\ntold\n"; got != want {
		t.Errorf("afterwards: %q, want %q", got, want)
	}
}

func TestDrainEndsWhenNothingIsOpen(t *testing.T) {
	h := newDrainHost(t)
	h.seconds = "3600 10"
	h.drain(t, "leave")
	h.lose(t)
	h.drain(t, "wait")
}

// A client that has said all that it will still waits for the answer.
func TestDrainWaitsForAnswers(t *testing.T) {
	h := newDrainHost(t)
	h.seconds = "3600 0"
	c := h.converse(t, moved4, moved4)
	send(t, c.client, c.server)
	if err := c.client.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	h.drain(t, "leave")
	h.lose(t)
	time.AfterFunc(4*time.Second, func() { // twice as long as it waits at least
		_, _ = io.WriteString(c.server, "x")
		_ = c.server.Close()
	})
	h.drain(t, "wait")
	h.drain(t, "left")
	if text, err := io.ReadAll(c.client); err != nil || string(text) != "x" {
		t.Errorf("answer %q, %v", text, err)
	}
}

// needsNft skips the test where there is no nft.
func needsNft(t *testing.T) {
	t.Helper()
	_, err := exec.LookPath("nft")
	switch {
	case err != nil && os.Getenv("CI") != "":
		t.Fatal(err)
	case err != nil:
		t.Skip(err)
	}
}

func TestDrainHandsOnForAWhile(t *testing.T) {
	needsNft(t)
	h := newDrainHost(t)
	h.lose(t)
	tables := func() string { return h.sh(t, "nft list tables | sort") }
	h.drain(t, "take")
	h.drain(t, "take")
	if got, want := tables(), "table ip haplane-drain\ntable ip6 haplane-drain\n"; got != want {
		t.Errorf("tables %q, want %q", got, want)
	}
	h.drain(t, "taken")
	h.drain(t, "taken")
	if got := tables(); got != "" {
		t.Errorf("tables %q are left", got)
	}
	h.hold(t)
	h.drain(t, "take")
	if got := tables(); got != "" {
		t.Errorf("tables %q where the address is already", got)
	}
}

// Two load balancers and their client, in a planned move from the first one to the second.
func TestDrainHandsOn(t *testing.T) {
	needsNft(t)
	first, second, client := newNetwork(t), newNetwork(t), newNetwork(t)
	client.sh(t, "ip link add name br0 type bridge; ip link set br0 up; ip address add 192.0.2.100/24 dev br0; ip address add fd00::100/64 dev br0 nodad")
	for i, h := range []*drainHost{first, second} {
		client.sh(t, `ip link add name "to-$1" type veth peer name eth0 netns "$2"; ip link set "to-$1" master br0 up`,
			fmt.Sprint(i), fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), h.network))
		h.sh(t, `ip link set eth0 up; ip address add "192.0.2.$1/24" dev eth0; ip address add "fd00::$1/64" dev eth0 nodad`, fmt.Sprint(4+i))
	}
	first.hold(t)
	first.seconds = "3 0"
	addresses := []string{moved4, moved6}
	var open, fresh []conversation
	for i, address := range addresses {
		open = append(open, converse(t, client, 40000+i, first, "::", address, "6443"))
		open[i].answers(t)
	}
	second.drain(t, "take")
	first.drain(t, "leave")
	first.lose(t)
	second.hold(t)
	client.sh(t, "ip neigh flush all")
	for i, address := range addresses {
		open[i].answers(t)
		fresh = append(fresh, converse(t, client, 40000+i, second, "::", address, "8443"), converse(t, client, 0, second, "::", address, "6443"))
		open[i].answers(t) // although its port is known to the other one
	}
	first.drain(t, "wait")
	first.drain(t, "left")
	second.drain(t, "taken")
	for i, c := range open {
		if !c.isReset(t) {
			t.Errorf("what was open to %s is not reset", addresses[i])
		}
	}
	for _, c := range fresh {
		c.answers(t)
	}
}
