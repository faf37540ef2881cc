package nspawn

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/internal/poll"
)

// announce has a machine say where its IPv4 addresses are: one that was made anew, or has got another address since its link was
// made, may have another hardware address than others remember for a minute. The kernel would say it itself (arp_notify), at a
// moment when the link does not carry anything yet.
func announce(ctx context.Context, ns *os.File, inside *netlink.Handle, addresses []netip.Addr) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var eth netlink.Link
	if err := poll.Until(ctx, 5*time.Millisecond, func(context.Context) error {
		var err error
		if eth, err = inside.LinkByName("eth0"); err == nil && eth.Attrs().OperState != netlink.OperUp {
			err = errors.New("eth0 is not up")
		}
		return err
	}); err != nil {
		return err
	}
	return inNetns(ns, func() error {
		for _, a := range addresses {
			if !a.Is4() {
				continue
			}
			if err := sendARP(eth.Attrs().Index, eth.Attrs().HardwareAddr, a); err != nil {
				return fmt.Errorf("announce %s: %w", a, err)
			}
		}
		return nil
	})
}

// sendARP sends a gratuitous request (RFC 5227, section 3): whoever knows the address learns its hardware address.
func sendARP(link int, mac []byte, a netip.Addr) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	everybody, ip := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, a.AsSlice()
	frame := append(append([]byte{}, everybody...), mac...)
	frame = binary.BigEndian.AppendUint16(frame, unix.ETH_P_ARP)
	frame = append(frame, 0, 1, 8, 0, 6, 4, 0, 1) // Ethernet, IPv4, their lengths, a request
	frame = append(append(append(append(frame, mac...), ip...), make([]byte, 6)...), ip...)
	return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: link, Halen: 6})
}
