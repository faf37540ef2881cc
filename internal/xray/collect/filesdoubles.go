package collect

import (
	"net/url"
	"path"
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
			all = h.clashing(all)
		}
		if len(all) > 1 {
			h.machine.Doubles = append(h.machine.Doubles, evidence.Double{Program: name, Sources: sources(all)})
		}
	}
}

// clashing are the members whose data is in one folder, or that listen for clients at one port of one
// address, as far as that is known.
func (h *host) clashing(all []located) []located {
	uses := func(p located) []string {
		h.configuration(&p)
		_, configured := p.Flag("config-file")
		if configured && p.Config == nil || p.Unit != nil && len(p.Unit.Unread) > 0 {
			return nil
		}
		out := []string{p.on(p.EtcdSetting("data-dir", p.EtcdSetting("name", "default")+".etcd"))}
		for address := range strings.SplitSeq(p.EtcdSetting("listen-client-urls", "http://localhost:2379"), ",") {
			if u, err := url.Parse(strings.TrimSpace(address)); err == nil && u.Port() != "" {
				out = append(out, strings.Replace(u.Host, "localhost", "127.0.0.1", 1))
			}
		}
		return out
	}
	return slices.DeleteFunc(slices.Clone(all), func(p located) bool {
		mine := uses(p)
		return !slices.ContainsFunc(all, func(o located) bool {
			return o.Where != p.Where && slices.ContainsFunc(uses(o), func(used string) bool { return slices.Contains(mine, used) })
		})
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
