package collect

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// single are programs of which a machine runs one.
var single = []string{evidence.APIServer, evidence.ControllerManager, evidence.Scheduler, evidence.Kubelet, evidence.KubeProxy, evidence.EtcdServer, evidence.K3s, evidence.K0s}

// doubles notes programs that several units, or pods of different names, or both, are to run.
func (h *host) doubles(units []unit, pods []located) {
	for _, name := range single {
		var all []located
		for i := range units {
			if units[i].name == name && units[i].meant() {
				all = append(all, units[i].program())
			}
		}
		for _, p := range pods {
			if p.Name == name {
				all = append(all, p)
			}
		}
		if name == evidence.EtcdServer { // a cluster may have its events in an etcd of their own
			all = h.sameData(all)
		}
		if len(all) > 1 {
			h.machine.Doubles = append(h.machine.Doubles, evidence.Double{Program: name, Sources: sources(all)})
		}
	}
}

// sameData are the members whose data is in one folder, as far as that is known.
func (h *host) sameData(all []located) []located {
	folder := func(p located) string {
		h.configuration(&p)
		_, configured := p.Flag("config-file")
		if configured && p.Config == nil || p.Unit != nil && len(p.Unit.Unread) > 0 {
			return p.Where
		}
		return p.on(p.EtcdSetting("data-dir", p.EtcdSetting("name", "default")+".etcd"))
	}
	return slices.DeleteFunc(slices.Clone(all), func(p located) bool {
		i := slices.IndexFunc(all, func(o located) bool { return o.Where != p.Where && folder(o) == folder(p) })
		return i < 0
	})
}

func sources(all []located) []string {
	var out []string
	for _, p := range all {
		out = append(out, p.Where)
	}
	return out
}

// sameName notes static pods of one name. Where they run no program of a cluster, it
// is not ours to tell.
func (h *host) sameName(pod, before, file string, found []evidence.Program) {
	for i := range h.machine.Doubles {
		if d := &h.machine.Doubles[i]; d.Pod == pod {
			d.Sources = append(d.Sources, file)
			return
		}
	}
	name := path.Base(pod)
	if len(found) > 0 {
		name = found[0].Name
	}
	if len(found) > 0 || lookAlike(name) != "" {
		h.machine.Doubles = append(h.machine.Doubles, evidence.Double{Program: name, Pod: pod, Sources: []string{before, file}})
	}
}

var architecture = regexp.MustCompile(`-(amd64|arm64|arm|ppc64le|s390x)$`)

// lookAlike is the program of a cluster that a name is of, "" where it is of none.
func lookAlike(name string) string {
	name = architecture.ReplaceAllString(strings.TrimSuffix(name, ".service"), "")
	if name == "hyperkube" || slices.Contains(single[:6], name) {
		return name
	}
	return ""
}

// A suspect is a manifest or unit with a name like that of a program, such as kube-apiserver-ha.
type suspect struct{ file, like string }

// unrecognised notes a manifest or unit that by its names runs a program of a cluster,
// where no such was found in its command. Of names that are only like one it is noted
// until all programs of the machine are known.
func (h *host) unrecognised(file string, found []evidence.Program, names ...string) {
	is := func(like string) bool {
		return slices.ContainsFunc(found, func(p evidence.Program) bool { return p.Name == like || like == "hyperkube" })
	}
	for _, name := range names {
		if like := lookAlike(name); like != "" && !is(like) {
			h.notShown(suspect{file, like})
			return
		}
	}
	for _, name := range names {
		for _, like := range single[:3] {
			if strings.HasPrefix(name, like+"-") && !is(like) {
				h.suspects = append(h.suspects, suspect{file, like})
			}
		}
	}
}

func (h *host) notShown(s suspect) {
	h.add(s.file, "by its name it runs "+s.like+", but its command does not show how: its flags were not seen, and not judged",
		"Look into it by hand, or let it start "+s.like+" by its own name, with its flags.")
}

// unrecognisedSuspects are those whose program nothing else on the machine runs: beside one
// that does they may be for anything.
func (h *host) unrecognisedSuspects(found []located) {
	for _, s := range h.suspects {
		if named(found, s.like) == nil {
			h.notShown(s)
		}
	}
}

// unrecognisedUnits are those of which no process shows what they run.
func (h *host) unrecognisedUnits(units []unit) {
	for _, u := range units {
		shown := slices.ContainsFunc(h.processes, func(p process) bool { return p.unit == u.Name || p.name == lookAlike(u.Name) })
		if u.name == "" && u.meant() && !shown {
			h.unrecognised(u.Path, nil, u.Name)
		}
	}
}
