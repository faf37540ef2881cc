package balancers

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// endTime is for a load balancer to end its connections.
const endTime = 2 * time.Second

// firstPort is that of the first contender, on the loopback.
const firstPort = 17443

// A balancer is a contender that runs on this host.
type balancer struct {
	name, listen string
	cmd          *exec.Cmd
	ended        chan struct{}
}

// startAll starts every contender; stopAll ends those that were started, on an error too.
func startAll(o Options) (all []*balancer, err error) {
	defer func() {
		if err != nil {
			stopAll(all)
		}
	}()
	for i, c := range contenders {
		b, err := start(o, c, fmt.Sprintf("127.0.0.1:%d", firstPort+i))
		if err != nil {
			return all, fmt.Errorf("start load balancer of %s: %w", c.name, err)
		}
		all = append(all, b)
	}
	return all, nil
}

// start runs a contender in a session of its own: nginx and HAProxy have workers.
// It dies with this program.
func start(o Options, c contender, listen string) (*balancer, error) {
	if _, err := os.Stat(c.argv[0]); err != nil {
		return nil, fmt.Errorf("%w (apt install %s)", err, c.packages)
	}
	if l, err := net.Listen("tcp", listen); err != nil {
		return nil, fmt.Errorf("somebody else has its port: %w", err)
	} else if err := l.Close(); err != nil {
		return nil, err
	}
	dir := filepath.Join(o.Dir, strings.ReplaceAll(strings.ReplaceAll(c.name, " ", "-"), "'", ""))
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return nil, err
	}
	text, err := c.config(o, setting{Listen: listen, Dir: dir, Servers: o.Servers})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "config")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(c.argv[0], append(c.argv[1:len(c.argv):len(c.argv)], file)...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	b := &balancer{name: c.name, listen: listen, cmd: cmd, ended: make(chan struct{})}
	return b, b.start(log.Name())
}

func (b *balancer) start(log string) error {
	// Pdeathsig is of the thread that starts the process: it must not end before.
	started := make(chan error)
	go func() {
		lockThread()
		err := b.cmd.Start()
		started <- err
		if err == nil {
			_ = b.cmd.Wait()
		}
		close(b.ended)
	}()
	if err := <-started; err != nil {
		return err
	}
	for deadline := time.Now().Add(5 * time.Second); ; {
		conn, err := net.Dial("tcp", b.listen)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-b.ended:
			text, _ := os.ReadFile(log)
			return fmt.Errorf("it ended at once: %s", text)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			b.stop()
			return err
		}
	}
}

func stopAll(all []*balancer) {
	for _, b := range all {
		b.stop()
	}
}

// stop ends a balancer with its workers.
func (b *balancer) stop() {
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-b.ended:
	case <-time.After(endTime):
		_ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL)
		<-b.ended
	}
}
