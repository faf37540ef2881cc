// Package machine is how haplane acts on a host: run a command, write files,
// read a file. Every host is reached the same way, local machines included.
package machine

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/haplane/haplane/internal/fileset"
)

// A Machine is a host that takes commands. All methods are safe for concurrent use;
// of uploads, two to one folder are not.
type Machine interface {
	// Name is the node's name.
	Name() string
	// Run runs a command as root and waits for it. A command that exits other
	// than 0 returns a *CommandError beside what it printed.
	Run(ctx context.Context, cmd Command) (Result, error)
	// Upload writes the files, each of them atomically with its owner and mode,
	// making parent directories (0755 root) where they are missing.
	Upload(ctx context.Context, files fileset.Set) error
	// Stat tells the state of those of the paths that are regular files.
	Stat(ctx context.Context, paths []string) (map[string]fileset.State, error)
}

// A Command is an argument vector: no shell reads it.
type Command struct {
	Argv   []string
	Stdin  io.Reader
	Stdout io.Writer // beside Result.Stdout; for commands that stream
}

// Cmd returns the command of the given arguments.
func Cmd(argv ...string) Command { return Command{Argv: argv} }

// A Result is what a command printed.
type Result struct{ Stdout, Stderr string }

// A CommandError is a command that ran and did not exit 0.
type CommandError struct {
	Machine  string
	Argv     []string
	ExitCode int
	Stderr   string
}

// Lengths in bytes: from which an argument is left out of an error, and after which a command ends.
const (
	longArgument = 100
	longCommand  = 200
)

// Error names the machine, the command without the text of scripts, and what it said:
// the first line, which tends to be the cause, and the last.
func (e *CommandError) Error() string {
	msg := fmt.Sprintf("%s: %s: exit status %d", e.Machine, Short(e.Argv), e.ExitCode)
	lines := strings.Split(strings.TrimSpace(e.Stderr), "\n")
	first, last := strings.TrimSpace(lines[0]), strings.TrimSpace(lines[len(lines)-1])
	switch {
	case first == "":
	case len(lines) == 1:
		msg += ": " + first
	case len(lines) == 2:
		msg += ": " + first + "; " + last
	default:
		msg += ": " + first + "; ...; " + last
	}
	return msg
}

// Short is a command for people, without the text of scripts.
func Short(argv []string) string {
	var words []string
	for _, a := range argv {
		if len(a) >= longArgument || strings.Contains(a, "\n") {
			a = "..."
		}
		words = append(words, a)
	}
	command := strings.Join(words, " ")
	if len(command) > longCommand {
		command = command[:longCommand] + "..."
	}
	return command
}

// Quote turns an argument vector into one line for a POSIX shell. SSH hands over
// text, so that is what a login shell at the other end makes argv of again.
func Quote(argv []string) string {
	words := make([]string, len(argv))
	for i, a := range argv {
		words[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
	}
	return strings.Join(words, " ")
}
