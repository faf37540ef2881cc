package nspawn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/internal/durable"
	"github.com/haplane/haplane/internal/poll"
)

// A process is one that cannot be mistaken for a later one of the same number.
type process struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks after boot
	Boot  string `json:"boot"`  // the kernel's boot_id
}

func (p *Provider) readProcess(machine string) (process, error) {
	var proc process
	return proc, durable.ReadJSON(p.dir(machine, processFile), &proc)
}

func identify(pid int) (process, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, err
	}
	state, start, err := parseStat(string(stat))
	if err != nil {
		return process{}, err
	}
	if strings.ContainsAny(state, "ZX") {
		return process{}, fmt.Errorf("process %d has ended", pid)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return process{PID: pid, Start: start, Boot: strings.TrimSpace(string(boot))}, err
}

// parseStat reads the state and the start time of proc_pid_stat(5). The name
// before them may hold anything, brackets too.
func parseStat(stat string) (state string, start uint64, err error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return "", 0, fmt.Errorf("parse process state %q", stat)
	}
	start, err = strconv.ParseUint(fields[19], 10, 64)
	return fields[0], start, err
}

func (proc process) alive() bool {
	now, err := identify(proc.PID)
	return err == nil && now == proc
}

// signal reaches this process or none.
func (proc process) signal(sig unix.Signal) error {
	fd, err := unix.PidfdOpen(proc.PID, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if !proc.alive() {
		return unix.ESRCH
	}
	return unix.PidfdSendSignal(fd, sig, nil, 0)
}

// launch starts the machine's process in its cgroup and session: it outlives
// this program.
func (p *Provider) launch(ctx context.Context, machine string) (process, error) {
	console, err := os.OpenFile(p.dir(machine, consoleFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return process{}, err
	}
	defer console.Close()
	argv := p.arguments(machine)
	if runsSystemd() {
		// systemd may not have noticed yet that the last run's scope is empty.
		_ = exec.CommandContext(ctx, "systemctl", "stop", p.unit(machine)).Run()
		argv = p.scoped(machine, argv)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, environment...)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = console, console
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// What this program was started with beside its standard streams, such as the lock
	// of a script, is not for the machine to hold on to.
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if runsSystemd() {
		err = cmd.Start()
	} else {
		err = startIn(p.cgroup(machine), cmd)
	}
	if err != nil {
		return process{}, err
	}
	go func() { _ = cmd.Wait() }() // else it stays a zombie while this program runs
	return identify(cmd.Process.Pid)
}

// startIn starts a command inside a cgroup that it makes in every hierarchy.
func startIn(path string, cmd *exec.Cmd) error {
	all, err := hierarchies()
	if err != nil {
		return err
	}
	if err := makeCgroup(all, path); err != nil {
		return err
	}
	for _, h := range all {
		if !h.unified {
			continue
		}
		dir, err := os.Open(filepath.Join(h.path, path))
		if err != nil {
			return err
		}
		defer dir.Close()
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
	}
	return onThread(func() error {
		if err := enterCgroup(all, path); err != nil {
			return err
		}
		return cmd.Start()
	})
}

// powerOff asks the machine to shut down and waits: nspawn passes SIGTERM on as
// an orderly halt.
func (proc process) powerOff(ctx context.Context, grace time.Duration) error {
	if err := proc.signal(unix.SIGTERM); err != nil {
		if errors.Is(err, unix.ESRCH) {
			return nil
		}
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	return poll.Until(ctx, 10*time.Millisecond, func(context.Context) error {
		if proc.alive() {
			return fmt.Errorf("wait for process %d to end", proc.PID)
		}
		return nil
	})
}

// lastLines is the end of a machine's console, for an error.
func (p *Provider) lastLines(machine string) string {
	data, _ := os.ReadFile(p.dir(machine, consoleFile))
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-3):], []byte("; ")))
}
