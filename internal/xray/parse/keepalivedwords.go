package parse

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

var (
	macro    = regexp.MustCompile(`^\$([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$`)
	expanded = regexp.MustCompile(`\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?`)
)

// statements reads keepalived's blocks and lines: a keyword with its words ends at the end of
// the line, a brace may be on the next one.
func statements(text, machine string) []directive {
	r := keepalivedReader{macros: map[string]string{}}
	for line := range strings.Lines(text) {
		r.line(strings.TrimSpace(line), machine)
	}
	all, _ := r.block(0, 0)
	return all
}

type keepalivedReader struct {
	macros map[string]string
	tokens []string // words, braces, and \n for the end of a line
}

// line takes a line if it is for this machine.
func (r *keepalivedReader) line(line, machine string) {
	if id, rest, _ := strings.Cut(line, " "); strings.HasPrefix(id, "@") {
		name, not := strings.CutPrefix(id[1:], "^")
		if (name == machine) == not {
			return
		}
		line = strings.TrimSpace(rest)
	}
	if m := macro.FindStringSubmatch(line); m != nil {
		r.macros[m[1]] = strings.TrimSpace(m[2])
		return
	}
	for _, w := range keepalivedWords(line) {
		r.tokens = append(r.tokens, expanded.ReplaceAllStringFunc(w, func(m string) string {
			if value, ok := r.macros[expanded.FindStringSubmatch(m)[1]]; ok {
				return value
			}
			return m
		}))
	}
	r.tokens = append(r.tokens, "\n")
}

// keepalivedWords splits a line at blanks and braces outside of quotes, up to a comment.
func keepalivedWords(line string) []string {
	var out []string
	var word strings.Builder
	quoted, begun := false, false
	flush := func() {
		if begun {
			out = append(out, word.String())
		}
		word.Reset()
		begun = false
	}
	for i := range len(line) {
		switch c := line[i]; {
		case c == '"':
			quoted, begun = !quoted, true
		case quoted:
			word.WriteByte(c)
		case c == '#' || c == '!':
			flush()
			return out
		case blank(c) || c == '\r':
			flush()
		case c == '{' && !strings.HasSuffix(word.String(), "$"), c == '}' && !strings.Contains(word.String(), "${"):
			flush()
			out = append(out, string(c))
		default:
			word.WriteByte(c)
			begun = true
		}
	}
	flush()
	return out
}

// block reads up to the closing brace, and returns where it ends.
func (r *keepalivedReader) block(at, depth int) ([]directive, int) {
	var out []directive
	var words []string
	done := func() {
		if len(words) > 0 {
			out = append(out, directive{words: words})
		}
		words = nil
	}
	for ; at < len(r.tokens); at++ {
		switch t := r.tokens[at]; {
		case t == "\n":
			done()
		case t == "}":
			done()
			return out, at
		case t == "{" && depth < nested:
			done()
			var inner []directive
			inner, at = r.block(at+1, depth+1)
			if len(out) > 0 && out[len(out)-1].block == nil {
				out[len(out)-1].block = slices.Clip(inner)
			}
		case t == "{":
			return out, len(r.tokens)
		default:
			words = append(words, t)
		}
	}
	done()
	return out, at
}

// kubeVIPSettings are those variables of kube-vip that say what it moves. None is a secret: those
// of BGP's peers have passwords in them.
var kubeVIPSettings = []string{"address", "vip_address", "port", "vip_interface", "vip_arp", "vip_leaderelection", "vip_leasename", "cp_enable", "cp_namespace",
	"svc_enable", "lb_enable", "lb_port", "bgp_enable", "vip_routingtable", "vip_wireguard", "config_file"}

func kubeVIPVariables(env map[string]string) map[string]string {
	out := maps.Clone(env)
	maps.DeleteFunc(out, func(name, _ string) bool { return !slices.Contains(kubeVIPSettings, name) })
	return out
}
