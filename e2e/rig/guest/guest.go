package guest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/haplane/haplane/internal/child"
	"github.com/haplane/haplane/internal/poll"
)

// Folder of the guest is the second disk: what the test brings along.
const Folder = "/opt/haplane"

// A Guest is one virtual machine. Its disks keep what they have when it loses its power.
type Guest struct {
	dir  string // of its disks
	root root
	port int // of this host's loopback, which leads to its sshd
	qemu *exec.Cmd
	done chan struct{} // closed when qemu has ended
}

// New prepares a guest in dir, with the content of a folder at Folder. Roots are kept in the folder roots.
func New(ctx context.Context, dir, roots, module, content string) (*Guest, error) {
	r, err := openRoot(ctx, roots, module)
	if err != nil {
		return nil, err
	}
	g := &Guest{dir: dir, root: r}
	if g.port, err = freePort(); err != nil {
		return nil, err
	}
	if err := run(ctx, "cp", "--sparse=always", r.path("root.ext4"), g.disk("root")); err != nil {
		return nil, err
	}
	return g, makeDisk(ctx, g.disk("content"), 8<<30, content)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func (g *Guest) disk(name string) string { return filepath.Join(g.dir, name+".ext4") }

// Console is the file with what the kernel and systemd say.
func (g *Guest) Console() string { return filepath.Join(g.dir, "console.log") }

// Start puts the power on and waits until the guest takes commands. It ends with this process.
func (g *Guest) Start(ctx context.Context) error {
	console, err := os.OpenFile(g.Console(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer console.Close()
	cmd := exec.Command("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-no-reboot", "-cpu", "max", "-m", "6144", "-smp", "2",
		"-nodefaults", "-display", "none", "-serial", "stdio", "-device", "virtio-rng-pci",
		"-kernel", g.root.path("kernel"), "-initrd", g.root.path("initrd"),
		// tsc=reliable: Debian's kernel would take hpet for its clock, and each look at that leaves the guest
		"-append", "root=/dev/vda rw console=ttyS0 net.ifnames=0 mitigations=off tsc=reliable quiet",
		"-drive", "file="+g.disk("root")+",format=raw,if=virtio", "-drive", "file="+g.disk("content")+",format=raw,if=virtio",
		// restrict: the guest reaches neither this host nor what is beyond it
		"-nic", fmt.Sprintf("user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:%d-:22", g.port))
	cmd.Stdout, cmd.Stderr = console, console
	if err := child.Start(cmd, syscall.SIGKILL); err != nil {
		return err
	}
	g.qemu, g.done = cmd, make(chan struct{})
	go func() {
		_ = cmd.Wait() // that it has ended is all there is to know
		close(g.done)
	}()
	return g.booted(ctx)
}

// booted waits until the guest takes commands.
func (g *Guest) booted(ctx context.Context) error {
	return poll.Until(ctx, time.Second, func(ctx context.Context) error {
		select {
		case <-g.done:
			return poll.Stop(errors.New("qemu has ended; see " + g.Console()))
		default:
		}
		_, err := g.Run(ctx, "true")
		return err
	})
}

// Reboot has the guest reboot in order, and waits until it takes commands again. What resets it is another qemu: the
// one that it was in would go on with what it has translated of the last boot, slower by several times.
func (g *Guest) Reboot(ctx context.Context) error {
	_, _ = g.Run(ctx, "systemctl reboot") // the connection may end before the command: that qemu ends tells
	select {
	case <-g.done:
		return g.Start(ctx)
	case <-ctx.Done():
		return fmt.Errorf("the guest has not gone down; see %s: %w", g.Console(), ctx.Err())
	}
}

// CutPower ends the guest at once; what it had not written to its disks is lost.
func (g *Guest) CutPower() error {
	if g.qemu == nil {
		return nil
	}
	err := g.qemu.Process.Kill()
	<-g.done
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	return err
}

// Run runs a line of shell in the guest and returns what it printed to stdout; the error has stderr.
func (g *Guest) Run(ctx context.Context, line string) (string, error) {
	cmd := exec.CommandContext(ctx, "ssh", "-F", "none", "-p", fmt.Sprint(g.port), "-i", g.root.path("id"),
		"-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "HostKeyAlias=host", "-o", "StrictHostKeyChecking=yes",
		"-o", "UserKnownHostsFile="+g.root.path("known_hosts"), "-o", "GlobalKnownHostsFile=/dev/null",
		"-o", "KexAlgorithms=ecdh-sha2-nistp256", // the hybrid one takes seconds where it is emulated
		"-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=20", "-o", "LogLevel=ERROR", "root@127.0.0.1", line)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("in the guest: %s: %w\n%s%s", line, err, stdout.String(), stderr.String())
	}
	return strings.TrimSpace(stdout.String()), nil
}
