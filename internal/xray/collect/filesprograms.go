package collect

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/parse"
)

// A place says where on the machine a file is that a program names: containers have
// theirs elsewhere.
type place struct {
	on     func(path string) string
	inside bool // in a container: its mode and owner are nobody's mistake
}

var onHost = place{on: func(path string) string { return path }}

// A located program is one with where its files are.
type located struct {
	evidence.Program
	place
	process *process // nil where none was seen
	pod     string   // namespace/name of a static pod
}

// findPrograms merges what is known of each program: flags of a running process go
// before those of its unit, and these before those of a static pod.
func (h *host) findPrograms() []located {
	units := h.units()
	h.seen = units
	pods := h.pods(h.manifestFolder(units))
	h.doubles(units, pods)
	h.unrecognisedUnits(units)
	var out []located
	for _, name := range h.names(units, pods) {
		unit, pod := meant(units, name), named(pods, name)
		p := h.process(name, units, pods)
		switch {
		case p != nil:
			out = append(out, running(p, unitOf(p, units), pod))
		case unit != nil:
			out = append(out, unit.program())
		case pod != nil:
			out = append(out, *pod)
		}
	}
	out = append(out, h.byConfiguration(out)...)
	h.unrecognisedSuspects(out)
	return out
}

// names are the programs of a machine, each once.
func (h *host) names(units []unit, pods []located) []string {
	var out []string
	add := func(name string) {
		if name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for _, p := range h.processes {
		add(p.name)
	}
	for _, u := range units {
		add(u.name)
	}
	for _, p := range pods {
		add(p.Name)
	}
	return out
}

// The process of a program is the first of the best rank. Pods may run the same
// programs as the cluster does, an ingress with nginx, say: they are not its own.
func (h *host) process(name string, units []unit, pods []located) *process {
	best, rank := (*process)(nil), notOurs
	for i := range h.processes {
		p := &h.processes[i]
		if r := rankOf(p, units, pods); p.name == name && r < rank {
			best, rank = p, r
		}
	}
	return best
}

// Ranks of processes, best first.
const (
	mainOfUnit = iota
	withinUnit
	onItsOwn
	ofStaticPod
	maybeOfStaticPod
	ofDaemonSet
	notOurs
)

func rankOf(p *process, units []unit, pods []located) int {
	pod := named(pods, p.name)
	switch u := unitOf(p, units); {
	case u != nil && u.state.MainPID == p.pid:
		return mainOfUnit
	case u != nil:
		return withinUnit
	case !p.pod:
		return onItsOwn
	case pod != nil && slices.Equal(pod.Argv, p.argv):
		return ofStaticPod
	case pod != nil:
		return maybeOfStaticPod
	case p.name == evidence.KubeProxy || p.name == evidence.KubeVIP:
		return ofDaemonSet
	}
	return notOurs
}

// k0sStopTimeout is how long k0s waits for a program before it sends SIGTERM once more
// (pkg/supervisor of github.com/k0sproject/k0s), at which Kubernetes' programs exit at once
// (SetupSignalContext of k8s.io/apiserver/pkg/server).
const k0sStopTimeout = 5 * time.Second

// running is a program that a process shows. A static pod tells its files, its
// version and how long it may take to end, where it is the process's.
func running(p *process, u *unit, pod *located) located {
	out := located{place: onHost, process: p, Program: evidence.Program{
		Name: p.name, From: evidence.FromProcess, Where: fmt.Sprintf("pid %d", p.pid), Running: true, Argv: p.argv, Executable: p.exe}}
	switch {
	case u != nil:
		out.Unit, out.StopTimeout, out.Variables = &u.Unit, u.stopTimeout(), u.variables(p.name)
		if u.name == evidence.K0s && p.name != evidence.K0s {
			out.StopTimeout = min(out.StopTimeout, k0sStopTimeout)
		}
	case p.pod && pod != nil:
		out.Version, out.StopTimeout, out.place, out.Variables = pod.Version, pod.StopTimeout, pod.place, pod.Variables
	case p.pod, p.box && slices.Contains(balancers, p.name): // others have their files where flags say, as a rule
		root := fmt.Sprintf("/proc/%d/root", p.pid)
		out.place = place{func(path string) string { return root + path }, true}
	}
	return out
}

// balancers have their configuration in the image or the container, as often as not.
var balancers = []string{evidence.HAProxy, evidence.Nginx}

func named(all []located, name string) *located {
	if i := slices.IndexFunc(all, func(p located) bool { return p.Name == name }); i >= 0 {
		return &all[i]
	}
	return nil
}

// usualManifests is kubeadm's folder of static pods.
const usualManifests = "/etc/kubernetes/manifests"

// rke2Manifests are the static pods of RKE2, which starts the kubelet itself.
const rke2Manifests = "/var/lib/rancher/rke2/agent/pod-manifests"

// manifestFolder is where the kubelet finds static pods.
func (h *host) manifestFolder(units []unit) string {
	argv := []string(nil)
	if u := meant(units, evidence.Kubelet); u != nil {
		argv = u.argv
	}
	if p := h.process(evidence.Kubelet, units, nil); p != nil {
		argv = p.argv
	}
	kubelet := located{place: onHost, Program: evidence.Program{Name: evidence.Kubelet, Argv: argv}}
	if path, ok := kubelet.Flag("pod-manifest-path"); ok {
		return path
	}
	folder := usualManifests
	if h.machine.Way == evidence.Folder && len(argv) == 0 && len(h.glob(rke2Manifests+"/*", asText)) > 0 {
		folder = rke2Manifests
	}
	for _, name := range h.configFiles(&kubelet) {
		if text, err := h.read(name, asText); err == nil {
			config, _ := parse.Config(text) // what is wrong with it is told when it is read for the kubelet
			folder = cmp.Or(parse.Text(config, "staticPodPath"), folder)
		}
	}
	return folder
}
