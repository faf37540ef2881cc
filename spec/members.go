package spec

import (
	"fmt"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// A member is a key of a mapping and its value.
type member struct{ key, value *yaml.Node }

// members are those of a mapping, then those of the mappings that it merges (<<). path is
// where one of a name is.
func (d *decoder) members(n *yaml.Node, path func(name string) *field.Path) []member {
	seen := map[string]int{}
	var out []member
	add := func(m member, own bool) {
		if first, ok := seen[m.key.Value]; ok && own {
			again := path(m.key.Value)
			d.line(again, m.key)
			d.errs = append(d.errs, field.Invalid(again, field.OmitValueType{},
				fmt.Sprintf("key %q already set in line %d; remove one of the two", m.key.Value, first)))
		} else if !ok {
			seen[m.key.Value] = m.key.Line
			out = append(out, m)
		}
	}
	s := splitter{visited: map[*yaml.Node]bool{}}
	s.split(n, true)
	for _, n := range s.unmerged {
		here := path("<<")
		d.line(here, n)
		d.errs = append(d.errs, field.Invalid(here, shown(n), "cannot be merged; write a mapping"))
	}
	for _, key := range s.unnamed {
		here := path("?")
		d.line(here, key)
		d.errs = append(d.errs, field.Invalid(here, shown(key), "cannot stand before a colon; write the name of a field"))
	}
	for _, m := range s.own {
		add(m, true)
	}
	for _, m := range s.merged {
		add(m, false)
	}
	return out
}

// A splitter tells what a mapping has of its own and what by merging. Each mapping is looked
// at once: what comes again has nothing new, and one may merge itself.
type splitter struct {
	own, merged []member
	unmerged    []*yaml.Node // no mappings, behind <<
	unnamed     []*yaml.Node // no scalars, before a colon
	visited     map[*yaml.Node]bool
}

func (s *splitter) split(n *yaml.Node, top bool) {
	if s.visited[n] {
		return
	}
	s.visited[n] = true
	var sources []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := target(n.Content[i]), n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			s.unnamed = append(s.unnamed, key)
		case key.Tag == "!!merge":
			sources = append(sources, value)
		case top:
			s.own = append(s.own, member{key, value})
		default:
			s.merged = append(s.merged, member{key, value})
		}
	}
	for _, source := range sources {
		s.merge(source)
	}
}

// merge takes what stands behind <<: a mapping, or a list of them.
func (s *splitter) merge(source *yaml.Node) {
	value := target(source)
	all := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		all = value.Content
	}
	for _, one := range all {
		if one = target(one); one.Kind == yaml.MappingNode {
			s.split(one, false)
		} else {
			s.unmerged = append(s.unmerged, one)
		}
	}
}
