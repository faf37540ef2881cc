package collect

import (
	"path"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/parse"
)

// unitFolders in systemd's order: a file of an earlier one hides those of later ones.
var unitFolders = []string{"/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// unitFiles are what tells the state of units where systemd cannot be asked.
type unitFiles struct {
	glob   func(pattern string, how kind) []string
	target func(file string) string // of a link, "" where it is none or not known
	states []parse.UnitState
}

// statesOfFiles is what files tell of units. Those of packages are enabled by a link
// in the .wants or .requires of whatever starts them, or by an alias. Those of /etc are
// taken to be enabled, for copies often lack links; so is a packaged kubelet.
func statesOfFiles(glob func(pattern string, how kind) []string, target func(file string) string) []parse.UnitState {
	f := &unitFiles{glob: glob, target: target}
	for _, folder := range unitFolders {
		for _, file := range glob(folder+"/*.service", asText) {
			f.file(folder, file)
		}
	}
	for _, folder := range unitFolders {
		for _, dir := range []string{"*.wants", "*.requires"} {
			for _, link := range glob(folder+"/"+dir+"/*.service", asStat) {
				f.enable(path.Base(link), link)
			}
		}
	}
	return f.states
}

// file takes a unit's file, unless it is a link under another name: an alias, which is
// there as long as the unit is enabled.
func (f *unitFiles) file(folder, file string) {
	name := path.Base(file)
	if strings.HasSuffix(name, "@.service") || f.state(name) != nil {
		return
	}
	target := f.target(file)
	if target == "/dev/null" {
		f.states = append(f.states, parse.UnitState{Name: name, Path: target})
		return
	}
	if other := path.Base(target); target != "" && other != name && strings.HasSuffix(other, ".service") && ofCluster.MatchString(other) {
		f.enable(other, target)
		return
	}
	f.states = append(f.states, parse.UnitState{Name: name, Path: file, Enabled: folder == unitFolders[0] || name == "kubelet.service", DropIns: dropIns(f.glob, name)})
}

func (f *unitFiles) state(name string) *parse.UnitState {
	i := slices.IndexFunc(f.states, func(s parse.UnitState) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &f.states[i]
}

// enable marks a unit that something starts. Of one whose file is not there, the link tells where it was.
func (f *unitFiles) enable(name, link string) {
	s := f.state(name)
	if s == nil && ofCluster.MatchString(name) {
		file, drops := name, dropIns(f.glob, name)
		if template, _, instance := strings.Cut(name, "@"); instance {
			file = template + "@.service"
			drops = append(dropIns(f.glob, file), drops...)
		}
		f.states = append(f.states, parse.UnitState{Name: name, Path: f.path(file, link), DropIns: drops})
		s = &f.states[len(f.states)-1]
	}
	if s != nil && s.Path != "/dev/null" {
		s.Enabled, s.Linked = true, true
	}
}

// path is where the file of a unit is that a link enables.
func (f *unitFiles) path(name, link string) string {
	for _, folder := range unitFolders {
		if found := f.glob(folder+"/"+name, asText); len(found) > 0 {
			return found[0]
		}
	}
	if target := f.target(link); path.IsAbs(target) {
		return target
	}
	return link
}

// dropIns are sorted by their names, whatever folder they are in.
func dropIns(glob func(pattern string, how kind) []string, unit string) []string {
	var out []string
	for _, folder := range unitFolders {
		for _, file := range glob(folder+"/"+unit+".d/*.conf", asText) {
			if !slices.ContainsFunc(out, func(other string) bool { return path.Base(other) == path.Base(file) }) {
				out = append(out, file)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return strings.Compare(path.Base(a), path.Base(b)) })
	return out
}
