package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// A timedPhase is a phase of `haplane up` that has ended. Steps that do the same on several
// nodes are one.
type timedPhase struct {
	id    string
	took  time.Duration
	ended time.Duration // since up was started
}

type timedPhases []timedPhase

// end tells when a phase had ended.
func (ps timedPhases) end(id string) time.Duration {
	for _, p := range ps {
		if p.id == id {
			return p.ended
		}
	}
	return 0
}

// took tells how long a phase took.
func (ps timedPhases) took(id string) time.Duration {
	for _, p := range ps {
		if p.id == id {
			return p.took
		}
	}
	return 0
}

// phaseEnd is a line of the log; see slog.TextHandler.
var phaseEnd = regexp.MustCompile(`^time=(\S+) level=INFO msg=(?:finished|current) phase=(\S+) elapsed=(\S+)`)

// readLog reads the only log of up in a cluster's store.
func readLog(store string, start time.Time) (timedPhases, error) {
	files, err := filepath.Glob(filepath.Join(store, "logs", "up-*.log"))
	if err != nil || len(files) != 1 {
		return nil, fmt.Errorf("find log of up: %v, %w", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		return nil, err
	}
	phases, err := parseLog(string(data), start)
	if err == nil && len(phases) == 0 {
		err = fmt.Errorf("%s tells of no phase", files[0])
	}
	return phases, err
}

func parseLog(text string, start time.Time) (timedPhases, error) {
	var out timedPhases
	for line := range strings.Lines(text) {
		m := phaseEnd.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		at, err := time.Parse(time.RFC3339, m[1])
		if err != nil {
			return nil, fmt.Errorf("read log: %w", err)
		}
		took, err := time.ParseDuration(m[3])
		if err != nil {
			return nil, fmt.Errorf("read log: %w", err)
		}
		out = out.with(timedPhase{id: onNode.ReplaceAllString(m[2], ""), took: took, ended: at.Sub(start)})
	}
	return out, nil
}

// onNode is the part of a step's ID that names the node.
var onNode = regexp.MustCompile(`@[^/]+`)

// with adds what has ended, to what has begun before where that does the same.
func (ps timedPhases) with(p timedPhase) timedPhases {
	for i := range ps {
		if ps[i].id == p.id {
			began := min(ps[i].ended-ps[i].took, p.ended-p.took)
			ps[i].ended = max(ps[i].ended, p.ended)
			ps[i].took = ps[i].ended - began
			return ps
		}
	}
	return append(ps, p)
}
