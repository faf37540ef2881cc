package cluster

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/image"
	"github.com/haplane/haplane/spec"
)

const mostShown = 5 // of how many differences an error tells

// byReplacing is the way where machines cannot stay.
func byReplacing(c *spec.Cluster) string {
	if why := alone(c); why != "" {
		return fmt.Sprintf("machines have to be made anew, and %s: first %s, then haplane upgrade without --in-place", why, another(c))
	}
	return "leave out --in-place: machines are made anew then"
}

// onlyPrograms is an error where two images differ by more than what programs are: an upgrade in place brings no
// packages of the distribution, takes no program away, and gives none a further name.
func onlyPrograms(before, after image.Manifest) error {
	what := differences("package", packages(before), packages(after))
	what = append(what, differences("name", links(before), links(after))...)
	for _, p := range before.Programs {
		there := func(o image.Program) bool { return o.Path == p.Path }
		if p.Path != "" && !slices.ContainsFunc(after.Programs, there) {
			what = append(what, "program "+p.Path+": gone")
		}
	}
	if len(what) == 0 {
		return nil
	}
	more := ""
	if len(what) > mostShown {
		more, what = fmt.Sprintf(" and %d more", len(what)-mostShown), what[:mostShown]
	}
	return fmt.Errorf("the image of the new version differs by what an upgrade in place does not bring: %s%s", strings.Join(what, ", "), more)
}

// differences are the names of a kind that stand for something else in two images, or are in one of them.
func differences(kind string, old, new map[string]string) []string {
	all := maps.Clone(old)
	maps.Copy(all, new)
	var out []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if was, is := old[name], new[name]; was != is {
			out = append(out, fmt.Sprintf("%s %s: %s -> %s", kind, name, cmp.Or(was, "none"), cmp.Or(is, "none")))
		}
	}
	return out
}

func packages(m image.Manifest) map[string]string {
	out := map[string]string{}
	for _, p := range m.Packages {
		out[p.Name] = p.Version
	}
	return out
}

// links are the further names of programs, and the program behind each.
func links(m image.Manifest) map[string]string {
	out := map[string]string{}
	for _, p := range m.Programs {
		for _, link := range p.Links {
			if p.Path != "" {
				out[path.Join(path.Dir(p.Path), link)] = p.Path
			}
		}
	}
	return out
}
