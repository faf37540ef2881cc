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

// Error names the machine, the command and the last line of what it said.
func (e *CommandError) Error() string {
	msg := fmt.Sprintf("%s: %s: exit status %d", e.Machine, strings.Join(e.Argv, " "), e.ExitCode)
	lines := strings.Split(strings.TrimSpace(e.Stderr), "\n")
	if last := lines[len(lines)-1]; last != "" {
		msg += ": " + last
	}
	return msg
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
