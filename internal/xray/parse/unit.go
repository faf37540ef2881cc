package parse

import (
	"path"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// Unit reads a systemd unit: its file, then its drop-ins in systemd's order. Secrets
// are taken out. file returns the text of an EnvironmentFile, "" where it is not known.
func Unit(name string, texts []string, file func(path string) string) evidence.Unit {
	u := unit{name: path.Base(name), settings: map[string]string{}}
	for _, text := range texts {
		section := ""
		for _, line := range logicalLines(text) {
			if strings.HasPrefix(line, "[") {
				section = line
				continue
			}
			if key, value, ok := strings.Cut(line, "="); ok && section == "[Service]" {
				u.assign(strings.TrimSpace(key), strings.TrimSpace(value))
			}
		}
	}
	out := evidence.Unit{Name: u.name, Path: name, Settings: map[string]string{}}
	for key, value := range u.settings {
		out.Settings[key] = redactSetting(key, value)
	}
	environment := u.environment(file)
	out.EtcdVariables, out.Unread = etcdVariables(environment.variables), environment.unread
	if len(u.exec) > 0 {
		out.Exec = RedactArgv(environment.expand(u.name, u.exec[len(u.exec)-1]))
	}
	return out
}

// logicalLines joins lines that end in a backslash, and leaves out comments, also
// those between such lines.
func logicalLines(text string) []string {
	var out []string
	var begun strings.Builder
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		line = strings.TrimRight(line, "\r\n")
		trimmed := strings.TrimSpace(line)
		if strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, ";") {
			continue
		}
		// Two backslashes are one that is escaped.
		if slashes := len(line) - len(strings.TrimRight(line, `\`)); slashes%2 == 1 {
			begun.WriteString(line[:len(line)-1] + " ")
			continue
		}
		begun.WriteString(line)
		if whole := strings.TrimSpace(begun.String()); whole != "" {
			out = append(out, whole)
		}
		begun.Reset()
	}
	if rest := strings.TrimSpace(begun.String()); rest != "" {
		out = append(out, rest)
	}
	return out
}

// A unit while it is read.
type unit struct {
	name     string
	exec     []string // values of ExecStart
	settings map[string]string
}

func (u *unit) assign(key, value string) {
	switch key {
	case "ExecStart":
		u.exec = append(u.exec, value)
		if value == "" { // an empty assignment forgets the ones before
			u.exec = nil
		}
	case "Environment", "EnvironmentFile":
		value = specifiers(u.name, value)
		if value != "" && u.settings[key] != "" {
			value = u.settings[key] + " " + value
		}
		u.set(key, value)
	case "TimeoutSec":
		u.set("TimeoutStopSec", value)
		u.set(key, value)
	default:
		u.set(key, value)
	}
}

func (u *unit) set(key, value string) {
	if value == "" {
		delete(u.settings, key)
		return
	}
	u.settings[key] = value
}

// environment is that of Environment, and of the files, which win.
func (u *unit) environment(file func(string) string) environment {
	out := environment{variables: map[string]string{}}
	for _, word := range Words(u.settings["Environment"]) {
		if name, value, ok := strings.Cut(word, "="); ok {
			out.variables[name] = value
		}
	}
	for _, name := range EnvironmentFiles(u.settings) {
		text := file(name)
		if text == "" {
			out.unread = append(out.unread, name)
		}
		for _, a := range environmentFile(text) {
			out.variables[a[0]] = a[1]
		}
	}
	return out
}

// etcdVariables are the settings that etcd takes from its environment, without secrets,
// by the names of the flags that they stand for.
func etcdVariables(variables map[string]string) map[string]string {
	var out map[string]string
	for name, value := range variables {
		rest, ok := strings.CutPrefix(name, "ETCD_")
		if !ok {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		flag := strings.ToLower(strings.ReplaceAll(rest, "_", "-"))
		_, out[flag], _ = strings.Cut(RedactArgv([]string{flag + "=" + value})[0], "=")
	}
	return out
}

// EtcdEnvironment are the settings in a file of variables of etcd.
func EtcdEnvironment(text string) map[string]string {
	variables := map[string]string{}
	for _, a := range environmentFile(text) {
		variables[a[0]] = a[1]
	}
	return etcdVariables(variables)
}

// EnvironmentFiles are the paths that the settings of a unit name.
func EnvironmentFiles(settings map[string]string) []string {
	var out []string
	for _, word := range Words(settings["EnvironmentFile"]) {
		out = append(out, strings.TrimPrefix(word, "-"))
	}
	return out
}
