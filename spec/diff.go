package spec

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A FieldChange is a field that differs between two cluster files.
type FieldChange struct {
	Field    string // such as spec.loadBalancer.additionalPorts, spec.nodes[cp-4]
	Old, New string // "" is absent
	// Live means that a cluster that exists can follow. If not, Why says what is in
	// the way, and Instead what to do.
	Live         bool
	Why, Instead string
	LosesData    bool // to follow would end etcd, and with it all data
}

// String is the change in a line.
func (c FieldChange) String() string {
	switch {
	case c.Old == "":
		return fmt.Sprintf("%s: added %q", c.Field, c.New)
	case c.New == "":
		return fmt.Sprintf("%s: removed %q", c.Field, c.Old)
	}
	return fmt.Sprintf("%s: %q to %q", c.Field, c.Old, c.New)
}

// A NotLiveError lists the changes that a cluster that exists cannot follow.
type NotLiveError struct{ Changes []FieldChange }

// Error has a line for each, with the reason and what to do instead.
func (e *NotLiveError) Error() string {
	lines := make([]string, len(e.Changes))
	for i, c := range e.Changes {
		lines[i] = fmt.Sprintf("%s: not on a cluster that exists: %s; %s", c, c.Why, c.Instead)
	}
	return strings.Join(lines, "\n")
}

// LosesData reports whether following any of the changes would end etcd.
func (e *NotLiveError) LosesData() bool {
	return slices.ContainsFunc(e.Changes, func(c FieldChange) bool { return c.LosesData })
}

// Diff lists what differs between two clusters whose defaults are set, in the
// order of the file, nodes last.
func Diff(old, new *Cluster) []FieldChange {
	var out []FieldChange
	for _, r := range rules {
		before, after := r.values(old), r.values(new)
		keys := slices.Concat(slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(after)))
		slices.Sort(keys)
		for _, key := range slices.Compact(keys) {
			if before[key] != after[key] || has(before, key) != has(after, key) {
				out = append(out, r.change(key, before[key], after[key]))
			}
		}
	}
	if moved := virtualChanges(&old.Spec, &new.Spec); moved != nil {
		out = append(slices.DeleteFunc(out, func(c FieldChange) bool { return c.Field == moved[0].Field }), moved...)
	}
	return append(out, diffNodes(&old.Spec, &new.Spec)...)
}

func has(m map[string]string, key string) bool {
	_, ok := m[key]
	return ok
}

func (r rule) change(key, old, new string) FieldChange {
	c := FieldChange{Field: r.field + key, Old: old, New: new}
	if c.Live = r.live != nil && r.live(old, new); !c.Live {
		c.Why, c.Instead = r.why, r.instead
	}
	return c
}

// CheckLive returns a *NotLiveError with all changes that a cluster cannot follow.
func CheckLive(old, new *Cluster) error { return onlyLive(Diff(old, new)) }

func onlyLive(changes []FieldChange) error {
	changes = slices.DeleteFunc(changes, func(c FieldChange) bool { return c.Live })
	if len(changes) == 0 {
		return nil
	}
	return &NotLiveError{changes}
}
