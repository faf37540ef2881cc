package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/machine"
)

// A HintedError carries what the user can do about it.
type HintedError struct {
	Err  error
	Hint string
}

func (e *HintedError) Error() string { return e.Err.Error() }
func (e *HintedError) Unwrap() error { return e.Err }

func withHint(err error, hint string) error { return &HintedError{Err: err, Hint: hint} }

// A UnitError is a unit that did not do what was waited for, with the end of its log.
type UnitError struct {
	Node, Unit string
	Err        error
	Log        []string
}

func (e *UnitError) Error() string {
	return fmt.Sprintf("%s: %v%s", e.Unit, e.Err, indented(e.Log))
}
func (e *UnitError) Unwrap() error { return e.Err }

func indented(lines []string) string {
	text := ""
	for _, l := range lines {
		text += "\n  | " + l
	}
	return text
}

const logLines = 8

// explain adds to the error what can be learned of it: the last lines of the
// log of the unit that it is about, and where to read on. It works when ctx has ended.
func (e *env) explain(ctx context.Context, err error) error {
	var unit *UnitError
	if !errors.As(err, &unit) || e.reach == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	result, logErr := e.reach(unit.Node).Run(ctx, machine.Cmd("journalctl", "--unit="+unit.Unit+".service",
		"--lines="+strconv.Itoa(logLines), "--no-pager", "--output=cat"))
	if logErr != nil {
		unit.Log = []string{"(its log cannot be read: " + logErr.Error() + ")"}
	} else if text := strings.TrimSpace(result.Stdout); text != "" {
		unit.Log = strings.Split(text, "\n")
	}
	return withHint(err, fmt.Sprintf("haplane logs %s %s --cluster %s", unit.Node, unit.Unit, e.topology.Name))
}

// bounded gives one request its own time, below the wait that it is part of.
func bounded(ctx context.Context, fn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return fn(ctx)
}

func isNoCluster(err error) bool { return errors.Is(err, ErrNoCluster) }

const pollEvery = 100 * time.Millisecond
