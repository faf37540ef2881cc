// Package address looks at an address that machines of a local cluster move between them, and hurts these machines: who answers there
// and who has it, at any moment, and so for how long nobody did, or two of them. It does so from the host, and needs root: what becomes of
// a machine that is frozen or cut off is seen too.
package address

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/e2e/rig"
	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/internal/topology"
)

// A Machine is one of those that may have the address.
type Machine struct {
	Cluster *rig.Cluster
	Name    string
	Address netip.Addr // its own
}

// errNotThere is that of a machine which is off, or whose program has ended and not come again yet.
var errNotThere = errors.New("it is not there")

// id is what package nspawn calls what it makes for the machine on the host.
func (m Machine) id() string { return "haplane." + m.Cluster.Name + "." + m.Name }

// port is the host's end of the machine's link, on the cluster's bridge.
func (m Machine) port(ctx context.Context) (link netlink.Link, err error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	err = poll.Until(ctx, 10*time.Millisecond, func(context.Context) error { // links that come and go meanwhile may hide it
		link, err = netlink.LinkByAlias(m.id())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find the link of %s: %w: %w", m.Name, errNotThere, err)
	}
	return link, nil
}

// Unplug takes the machine from the bridge. It stays up, and neither it nor who talks to it is told.
func (m Machine) Unplug(ctx context.Context) (plug func(context.Context) error, err error) {
	port, err := m.port(ctx)
	if err != nil {
		return nil, err
	}
	plug = func(context.Context) error {
		if err := netlink.LinkSetUp(port); !errors.Is(err, unix.ENODEV) { // else the machine has been off since, and got another one
			return err
		}
		return nil
	}
	return plug, netlink.LinkSetDown(port)
}

// freezers are where a machine's cgroup may be: on a host without systemd and with it, in the hierarchy that freezes of cgroup v1 and in v2.
func (m Machine) freezers() []string {
	var out []string
	for _, path := range []string{filepath.Join("haplane", m.Cluster.Name, m.Name), filepath.Join("machine.slice", m.id()+".scope")} {
		out = append(out, filepath.Join("/sys/fs/cgroup/freezer", path, "freezer.state"), filepath.Join("/sys/fs/cgroup", path, "cgroup.freeze"))
	}
	return out
}

func (m Machine) freezer() (file string, err error) {
	all := m.freezers()
	i := slices.IndexFunc(all, func(file string) bool { _, err := os.Stat(file); return err == nil })
	if i < 0 {
		return "", fmt.Errorf("find the cgroup of %s: %w: %s", m.Name, errNotThere, strings.Join(all, ", "))
	}
	return all[i], nil
}

// Freeze stops all programs of the machine at once, and returns when they have stopped. Its kernel goes on: it answers ARP, and
// takes connections that nobody serves.
func (m Machine) Freeze(ctx context.Context) (thaw func(context.Context) error, err error) {
	thaw = func(context.Context) error { return m.thaw() }
	file, err := m.freezer()
	if err != nil {
		return thaw, err
	}
	if err := os.WriteFile(file, []byte(freezing(file)[0]), 0); err != nil {
		return thaw, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return thaw, poll.Until(ctx, time.Millisecond, func(context.Context) error {
		if !isFrozen(file) {
			return fmt.Errorf("%s is not frozen yet", m.Name)
		}
		return nil
	})
}

// freezing are the words that freeze a cgroup and thaw it.
func freezing(file string) [2]string {
	if filepath.Base(file) == "freezer.state" {
		return [2]string{"FROZEN", "THAWED"}
	}
	return [2]string{"1", "0"}
}

// thaw has all programs of the machine go on; one that is off has none.
func (m Machine) thaw() error {
	file, err := m.freezer()
	if err != nil {
		return nil
	}
	return os.WriteFile(file, []byte(freezing(file)[1]), 0)
}

func isFrozen(file string) bool {
	if filepath.Base(file) == "freezer.state" {
		state, err := os.ReadFile(file)
		return err == nil && strings.TrimSpace(string(state)) == "FROZEN"
	}
	events, err := os.ReadFile(filepath.Join(filepath.Dir(file), "cgroup.events"))
	return err == nil && strings.Contains(string(events), "frozen 1")
}

// A Program is one that runs on machines that may have the address, by the name that the kernel knows its processes by. Of those of one name
// Word tells it apart, which is in its arguments.
type Program struct{ Comm, Word string }

// The programs that move an address.
var (
	HAProxy    = Program{Comm: "haproxy"}
	Keepalived = Program{Comm: "keepalived"}
	Guard      = Program{"haplane", "balancer"}
	Voter      = Program{"haplane", "voter"}
	APIServer  = Program{Comm: "kube-apiserver"}
)

// processes are those of a program on the machine.
func (m Machine) processes(p Program) ([]int, error) {
	file, err := m.freezer()
	if err != nil {
		return nil, err
	}
	var out []int
	err = filepath.WalkDir(filepath.Dir(file), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "cgroup.procs" {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // a cgroup that went meanwhile
			}
			return err
		}
		data, _ := os.ReadFile(path)
		for _, word := range strings.Fields(string(data)) {
			pid, err := strconv.Atoi(word)
			if err == nil && p.is(fmt.Sprintf("/proc/%d", pid)) {
				out = append(out, pid)
			}
		}
		return nil
	})
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("find %s on %s: %w", p.Comm, m.Name, errNotThere)
	}
	return out, err
}

