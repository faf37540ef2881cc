package address

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/e2e/rig/thread"
	"github.com/haplane/haplane/internal/provider/nspawn"
)

// question is answered by an API server without TLS: that it wants TLS. It costs next to nothing there, and who hears it has come through
// a load balancer all the same.
const question = "GET / HTTP/1.0\r\n\r\n"

// An Answer is what became of a question, which takes a new connection each.
type Answer struct {
	Machine string    // that it was sent to, whoever has the address; empty where it went as all that the host sends there
	Asked   time.Time // when the connection was begun
	Taken   time.Time // when it was there
	Err     error     // nothing came
}

// A seat is a place from where connections to the address are made. With a link of its own on the cluster's bridge, the address leads from there to one
// machine alone, whoever else has it.
type seat struct {
	machine string
	timeout time.Duration
	thread  *thread.Thread // whose network namespace the seat is in; nil for the host's own
	link    netlink.Link   // the host's end of its link
}

// How long who asks waits. The host's own is a client with little patience; who asks a machine wants to know whether it answers now, and not what
// one that was frozen makes up for.
const (
	patience = time.Second
	atOnce   = 150 * time.Millisecond
)

// takeSeat makes a network namespace with an address of its own on the bridge, from where another one leads to the link of one machine.
func takeSeat(m Machine, own, to netip.Addr, at net.HardwareAddr) (s *seat, err error) {
	bridge, err := netlink.LinkByName(nspawn.BridgeName(m.Cluster.Name))
	if err != nil {
		return nil, err
	}
	s = &seat{machine: m.Name, timeout: atOnce, thread: thread.New()}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("take a seat beside %s: %w", m.Name, err), s.leave())
		}
	}()
	var ns *os.File
	err = s.thread.Do(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		ns, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		return s, err
	}
	defer ns.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MasterIndex = fmt.Sprintf("hs%d-%d", os.Getpid(), own.As4()[3]), bridge.Attrs().Index
	link := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(ns.Fd()))}
	if err := netlink.LinkAdd(link); err != nil {
		return s, err
	}
	s.link = link
	if err := netlink.LinkSetUp(link); err != nil {
		return s, err
	}
	return s, s.thread.Do(func() error {
		eth, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		address := &netlink.Addr{IPNet: &net.IPNet{IP: own.AsSlice(), Mask: net.CIDRMask(m.Cluster.Network.Bits(), 32)}}
		if err := errors.Join(netlink.AddrAdd(eth, address), netlink.LinkSetUp(eth)); err != nil {
			return err
		}
		return netlink.NeighSet(&netlink.Neigh{LinkIndex: eth.Attrs().Index, Family: netlink.FAMILY_V4, State: netlink.NUD_PERMANENT, IP: to.AsSlice(), HardwareAddr: at})
	})
}

func (s *seat) leave() error {
	if s.thread != nil {
		s.thread.Close()
	}
	if s.link != nil {
		return netlink.LinkDel(s.link)
	}
	return nil
}

// ask sends one question.
func (s *seat) ask(ctx context.Context, to netip.AddrPort) Answer {
	a := Answer{Machine: s.machine, Asked: time.Now()}
	conn, err := s.connect(to)
	if err != nil {
		a.Err = err
		return a
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })()
	if a.Err = conn.SetDeadline(a.Asked.Add(s.timeout)); a.Err != nil {
		return a
	}
	if _, a.Err = conn.Write([]byte(question)); a.Err != nil { // it waits until there is a connection
		return a
	}
	a.Taken = time.Now()
	_, a.Err = conn.Read(make([]byte, 1))
	return a
}

// connect begins a connection from the seat. A socket stays in the namespace in which it was made.
func (s *seat) connect(to netip.AddrPort) (conn net.Conn, err error) {
	var fd int
	open := func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		return err
	}
	if s.thread == nil {
		err = open()
	} else {
		err = s.thread.Do(open)
	}
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "question")
	defer file.Close()
	if s.thread != nil {
		// A machine that does not have the address and forwards packets, as Kubernetes' nodes do, would send them on to the one that has.
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TTL, 1); err != nil {
			return nil, err
		}
	}
	err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()})
	if err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return nil, err
	}
	return net.FileConn(file)
}
