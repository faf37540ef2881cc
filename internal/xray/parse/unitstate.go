package parse

import (
	"strconv"
	"strings"
	"time"
)

// A UnitState is what systemd says of a unit.
type UnitState struct {
	Name        string // kubelet.service
	Active      string // active, inactive, failed, activating, ...
	Enabled     bool   // starts by itself
	Linked      bool   // a link was seen that enables it, where systemd was not asked
	Path        string // of the unit file that counts; "" where there is none
	DropIns     []string
	MainPID     int           // 0 where none runs
	StopTimeout time.Duration // 0 where it does not say
}

// ShownProperties are those that UnitStates reads from `systemctl show --property`.
const ShownProperties = "Id,ActiveState,UnitFileState,FragmentPath,DropInPaths,MainPID,TimeoutStopUSec"

// UnitStates reads what systemctl show prints for several units: lines of
// NAME=VALUE, an empty line between units. What it does not know it passes over.
func UnitStates(text string) []UnitState {
	var out []UnitState
	for block := range strings.SplitSeq(text, "\n\n") {
		var s UnitState
		for line := range strings.SplitSeq(block, "\n") {
			key, value, _ := strings.Cut(strings.TrimRight(line, "\r"), "=")
			s.set(key, value)
		}
		if s.Name != "" {
			out = append(out, s)
		}
	}
	return out
}

func (s *UnitState) set(key, value string) {
	switch key {
	case "Id":
		s.Name = value
	case "ActiveState":
		s.Active = value
	case "UnitFileState":
		s.Enabled = strings.HasPrefix(value, "enabled") || value == "generated"
	case "FragmentPath":
		s.Path = value
	case "DropInPaths":
		s.DropIns = strings.Fields(value)
	case "MainPID":
		s.MainPID, _ = strconv.Atoi(value)
	case "TimeoutStopUSec":
		s.StopTimeout = stopTimeout(value)
	}
}

// stopTimeout is how long a unit may take to end: systemd takes 0 for no limit.
// Text that is no time span is 0: not known.
func stopTimeout(text string) time.Duration {
	d, err := TimeSpan(text)
	if err != nil {
		return 0
	}
	if d == 0 {
		return Forever
	}
	return d
}

// DefaultStopTimeout is systemd's own, for units that do not say.
const DefaultStopTimeout = 90 * time.Second

// StopTimeout is how long a unit of the settings may take to end.
func StopTimeout(settings map[string]string) time.Duration {
	if text, ok := settings["TimeoutStopSec"]; ok {
		return stopTimeout(text)
	}
	return DefaultStopTimeout
}
