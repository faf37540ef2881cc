// Package systemdtest has a machine that answers package systemd as one with systemd
// would, for tests of what is done to units.
package systemdtest

import (
	"fmt"
	"strings"

	"github.com/haplane/haplane/internal/machine/machinetest"
	"github.com/haplane/haplane/internal/runtime/systemd"
)

// A Host records commands, keeps files in memory and has units.
type Host struct {
	*machinetest.Recorder
	Running map[string]systemd.State // units that run, by name
	Next    systemd.State            // how a unit is that is started or restarted; its Loaded also after a reload
}

// New returns a host of the given name on which nothing runs.
func New(name string) *Host {
	h := &Host{Recorder: &machinetest.Recorder{NodeName: name}, Running: map[string]systemd.State{}}
	h.Next.Active = true
	h.Answer = h.answer
	return h
}

// Did lists what was done to units so far: a verb and the names of units each.
func (h *Host) Did() []string {
	var out []string
	for _, c := range h.Argvs() {
		if verb, names := verb(c); verb != "" && verb != "observe" {
			out = append(out, verb+" "+strings.Join(names, " "))
		}
	}
	return out
}

// verb tells what package systemd wants with a command, and of which units.
func verb(argv []string) (string, []string) {
	if len(argv) < 5 || argv[0] != "sh" || argv[1] != "-c" {
		return "", nil
	}
	var names []string
	for _, u := range argv[4:] {
		name, ok := strings.CutSuffix(u, ".service")
		if !ok {
			return "", nil
		}
		names = append(names, name)
	}
	return argv[3], names
}

func (h *Host) answer(argv []string) (string, error) {
	verb, names := verb(argv)
	if verb == "observe" {
		return h.shown(names), nil
	}
	for _, name := range names {
		switch verb {
		case "start", "restart":
			h.Running[name] = h.Next
		case "reload":
			state := h.Running[name]
			state.Loaded = h.Next.Loaded
			h.Running[name] = state
		case "stop", "remove":
			delete(h.Running, name)
		}
	}
	return "", nil
}

// shown is what the script of systemd.Observe prints.
func (h *Host) shown(names []string) string {
	var units, configs, loaded string
	for i, name := range names {
		s, state := h.Running[name], "inactive"
		switch {
		case s.Active:
			state = "active"
		case s.Failed:
			state = "failed"
		}
		units += fmt.Sprintf("Id=%s.service\nActiveState=%s\nMainPID=%d\nNRestarts=%d\n\n", name, state, i+1, s.Restarts)
		configs += fmt.Sprintf("%d %s\n", i+1, s.Config)
		loaded += fmt.Sprintf("%s %s\n", name, s.Loaded)
	}
	return units + "===\n" + configs + "===\n" + loaded
}
