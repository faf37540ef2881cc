// Package systemd runs programs on machines as units of systemd: it looks at them,
// starts, restarts, reloads and stops them.
package systemd

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/program"
)

// A State is what a machine says of a unit. The zero value is that of one that is not there.
type State struct {
	Active   bool
	Failed   bool
	Config   string // digest with which the running process was started
	Loaded   string // digest of the files that it loaded last; "" for one that is never reloaded
	Restarts int    // how often systemd started it again since somebody did
}

// observeScript prints some properties of each unit, an empty line, and then for
// each process its pid and the digest in its environment, and for each file of a
// loaded digest its name and content. It does so with as many processes for many
// units as for one.
const observeScript = `shown=$(systemctl show --property=Id,ActiveState,MainPID,NRestarts -- "$@") || exit
printf '%s\n\n===\n' "$shown"
set --
for line in $shown; do
  case $line in MainPID=0) ;; MainPID=*) set -- "$@" "/proc/${line#*=}/environ" ;; esac
done
[ $# = 0 ] || grep -zaHs '^` + program.ConfigVariable + `=' "$@" | tr '\0' '\n' | sed -n 's|^/proc/\([0-9]*\)/environ:[^=]*=|\1 |p'
echo ===
grep -Hs . ` + program.LoadedDir + `/*.loaded | sed 's|^.*/\([^/]*\)\.loaded:|\1 |'`

// Observe asks the machine, in one session, how the units of the given names are.
func Observe(ctx context.Context, m machine.Machine, names []string) (map[string]State, error) {
	if len(names) == 0 {
		return map[string]State{}, nil
	}
	result, err := m.Run(ctx, command("observe", observeScript, names))
	if err != nil {
		return nil, fmt.Errorf("look at units: %w", err)
	}
	return parse(result.Stdout), nil
}

func parse(text string) map[string]State {
	shown, rest, _ := strings.Cut(text, "===\n")
	processes, files, _ := strings.Cut(rest, "===\n")
	configs, loaded := pairs(processes), pairs(files)
	out := map[string]State{}
	for block := range strings.SplitSeq(shown, "\n\n") {
		value := map[string]string{}
		for line := range strings.Lines(block) {
			k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
			value[k] = v
		}
		if name := strings.TrimSuffix(value["Id"], suffix); name != "" {
			restarts, _ := strconv.Atoi(value["NRestarts"])
			out[name] = State{Active: value["ActiveState"] == "active", Failed: value["ActiveState"] == "failed",
				Config: configs[value["MainPID"]], Loaded: loaded[name], Restarts: restarts}
		}
	}
	return out
}

// pairs reads lines of two words each.
func pairs(text string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), " ")
		out[k] = v
	}
	return out
}

// CrashLooping returns the first of the units that systemd has started again at least
// limit times since somebody did, and how often; "" when there is none, and when the
// machine does not say.
func CrashLooping(ctx context.Context, m machine.Machine, names []string, limit int) (string, int) {
	seen, err := Observe(ctx, m, names)
	if err != nil {
		return "", 0
	}
	for _, name := range names {
		if restarts := seen[name].Restarts; restarts >= limit {
			return name, restarts
		}
	}
	return "", 0
}

// suffix ends the names of services.
const suffix = ".service"

func services(names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = name + suffix
	}
	return out
}

// command runs a script with the units as its arguments and the verb as its name.
func command(verb, script string, names []string) machine.Command {
	return machine.Cmd(append([]string{"sh", "-c", script, verb}, services(names)...)...)
}
