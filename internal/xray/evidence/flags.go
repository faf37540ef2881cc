package evidence

import (
	"encoding/csv"
	"slices"
	"strings"
)

// A Flag is one of an argument vector, as the program reads it.
type Flag struct{ Name, Value string }

// normalises tells a program whose flags pass through pflag and WordSepNormalizeFunc
// (k8s.io/component-base/cli/flag). etcd has Go's package flag, others their own.
func (p *Program) normalises() bool {
	return slices.Contains([]string{APIServer, ControllerManager, Scheduler, Kubelet, KubeProxy}, p.Name)
}

// Flags are those of the arguments in their order. A flag that has no value is "true",
// as flag packages have it for booleans: these take none from the next argument, so that
// a true or false after one is an argument of its own.
func (p *Program) Flags() []Flag { return slices.Collect(p.flags) }

// flags yields them one by one: checks ask for single ones very often.
func (p *Program) flags(yield func(Flag) bool) {
	for i := 1; i < len(p.Argv); i++ {
		text, ok := p.flag(p.Argv[i])
		if !ok {
			continue
		}
		if text == "-" && (p.normalises() || p.Name == EtcdServer) { // what follows is no flag
			break
		}
		name, value, has := strings.Cut(text, "=")
		switch {
		case has:
		case i+1 < len(p.Argv) && isValue(p.Argv[i+1]):
			i++
			value = p.Argv[i]
		default:
			value = "true"
		}
		if !yield(Flag{p.normal(name), value}) {
			return
		}
	}
}

// flag is an argument without its dashes, if it is a flag; "-" is the end of them.
func (p *Program) flag(arg string) (text string, ok bool) {
	if text, ok = strings.CutPrefix(arg, "-"); !ok || text == "" || text == "-" {
		return text, text == "-"
	}
	if long, isLong := strings.CutPrefix(text, "-"); isLong {
		return long, true
	}
	if p.normalises() && len(text) > 1 && text[1] != '=' { // -v2: one dash begins letters alone
		return text[:1] + "=" + text[1:], true
	}
	return text, true
}

// normal is the name that a program knows a flag by: Kubernetes takes --etcd_servers
// for --etcd-servers.
func (p *Program) normal(name string) string {
	if p.normalises() {
		return strings.ReplaceAll(name, "_", "-")
	}
	return name
}

// isValue tells whether an argument may be the value of the flag before it. No flag
// that needs a value takes true or false.
func isValue(arg string) bool {
	return !strings.HasPrefix(arg, "-") && arg != "true" && arg != "false"
}

// Flag returns the value of a flag, or of the variable that stands for it; the last
// flag counts.
func (p *Program) Flag(name string) (string, bool) {
	if all := p.Values(name); len(all) > 0 {
		return all[len(all)-1], true
	}
	value, found := p.Variables[name]
	return value, found
}

// Values are all that a flag was given.
func (p *Program) Values(name string) []string {
	var out []string
	for f := range p.flags {
		if f.Name == name {
			out = append(out, f.Value)
		}
	}
	return out
}

// FlagNames are those of the flags that are set, each once.
func (p *Program) FlagNames() []string {
	var out []string
	for f := range p.flags {
		if !slices.Contains(out, f.Name) {
			out = append(out, f.Name)
		}
	}
	return out
}

// FlagOr returns the value of a flag, or what the program takes without it.
func (p *Program) FlagOr(name, otherwise string) string {
	if v, ok := p.Flag(name); ok {
		return v
	}
	return otherwise
}

// once are flags whose value has commas in it and which are no lists of pflag: the last counts.
var once = []string{"service-cluster-ip-range", "cluster-cidr", "node-ip", "advertise-address"}

// List returns the values of a flag that takes a list. Kubernetes' programs add up
// what a repeated one has, and read quotes as CSV has them.
func (p *Program) List(name string) []string {
	all := p.Values(name)
	if !p.normalises() || len(all) == 0 || slices.Contains(once, name) {
		v, _ := p.Flag(name)
		return fields(v)
	}
	var out []string
	for _, v := range all {
		out = append(out, unquoted(v)...)
	}
	return out
}

func fields(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' })
}

func unquoted(text string) []string {
	if !strings.Contains(text, `"`) {
		return fields(text)
	}
	out, err := csv.NewReader(strings.NewReader(text)).Read()
	if err != nil {
		return fields(text)
	}
	return slices.DeleteFunc(out, func(v string) bool { return v == "" })
}
