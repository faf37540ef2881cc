package cluster

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
)

// A unitState is what a machine says of a unit.
type unitState struct {
	Active bool
	// Config is the digest with which the running process was started; see render.Unit.
	Config string
}

// unitsScript prints Id, ActiveState and MainPID of each unit, an empty line, and
// then for each process its pid and the digest in its environment. It does so with
// as many processes for many units as for one.
const unitsScript = `shown=$(systemctl show --property=Id,ActiveState,MainPID -- "$@") || exit
printf '%s\n\n===\n' "$shown"
set --
for line in $shown; do
  case $line in MainPID=0) ;; MainPID=*) set -- "$@" "/proc/${line#*=}/environ" ;; esac
done
[ $# = 0 ] || grep -zaHs '^` + render.ConfigVariable + `=' "$@" | tr '\0' '\n' | sed -n 's|^/proc/\([0-9]*\)/environ:[^=]*=|\1 |p'`

// observeUnits asks the machine how its units are.
func observeUnits(ctx context.Context, m machine.Machine, units []render.Unit) (map[string]unitState, error) {
	argv := []string{"sh", "-c", unitsScript, "sh"}
	for _, u := range units {
		argv = append(argv, u.Name+".service")
	}
	result, err := m.Run(ctx, machine.Cmd(argv...))
	if err != nil {
		return nil, fmt.Errorf("look at units: %w", err)
	}
	return parseUnits(result.Stdout), nil
}

func parseUnits(text string) map[string]unitState {
	shown, processes, _ := strings.Cut(text, "===\n")
	configs := map[string]string{}
	for line := range strings.Lines(processes) {
		pid, config, _ := strings.Cut(strings.TrimSpace(line), " ")
		configs[pid] = config
	}
	out := map[string]unitState{}
	for block := range strings.SplitSeq(shown, "\n\n") {
		value := map[string]string{}
		for line := range strings.Lines(block) {
			k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
			value[k] = v
		}
		if id := strings.TrimSuffix(value["Id"], ".service"); id != "" {
			out[id] = unitState{Active: value["ActiveState"] == "active", Config: configs[value["MainPID"]]}
		}
	}
	return out
}

// A unitPlan says what is to be done to the units of one machine.
type unitPlan struct {
	start   []string // not running
	restart []string // running with another configuration
}

func (p unitPlan) empty() bool { return len(p.start)+len(p.restart) == 0 }

func planUnits(units []render.Unit, seen map[string]unitState) unitPlan {
	var p unitPlan
	for _, u := range units {
		switch s := seen[u.Name]; {
		case !s.Active:
			p.start = append(p.start, u.Name+".service")
		case s.Config != u.Config:
			p.restart = append(p.restart, u.Name+".service")
		}
	}
	return p
}

// startScript enables before it starts. Restart starts a stopped unit too, and takes
// one that waits for its next try up at once.
const startScript = `systemctl enable --quiet -- "$@" && exec systemctl restart --no-block -- "$@"`

// startUnits enables units, so that they start with the machine, and starts them without waiting.
func startUnits(ctx context.Context, m machine.Machine, names []string) error {
	if _, err := m.Run(ctx, machine.Cmd(append([]string{"sh", "-c", startScript, "sh"}, names...)...)); err != nil {
		return fmt.Errorf("start units: %w", err)
	}
	return nil
}

// restartUnits restarts running units with their new configuration and waits for it.
func restartUnits(ctx context.Context, m machine.Machine, names []string) error {
	if _, err := m.Run(ctx, machine.Cmd("systemctl", "daemon-reload")); err != nil {
		return err
	}
	_, err := m.Run(ctx, machine.Cmd(append([]string{"systemctl", "restart", "--"}, names...)...))
	return err
}

// crashLooping returns the first of the units that systemd has started again at least
// crashLoop times since somebody did, and how often; "" when there is none.
func (e *env) crashLooping(ctx context.Context, n topology.Node, units []string) (string, int) {
	argv := []string{"systemctl", "show", "--property=NRestarts", "--value", "--"}
	for _, u := range units {
		argv = append(argv, u+".service")
	}
	result, err := e.machine(n).Run(ctx, machine.Cmd(argv...))
	if err != nil {
		return "", 0
	}
	for i, count := range strings.Fields(result.Stdout) {
		if restarts, err := strconv.Atoi(count); err == nil && restarts >= crashLoop && i < len(units) {
			return units[i], restarts
		}
	}
	return "", 0
}
