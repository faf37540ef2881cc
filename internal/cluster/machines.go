package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/haplane/haplane/internal/image"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/machine/ssh"
	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/internal/provider/nspawn"
	"github.com/haplane/haplane/internal/topology"
)

func hostChecked(_ context.Context, e *env) (bool, error) { return e.allRunning() }

// checkHost tells everything that this host lacks, at once.
func checkHost(ctx context.Context, e *env) error {
	if os.Geteuid() != 0 {
		return withHint(errors.New("local machines need root"), "run it again with sudo")
	}
	var names []string
	for _, n := range e.topology.Nodes {
		names = append(names, n.Name)
	}
	return errors.Join(checkBuildHost(ctx, e), ssh.Check(), e.provider().Check(ctx, names))
}

func checkBuildHost(ctx context.Context, e *env) error {
	o, err := e.componentOptions()
	if err != nil {
		return err
	}
	return errors.Join(o.Check(ctx), image.Check())
}

func (e *env) allRunning() (bool, error) {
	running, err := e.running()
	return len(running) == len(e.topology.Nodes), err
}

func machinesRunning(ctx context.Context, e *env) (bool, error) {
	running, err := e.allRunning()
	if err != nil || !running {
		return false, err
	}
	if err := e.waitForMachines(ctx); errors.Is(err, errMachineOff) {
		return false, nil // it was going down just now
	} else if err != nil {
		return false, err
	}
	return true, nil
}

func createMachines(ctx context.Context, e *env) error {
	if err := e.noteStart(); err != nil {
		return err
	}
	made, err := e.provider().List()
	if err != nil {
		return err
	}
	if err := e.provider().Create(ctx, nspawnMachines(e)); err != nil {
		return err
	}
	e.created = map[string]bool{}
	for _, n := range e.topology.Nodes {
		e.created[n.Name] = !slices.ContainsFunc(made, func(m nspawn.Status) bool { return m.Name == n.Name })
	}
	e.addStarted()
	return e.waitForMachines(ctx)
}

// addStarted names the machines that were off and were started.
func (e *env) addStarted() {
	var started []topology.Node
	for _, n := range e.topology.Nodes {
		if _, was := e.started[n.Name]; was {
			started = append(started, n)
		}
	}
	if len(started) > 0 {
		e.changes.add("started the machines " + names(started))
	}
}

// waitForMachines waits until every machine takes commands.
func (e *env) waitForMachines(ctx context.Context) error {
	if err := e.connect(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	return onNodes(ctx, e.topology.Nodes, func(ctx context.Context, n topology.Node) error {
		err := e.until(ctx, n.Name, func(ctx context.Context) error {
			// A machine that boots is not asked with ssh again and again: each is a process,
			// and takes the CPU that all machines need to boot.
			e.waiting(n.Name, "its sshd does not answer yet")
			err := e.provider().Ready(ctx, n.Name)
			if err == nil {
				_, err = e.machine(n).Run(ctx, machine.Cmd("true"))
			}
			if err != nil && e.isOff(n) {
				return poll.Stop(errMachineOff)
			}
			return err
		})
		if err != nil {
			return e.withConsole(n, fmt.Errorf("machine does not answer over SSH: %w", err))
		}
		return nil
	})
}
