package parse

import (
	"regexp"
	"strings"
)

var variable = regexp.MustCompile(`\$\$|\$\{(\w+)\}`)

// An environment is what is known of the variables of a unit.
type environment struct {
	variables map[string]string
	// unread are files that were not read. Where there are such, variables that are not known then stay as they are
	// written; else they are empty, as systemd has it.
	unread []string
}

// expand makes an argument vector of the value of ExecStart.
func (e environment) expand(unit, value string) []string {
	rest := strings.TrimLeft(value, "@-:+!|")
	prefix := value[:len(value)-len(rest)]
	var out []string
	for i, w := range split(rest) {
		switch {
		case w.bare && w.text == ";": // the next command of the line
			return out
		case w.bare && w.text == `\;`:
			out = append(out, ";")
			continue
		case i == 1 && strings.Contains(prefix, "@"): // argv[0] in place of the path
			continue
		}
		text := specifiers(unit, w.text)
		if strings.Contains(prefix, ":") { // variables are not expanded
			out = append(out, text)
			continue
		}
		out = append(out, e.word(text)...)
	}
	return out
}

// word replaces a word that is a variable by the words of its value, and
// ${NAME} within a word by the value.
func (e environment) word(text string) []string {
	if name, ok := strings.CutPrefix(text, "$"); ok && name != "" && !strings.ContainsAny(name[:1], "${") {
		value, known := e.variables[name]
		if !known && len(e.unread) > 0 {
			return []string{text}
		}
		return Words(value)
	}
	return []string{variable.ReplaceAllStringFunc(text, func(m string) string {
		if m == "$$" {
			return "$"
		}
		value, known := e.variables[variable.FindStringSubmatch(m)[1]]
		if !known && len(e.unread) > 0 {
			return m
		}
		return value
	})}
}

// specifier are those whose values follow from the unit's name, or are the same on
// all machines for the system's own manager (systemd.unit(5)).
var specifier = map[byte]string{'%': "%", 't': "/run", 'S': "/var/lib", 'C': "/var/cache", 'L': "/var/log", 'E': "/etc",
	'T': "/tmp", 'V': "/var/tmp", 'h': "/root", 'u': "root", 'U': "0", 'g': "root", 'G': "0"}

var percent = regexp.MustCompile(`%[%a-zA-Z]`)

// specifiers replaces those that are known. Others, the hostname say, stay as written.
func specifiers(unit, text string) string {
	name := unit[:max(strings.LastIndex(unit, "."), 0)]
	prefix, instance, _ := strings.Cut(name, "@")
	return percent.ReplaceAllStringFunc(text, func(m string) string {
		switch m[1] {
		case 'n':
			return unit
		case 'N':
			return name
		case 'p':
			return prefix
		case 'i':
			return instance
		case 'I':
			return strings.ReplaceAll(instance, "-", "/")
		}
		if value, ok := specifier[m[1]]; ok {
			return value
		}
		return m
	})
}
