package xray

import (
	"maps"
	"slices"
	"strings"
)

// onHost has a finding name files where they are on the machine: flags of static pods
// name them by their paths in the container.
func (s *Scene) onHost(f Finding) Finding {
	if s == nil || f.Node == "" {
		return f
	}
	m := s.Machine(f.Node)
	if m == nil || len(m.OnHost) == 0 {
		return f
	}
	parts := strings.Split(f.Source, ", ")
	for i, part := range parts {
		if at := m.OnHost[part]; at != "" {
			parts[i] = at + " (in its container " + part + ")"
		}
	}
	f.Source = strings.Join(parts, ", ")
	var words []word
	for _, inside := range slices.Sorted(maps.Keys(m.OnHost)) {
		words = append(words, word{inside, m.OnHost[inside]})
	}
	slices.SortStableFunc(words, func(a, b word) int { return len(b.text) - len(a.text) })
	f.Fix = replaceWords(f.Fix, words)
	return f
}
