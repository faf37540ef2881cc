package xray

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// A word is a name or an address of a machine as it stands in settings.
type word struct{ text, by string }

const ownAddress, ownName = "(own address)", "(own name)"

// neutral replaces a machine's own addresses and names, so that what differs only
// in them is the same: also in names of files, such as node-cp-1.pem and ip-10-0-0-1.
// What is another machine's stays: a flag that names another's file is a difference.
func (s *Scene) neutral(m *evidence.Machine, text string) string {
	var words []word
	for _, a := range s.ownAddresses(m) {
		for _, form := range forms(a) {
			words = append(words, word{form, ownAddress})
		}
	}
	for _, name := range s.namesOf(m) {
		words = append(words, word{name, ownName})
	}
	for _, other := range s.Machines {
		for _, name := range s.namesOf(other) {
			if other != m && !slices.ContainsFunc(words, func(w word) bool { return strings.EqualFold(w.text, name) }) {
				words = append(words, word{name, ""})
			}
		}
	}
	slices.SortStableFunc(words, func(a, b word) int { return len(b.text) - len(a.text) })
	return replaceWords(text, words)
}

func (s *Scene) ownAddresses(m *evidence.Machine) []netip.Addr {
	out := slices.DeleteFunc(s.addressesOf(m), func(a netip.Addr) bool { return !s.isOwn(m, a) })
	if a, ok := s.advertisedBy(m); ok && !slices.Contains(out, a) {
		out = append(out, a)
	}
	return out
}

// forms are those in which an address stands in texts, and in host names made of it.
func forms(a netip.Addr) []string {
	out := []string{a.String()}
	if a.Is4() {
		out = append(out, strings.ReplaceAll(a.String(), ".", "-"), strings.ReplaceAll(a.String(), ".", "_"))
	}
	return out
}

// namesOf are the names that a machine goes by: as the user, its kernel, its kubelet, the
// API and etcd call it, and each without its domain.
func (s *Scene) namesOf(m *evidence.Machine) []string {
	all := []string{m.Name, m.Hostname}
	for _, name := range []string{evidence.Kubelet, evidence.KubeProxy} {
		if p := m.Program(name); p != nil {
			all = append(all, p.FlagOr("hostname-override", ""))
		}
	}
	if n := s.NodeOf(m); n != nil {
		all = append(all, n.Name)
	}
	if p := m.Program(evidence.EtcdServer); p != nil {
		if name := p.EtcdSetting("name", ""); name != "default" { // etcd's own
			all = append(all, name)
		}
	}
	var out []string
	for _, name := range all {
		if _, err := netip.ParseAddr(name); err == nil || name == "" {
			continue
		}
		short, _, _ := strings.Cut(name, ".")
		out = append(out, name, short)
	}
	return distinct(out)
}

// replaceWords replaces words where they are whole; the first that fits is taken. One that is
// replaced by nothing stays.
func replaceWords(text string, words []word) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		w := slices.IndexFunc(words, func(w word) bool { return isWord(text, i, w.text) })
		switch {
		case w < 0:
			b.WriteByte(text[i])
			i++
			continue
		case words[w].by == "":
			b.WriteString(text[i : i+len(words[w].text)])
		default:
			b.WriteString(words[w].by)
		}
		i += len(words[w].text)
	}
	return b.String()
}

// isWord tells whether a word stands in a text, whatever its capitals, with nothing that
// continues it on either side: 10.0.0.1 is not in 10.0.0.11, nor cp-1 in cp-12.
func isWord(text string, at int, word string) bool {
	end := at + len(word)
	return word != "" && end <= len(text) && strings.EqualFold(text[at:end], word) && !isAlnum(text, at-1) && !isAlnum(text, end) &&
		!continuesAddress(text, at, end)
}

func isAlnum(text string, i int) bool {
	if i < 0 || i >= len(text) {
		return false
	}
	c := text[i]
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// continuesAddress: digits and a dot beside an address make it another one.
func continuesAddress(text string, at, end int) bool {
	digit := func(i int) bool { return isAlnum(text, i) && text[i] <= '9' }
	before := at > 1 && text[at-1] == '.' && digit(at-2) && digit(at)
	after := end+1 < len(text) && text[end] == '.' && digit(end-1) && digit(end+1)
	return before || after
}
