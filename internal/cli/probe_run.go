package cli

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"

	"github.com/haplane/haplane/internal/probe"
	"github.com/haplane/haplane/internal/view"
)

// measure returns the command's error beside its own.
func (p *probeRun) measure(ctx context.Context, lanes []probe.Lane, command []string) (r probe.Report, ran, err error) {
	watching := view.NewMeasuring(p.progress())
	defer watching.Close()
	watching.Begin("start-lanes")
	s, err := probe.Start(ctx, lanes, p.options)
	watching.End("start-lanes", err)
	if err != nil {
		return r, nil, err
	}
	if len(command) > 0 {
		s.Mark("started " + strings.Join(command, " "))
		ran = p.beside(ctx, command)
		s.Mark(fmt.Sprintf("it ended: %s", ended(ran)))
	} else {
		watching.Begin("measure")
		watching.Watch(ctx, p.lasts, s.Seen)
		watching.End("measure", nil)
	}
	watching.Begin("end-lanes")
	r = s.Stop()
	watching.End("end-lanes", nil)
	return r, ran, nil
}

func ended(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// beside runs the command with the user's terminal. It is asked to end, not killed,
// when the user is out of patience.
func (p *probeRun) beside(ctx context.Context, command []string) error {
	c := exec.CommandContext(ctx, command[0], command[1:]...)
	c.Stdin, c.Stdout, c.Stderr = p.In, p.Out, p.Err
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
	err := c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exitError(max(exit.ExitCode(), exitFailed)) // -1: by a signal
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", command[0], err)
	}
	return nil
}
