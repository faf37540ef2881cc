package collect

import (
	"errors"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/parse"
)

// A unit is one of systemd, with the program that it runs; "" where that is not seen
// in its command.
type unit struct {
	evidence.Unit
	state parse.UnitState
	name  string
	argv  []string
}

// ofCluster are names of units that are likely to run a program of a cluster.
var ofCluster = regexp.MustCompile(`^(kube|etcd|haproxy|nginx|haplane|k3s|k0s|keepalived)`)

// units reads the files of the units, drop-ins included.
func (h *host) units() []unit {
	var out []unit
	for _, s := range h.states {
		if s.Path == "" || s.Path == "/dev/null" { // not there, or masked
			continue
		}
		var texts []string
		for _, file := range append([]string{s.Path}, s.DropIns...) {
			text, err := h.read(file, asText)
			switch {
			case errors.Is(err, errLeadsOut) && !ofCluster.MatchString(s.Name):
				continue // an alias or a masked unit of the distribution
			case err != nil:
				h.miss(file, err, readAsRoot)
				continue
			}
			texts = append(texts, text)
		}
		if len(texts) == 0 && h.machine.Way == evidence.Folder {
			texts = packaged[s.Name]
		}
		u := unit{Unit: parse.Unit(s.Name, texts, h.environment), state: s} // of a template, its instance
		u.Name, u.Path, u.Active, u.Enabled = s.Name, s.Path, s.Active, s.Enabled
		u.name, u.argv = parse.Process(u.Exec)
		h.unread(u)
		out = append(out, u)
	}
	return preferLinked(out)
}

// preferLinked leaves of several units of a program those that a link enables: where
// links were copied, the others are disabled.
func preferLinked(units []unit) []unit {
	for i := range units {
		u := &units[i]
		linked := func(o unit) bool { return o.name == u.name && o.state.Linked }
		if u.name != "" && u.Active == "" && !u.state.Linked && slices.ContainsFunc(units, linked) {
			u.Enabled = false
		}
	}
	return units
}

// environment is the text of an EnvironmentFile, "" where that is not known. One that is
// empty, or not there, has no variables.
func (h *host) environment(file string) string {
	text, err := h.read(file, asText)
	if err == nil || errors.Is(err, fs.ErrNotExist) && h.machine.Way != evidence.Folder {
		return text + "\n"
	}
	return ""
}

// unread names the files of a unit's environment that are not in a copy. Those of
// /etc/default and the like that need not be there are empty, as a rule, but etcd's.
func (h *host) unread(u unit) {
	if h.machine.Way != evidence.Folder || !u.meant() || u.name == "" && !u.startsVariable() {
		return
	}
	needed := parse.Words(u.Settings["EnvironmentFile"])
	for _, file := range u.Unread {
		if !slices.Contains(needed, file) && u.name != evidence.EtcdServer && h.lacks(file) {
			continue
		}
		if slices.Contains(needed, file) || u.name == evidence.EtcdServer && len(u.EtcdVariables) == 0 || !slices.Contains(everybodys, strings.TrimPrefix(path.Dir(file), "/")) {
			h.unjudged(file, evidence.NotInCopy)
		}
	}
}

// lacks tells that a machine has no such file: the folder where it would be was copied.
func (h *host) lacks(file string) bool {
	_, err := h.read(file, asText)
	return errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNotCopied)
}

// meant is the unit that is to run a program. Files that distributions leave behind,
// disabled, mean nothing.
func meant(units []unit, name string) *unit {
	i := slices.IndexFunc(units, func(u unit) bool { return u.name == name && u.meant() })
	if i < 0 {
		return nil
	}
	return &units[i]
}

func (u *unit) meant() bool { return u.Enabled || u.Active != "" && u.Active != "inactive" }

// unitOf is the unit that a process is of.
func unitOf(p *process, units []unit) *unit {
	i := slices.IndexFunc(units, func(u unit) bool { return u.state.MainPID == p.pid && p.pid != 0 || p.unit != "" && u.Name == p.unit })
	if i < 0 {
		return nil
	}
	return &units[i]
}

func (u *unit) program() located {
	return located{place: onHost, Program: evidence.Program{Name: u.name, From: evidence.FromUnit, Where: u.Path, Argv: u.argv,
		Unit: &u.Unit, StopTimeout: u.stopTimeout(), Variables: u.variables(u.name)}}
}

// variables are settings of etcd. What others have in their environment is none.
func (u *unit) variables(program string) map[string]string {
	if program != evidence.EtcdServer {
		return nil
	}
	return u.EtcdVariables
}

func (u *unit) stopTimeout() time.Duration {
	if u.state.StopTimeout > 0 {
		return u.state.StopTimeout
	}
	return parse.StopTimeout(u.Settings)
}
