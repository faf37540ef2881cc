package spec

import (
	"fmt"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// A member is a key of a mapping and its value.
type member struct{ key, value *yaml.Node }

// deepest is how many mappings may be merged into one another: none merges itself for ever.
const deepest = 8

// members are those of a mapping, then those of the mappings that it merges (<<).
func (d *decoder) members(n *yaml.Node, at *field.Path) []member {
	seen := map[string]int{}
	var out []member
	add := func(m member, own bool) {
		if first, ok := seen[m.key.Value]; ok && own {
			path := below(at, m.key.Value)
			d.line(path, m.key)
			d.errs = append(d.errs, field.Invalid(path, field.OmitValueType{},
				fmt.Sprintf("key %q already set in line %d; remove one of the two", m.key.Value, first)))
		} else if !ok {
			seen[m.key.Value] = m.key.Line
			out = append(out, m)
		}
	}
	own, merged := split(n, deepest)
	for _, m := range own {
		add(m, true)
	}
	for _, m := range merged {
		add(m, false)
	}
	return out
}

// split tells what a mapping has of its own and what by merging.
func split(n *yaml.Node, depth int) (own, merged []member) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := target(n.Content[i]), target(n.Content[i+1])
		if key.Tag != "!!merge" {
			own = append(own, member{key, n.Content[i+1]})
			continue
		}
		if depth == 0 {
			continue
		}
		sources := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			sources = value.Content
		}
		for _, s := range sources {
			if s = target(s); s.Kind == yaml.MappingNode {
				first, then := split(s, depth-1)
				merged = append(append(merged, first...), then...)
			}
		}
	}
	return own, merged
}
