package collect

import (
	"errors"
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
		u := unit{Unit: parse.Unit(s.Path, texts, h.environment), state: s}
		u.Name, u.Active, u.Enabled = s.Name, s.Active, s.Enabled
		u.name, u.argv = parse.Process(u.Exec)
		out = append(out, u)
	}
	return out
}

// environment is the text of an EnvironmentFile, which need not be there.
func (h *host) environment(file string) string {
	text, err := h.read(file, asText)
	if err != nil {
		return ""
	}
	return text
}

// meant is the unit that is to run a program. Files that distributions leave behind,
// disabled, mean nothing.
func meant(units []unit, name string) *unit {
	i := slices.IndexFunc(units, func(u unit) bool {
		return u.name == name && (u.Enabled || u.Active != "" && u.Active != "inactive")
	})
	if i < 0 {
		return nil
	}
	return &units[i]
}

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

// unitFolders in systemd's order: a file of an earlier one hides those of later ones.
var unitFolders = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// statesOfFiles is what files tell of units where systemd cannot be asked. Those of
// /etc are taken to be enabled.
func statesOfFiles(glob func(pattern string, how kind) []string) []parse.UnitState {
	var out []parse.UnitState
	for _, folder := range unitFolders {
		for _, file := range glob(folder+"/*.service", asText) {
			name := path.Base(file)
			known := slices.ContainsFunc(out, func(s parse.UnitState) bool { return s.Name == name })
			if known || strings.HasSuffix(name, "@.service") {
				continue
			}
			out = append(out, parse.UnitState{Name: name, Path: file, Enabled: folder == unitFolders[0] || name == "kubelet.service", DropIns: dropIns(glob, name)})
		}
	}
	return out
}

// dropIns are sorted by their names, whatever folder they are in.
func dropIns(glob func(pattern string, how kind) []string, unit string) []string {
	var out []string
	for _, folder := range unitFolders {
		for _, file := range glob(folder+"/"+unit+".d/*.conf", asText) {
			if !slices.ContainsFunc(out, func(other string) bool { return path.Base(other) == path.Base(file) }) {
				out = append(out, file)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return strings.Compare(path.Base(a), path.Base(b)) })
	return out
}
