package systemd

import (
	"context"
	"fmt"
	"strings"

	"github.com/haplane/haplane/internal/machine"
)

const (
	// Enabled before it is started, so that it starts with the machine too. Restart starts
	// a stopped unit too, and takes one that waits for its next try up at once.
	startScript = `systemctl enable --quiet -- "$@" && exec systemctl restart --no-block -- "$@"`
	// Unit files may be new ones.
	restartScript = `systemctl daemon-reload && exec systemctl restart -- "$@"`
	reloadScript  = `systemctl daemon-reload && exec systemctl reload -- "$@"`
	// What is not there is stopped: systemctl says 5 of it, and fails for all others with it.
	stopScript = `for unit; do
  systemctl stop -- "$unit" || [ $? = 5 ] || exit 1
done`
	// What does not run cannot be killed, which is as well.
	killScript = `systemctl kill --signal=SIGKILL -- "$@" 2>/dev/null || true`
	// Disabling needs the unit file; one that lost it can still run.
	removeScript = `for unit; do
  systemctl stop -- "$unit" || [ $? = 5 ] || exit 1
  [ "$(systemctl show --property=FragmentPath --value -- "$unit")" = "" ] || systemctl disable --quiet -- "$unit" || exit
done`
)

// Start enables units, so that they start with the machine, and starts them without waiting.
func Start(ctx context.Context, m machine.Machine, names ...string) error {
	return run(ctx, m, "start", startScript, names)
}

// Restart restarts units with their new configuration and waits until they run.
func Restart(ctx context.Context, m machine.Machine, names ...string) error {
	return run(ctx, m, "restart", restartScript, names)
}

// Reload has running units read their files again, and waits until they were told to.
func Reload(ctx context.Context, m machine.Machine, names ...string) error {
	return run(ctx, m, "reload", reloadScript, names)
}

// Stop stops units, one after the other, and waits until they have ended. One that is
// not there is stopped. They start again with the machine.
func Stop(ctx context.Context, m machine.Machine, names ...string) error {
	return run(ctx, m, "stop", stopScript, names)
}

// Kill ends the processes of units at once; systemd may start them again: Stop comes after it.
func Kill(ctx context.Context, m machine.Machine, names ...string) error {
	return run(ctx, m, "kill", killScript, names)
}

// Remove stops units and sees to it that they do not start with the machine. Unit
// files are the caller's to remove, afterwards.
func Remove(ctx context.Context, m machine.Machine, names ...string) error {
	return run(ctx, m, "remove", removeScript, names)
}

func run(ctx context.Context, m machine.Machine, verb, script string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	if _, err := m.Run(ctx, command(verb, script, names)); err != nil {
		return fmt.Errorf("%s %s: %w", verb, strings.Join(names, ", "), err)
	}
	return nil
}
