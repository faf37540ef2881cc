package parse

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// wrappers start the program that their arguments name, and shells one of those of
// a script.
var (
	wrappers = []string{"kube", "hyperkube", "go-runner", "tini", "dumb-init", "catatonit", "env", "nice", "ionice", "chrt", "exec", "taskset", "numactl", "setpriv",
		"kubenswrapper", "watch-termination"} // the last two are OpenShift's
	shells = []string{"sh", "bash", "dash", "ash"}
)

// hyperkube has its programs by these names as well, up to 1.16.
var hyperkube = map[string]string{"apiserver": evidence.APIServer, "controller-manager": evidence.ControllerManager, "scheduler": evidence.Scheduler, "proxy": evidence.KubeProxy}

// maxWrapped is how many programs may start one another.
const maxWrapped = 5

// wrapped recognises a program that another one starts. depth bounds wrappers of wrappers.
func wrapped(argv []string, depth int) (string, []string) {
	base := path.Base(argv[0])
	switch {
	case depth == 0:
	case slices.Contains(shells, base):
		for _, command := range commands(script(argv[1:])) {
			if name, out := started(command, depth); name != "" {
				return name, out
			}
		}
	case base == "hyperkube" && len(argv) > 1 && hyperkube[argv[1]] != "":
		argv = append([]string{hyperkube[argv[1]]}, argv[2:]...)
		return argv[0], RedactArgv(argv)
	case slices.Contains(wrappers, base):
		return started(argv[1:], depth)
	}
	return "", nil
}

// started passes over flags, numbers and assignments, to the program.
func started(argv []string, depth int) (string, []string) {
	i := slices.IndexFunc(argv, func(a string) bool {
		return a != "" && !strings.HasPrefix(a, "-") && !strings.Contains(a, "=") && strings.Trim(a, "0123456789") != ""
	})
	if i < 0 {
		return "", nil
	}
	if name := known(argv[i:]); name != "" {
		return name, RedactArgv(argv[i:])
	}
	return wrapped(argv[i:], depth-1)
}

// programWord is the beginning of a word that can be the name of a program, or the variable that has it. There are no
// arguments in it.
var programWord = regexp.MustCompile(`^[\w./@+${}()-]+`)

// Starts is what a command starts, without its arguments: these may have secrets. Of a shell, and of env, it is the
// script or program, where that is named by its whole path; what follows that is an argument again.
func Starts(argv []string) string {
	if len(argv) == 0 {
		return ""
	}
	first := programWord.FindString(argv[0])
	base := path.Base(first)
	if base != "env" && !slices.Contains(shells, base) {
		return first
	}
	i := slices.IndexFunc(argv[1:], func(a string) bool {
		return !strings.HasPrefix(a, "-") && !(base == "env" && strings.Contains(a, "="))
	})
	if i >= 0 && path.IsAbs(argv[1+i]) && programWord.FindString(argv[1+i]) == argv[1+i] {
		return argv[1+i]
	}
	return first
}

// script is the text of a shell's -c, "" where it has none.
func script(args []string) string {
	for i, a := range args {
		if strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "--") && strings.HasSuffix(a, "c") && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

// keywords may come before a command.
var keywords = []string{"then", "do", "else", "{", "(", "!", "if", "while"}

// commands are the simple commands of a script, without redirections. Loops,
// substitutions and functions are beyond it.
func commands(text string) [][]string {
	var out [][]string
	var command []string
	redirected := false
	end := func() {
		if len(command) > 0 {
			out = append(out, command)
		}
		command, redirected = nil, false
	}
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		for _, w := range split(line) {
			bare, more := w.text, true
			if w.bare {
				bare = strings.TrimRight(w.text, ";&")
				more = bare == w.text
			}
			switch {
			case w.bare && (bare == "" || strings.Trim(bare, "|") == ""):
				more = false
			case len(command) == 0 && slices.Contains(keywords, bare):
			case w.bare && redirection(bare):
				redirected = true
			case !redirected:
				command = append(command, bare)
			}
			if !more {
				end()
			}
		}
		end()
	}
	return out
}

// redirection tells > file, 2>&1 and the like from an argument.
func redirection(text string) bool {
	text = strings.TrimLeft(text, "0123456789&")
	return strings.HasPrefix(text, ">") || strings.HasPrefix(text, "<")
}
