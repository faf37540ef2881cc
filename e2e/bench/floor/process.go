package floor

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/internal/topology"
)

// units of a machine that make up the API, as render names them.
var units = []string{"etcd", "kube-apiserver", "haproxy"}

// A process is one unit's.
type process struct {
	unit   string
	nice   int
	cmd    *exec.Cmd
	exited chan struct{}
}

func (m *machine) readUnits(o Options) error {
	for _, name := range units {
		text, err := os.ReadFile(o.rendered(m.node.Name, topology.UnitDir, name+".service"))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return err
		}
		u, err := parseUnit(string(text))
		if err != nil {
			return fmt.Errorf("read unit %s: %w", name, err)
		}
		cmd := exec.Command(u.argv[0], u.argv[1:]...)
		cmd.Dir = "/"
		// The first process of a namespace takes all others of it along.
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: m.root, Cloneflags: syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
		m.processes = append(m.processes, &process{unit: name, nice: u.nice, cmd: cmd, exited: make(chan struct{})})
	}
	return nil
}

func (m *machine) start() error {
	return m.thread.Do(func() error {
		for _, p := range m.processes {
			if err := m.launch(p); err != nil {
				return fmt.Errorf("start %s on %s: %w", p.unit, m.node.Name, err)
			}
		}
		return nil
	})
}

func (m *machine) launch(p *process) error {
	log, err := os.Create(m.log(p))
	if err != nil {
		return err
	}
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, p.nice); err != nil { // of this thread; the process inherits it
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	go func() { _ = p.cmd.Wait(); close(p.exited) }()
	return nil
}

func (m *machine) log(p *process) string { return filepath.Join(m.dir, p.unit+".log") }

// ended is an error when one of the processes has ended, with its last words.
func (m *machine) ended() error {
	for _, p := range m.processes {
		select {
		case <-p.exited:
			data, _ := os.ReadFile(m.log(p))
			lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
			return fmt.Errorf("%s on %s: %s: %s", p.unit, m.node.Name, p.cmd.ProcessState,
				bytes.Join(lines[max(0, len(lines)-3):], []byte("; ")))
		default:
		}
	}
	return nil
}

// close ends the processes, and waits for that.
func (m *machine) close() {
	for _, p := range m.processes {
		if p.cmd.Process != nil {
			_ = p.cmd.Process.Kill()
			<-p.exited
		}
	}
	m.thread.Close()
}
