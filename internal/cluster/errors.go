package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/haplane/haplane/internal/apply"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/topology"
)

// A HintedError carries what the user can do about it, and the last lines of the
// log of the program that it is about.
type HintedError struct {
	Err  error
	Hint string
	Log  []string
}

func (e *HintedError) Error() string { return e.Err.Error() }
func (e *HintedError) Unwrap() error { return e.Err }

var errUnfinished = errors.New("bringing it up was cut off")

func withHint(err error, hint string) error { return &HintedError{Err: err, Hint: hint} }

// together is one error of several, with what can be done about each.
func together(errs ...error) error {
	var hints []string
	for _, err := range errs {
		var hinted *HintedError
		if errors.As(err, &hinted) {
			hints = append(hints, hinted.Hint)
		}
	}
	all := errors.Join(errs...)
	if len(hints) < 2 {
		return all
	}
	return withHint(all, strings.Join(hints, "; "))
}

const logLines = 8

// withConsole adds to an error about a machine the end of its console, and what to do.
func (e *env) withConsole(n topology.Node, err error) error {
	file := filepath.Join(e.Store.Machines(), n.Name, "console.log")
	console, _ := os.ReadFile(file)
	hint := "its console is in " + file
	if errors.Is(err, apply.ErrOff) {
		hint = "haplane up starts it again; " + hint
	}
	return &HintedError{Err: err, Hint: hint, Log: lastLines(string(console))}
}

// explain adds to an error about a unit the end of its log, and where to read on.
func (e *env) explain(ctx context.Context, err error) error {
	var off *apply.MachineError
	if errors.As(err, &off) {
		n, _ := e.topology.Node(off.Node)
		n.Name = off.Node
		return e.withConsole(n, err)
	}
	var unit *apply.UnitError
	if !errors.As(err, &unit) || e.reach == nil || ctx.Err() != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	hinted := &HintedError{Err: err, Hint: fmt.Sprintf("haplane logs %s %s --cluster %s", unit.Node, unit.Unit, e.topology.Name)}
	result, logErr := e.reach(unit.Node).Run(ctx, machine.Cmd("journalctl", "--unit="+unit.Unit+".service",
		"--lines="+strconv.Itoa(logLines), "--no-pager", "--output=cat"))
	if logErr != nil {
		hinted.Log = []string{"its log cannot be read: " + logErr.Error()}
	} else {
		hinted.Log = lastLines(result.Stdout)
	}
	return hinted
}

// lastLines are the last lines of a text, without empty ones at its end.
func lastLines(text string) []string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if lines[0] == "" {
		return nil
	}
	return lines[max(0, len(lines)-logLines):]
}