func (p Program) is(proc string) bool {
	comm, err := os.ReadFile(filepath.Join(proc, "comm"))
	if err != nil || strings.TrimSpace(string(comm)) != p.Comm {
		return false
	}
	argv, _ := os.ReadFile(filepath.Join(proc, "cmdline"))
	return p.Word == "" || slices.ContainsFunc(bytes.Split(argv, []byte{0}), func(arg []byte) bool { return string(arg) == p.Word })
}

// Signal sends all processes of a program on the machine a signal.
func (m Machine) Signal(p Program, s unix.Signal) error {
	all, err := m.processes(p)
	if err != nil {
		return err
	}
	for _, pid := range all {
		if err := unix.Kill(pid, s); err != nil && !errors.Is(err, unix.ESRCH) { // one may end with another
			return fmt.Errorf("signal %s on %s: %w", p.Comm, m.Name, err)
		}
	}
	return nil
}

// couldTake succeeds on a machine of haplane's that has the address, or takes it when nobody else has it. Of several units, systemctl is-active
// is content with one.
const couldTake = `[ "$(cat ` + topology.BalancerWell + `)" = 0 ] && [ "$(cat ` + topology.StandBy + ` 2>/dev/null)" != 1 ] || exit 1
for unit in haproxy keepalived haplane-balancer; do systemctl is-active "$unit" || { echo "$unit is not active"; exit 1; }; done`

// CouldTake is an error where the machine is not well enough to have the address.
func (m Machine) CouldTake(ctx context.Context) error {
	if result := m.Cluster.SSH(ctx, m.Name, couldTake); result.Code != 0 {
		return fmt.Errorf("%s could not have the address: %s", m.Name, strings.Join(strings.Fields(result.Stdout+" "+result.Stderr), " "))
	}
	return nil
}

// A network is a machine's, as its kernel has it: which goes on in one that is frozen, and is another one after each start.
type network struct {
	path   string
	inode  uint64
	handle *netlink.Handle
}

func (m Machine) network() *network { return &network{path: filepath.Join("/run/netns", m.id())} }

// open sees to it that the handle is that of the network which the machine has now.
func (n *network) open() error {
	var stat unix.Stat_t
	if err := unix.Stat(n.path, &stat); err != nil {
		return err
	}
	if n.handle != nil && n.inode == stat.Ino {
		return nil
	}
	n.close()
	ns, err := netns.GetFromPath(n.path)
	if err != nil {
		return err
	}
	defer ns.Close()
	n.handle, err = netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	n.inode = stat.Ino
	return err
}

func (n *network) close() {
	if n.handle != nil {
		n.handle.Close()
	}
	n.handle = nil
}

// has reports whether the machine's link to the others has an address. A machine that is off has none.
func (n *network) has(a netip.Addr) bool {
	if n.open() != nil {
		return false
	}
	link, err := n.handle.LinkByName("eth0")
	if err != nil {
		return false
	}
	all, err := n.handle.AddrList(link, netlink.FAMILY_V4)
	return err == nil && slices.ContainsFunc(all, func(have netlink.Addr) bool { return have.IP.Equal(a.AsSlice()) })
}

// hardware is the address of the machine's link, which stays the same.
func (n *network) hardware() (net.HardwareAddr, error) {
	if err := n.open(); err != nil {
		return nil, err
	}
	link, err := n.handle.LinkByName("eth0")
	if err != nil {
		return nil, err
	}
	return link.Attrs().HardwareAddr, nil
}

// Usage is what a program takes on a machine.
type Usage struct {
	CPU    time.Duration // since its processes began, with that of children that have ended
	Memory int64         // PSS in bytes: pages that several processes share are divided among them
}

// Used tells what a program takes. One that does not run takes nothing.
func (m Machine) Used(p Program) (Usage, error) {
	all, err := m.processes(p)
	if errors.Is(err, errNotThere) {
		return Usage{}, nil
	}
	var sum Usage
	for _, pid := range all {
		stat, err1 := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		rollup, err2 := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err := errors.Join(err1, err2); err != nil {
			return Usage{}, fmt.Errorf("look at %s on %s: %w", p.Comm, m.Name, err)
		}
		one, err := parseUsage(string(stat), string(rollup))
		if err != nil {
			return Usage{}, fmt.Errorf("look at %s on %s: %w", p.Comm, m.Name, err)
		}
		sum.CPU, sum.Memory = sum.CPU+one.CPU, sum.Memory+one.Memory
	}
	return sum, err
}

// tick is the unit of times in proc_pid_stat(5), on every architecture that Linux still has.
const tick = 10 * time.Millisecond

// parseUsage reads proc_pid_stat(5) and proc_pid_smaps_rollup(5).
func parseUsage(stat, rollup string) (u Usage, err error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:]) // the name before may have anything in it
	if len(fields) < 15 {
		return u, fmt.Errorf("unexpected times %q", stat)
	}
	for _, f := range fields[11:15] { // utime, stime, cutime, cstime
		n, err := strconv.Atoi(f)
		if err != nil {
			return u, fmt.Errorf("unexpected times %q", stat)
		}
		u.CPU += time.Duration(n) * tick
	}
	for line := range strings.Lines(rollup) {
		if value, ok := strings.CutPrefix(line, "Pss:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			if err != nil {
				return u, fmt.Errorf("unexpected memory %q", line)
			}
			u.Memory = kib << 10
			return u, nil
		}
	}
	return u, fmt.Errorf("no memory in %q", rollup)
}
