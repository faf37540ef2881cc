package collect

import (
	"path"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/parse"
)

var architecture = regexp.MustCompile(`-(amd64|arm64|arm|ppc64le|s390x)$`)

// lookAlike is the program of a cluster that a name is of, "" where it is of none.
func lookAlike(name string) string {
	name = architecture.ReplaceAllString(strings.TrimSuffix(name, ".service"), "")
	if name == hyperkube || slices.Contains(single[:6], name) {
		return name
	}
	return ""
}

// hyperkube is all programs of Kubernetes in one file (until 1.19).
const hyperkube = "hyperkube"

// short are names of programs without their beginning. Others have an apiserver too.
var short = []string{"apiserver", "controller-manager"}

// A suspect is a manifest or unit with a name like that of a program, such as kube-apiserver-ha.
type suspect struct{ file, like string }

// unrecognised notes a manifest or unit that by its names runs a program of a cluster,
// where no such was found in its command. Of names that are only like one it is noted
// until all programs of the machine are known, and so is what else it may run. So it is of images: that of etcd has
// etcdctl, too. The last name is that of its file.
func (h *host) unrecognised(file, runs string, found []evidence.Program, images []string, names ...string) {
	is := func(like string) bool {
		return slices.ContainsFunc(found, func(p evidence.Program) bool { return p.Name == like || like == hyperkube })
	}
	for _, name := range names {
		if like := lookAlike(name); like != "" && !is(like) {
			h.notShown(suspect{file, like})
			return
		}
	}
	for _, image := range images {
		switch like := lookAlike(image); {
		case like == "" || is(like):
		case like == hyperkube:
			h.notShown(suspect{file, like})
			return
		default:
			h.suspects = append(h.suspects, suspect{file, like})
		}
	}
	for _, name := range slices.Concat(images, names) {
		for _, like := range single[:3] {
			if strings.HasPrefix(name, like+"-") && !is(like) {
				h.suspects = append(h.suspects, suspect{file, like})
			}
		}
	}
	if own := strings.TrimSuffix(names[len(names)-1], ".service"); slices.Contains(short, own) && !is("kube-"+own) {
		h.suspects = append(h.suspects, suspect{file, "kube-" + own})
	}
	if len(found) == 0 {
		h.unknown = append(h.unknown, evidence.Unrecognised{Source: file, Runs: runs})
	}
}

func (h *host) notShown(s suspect) {
	h.machine.Unrecognised = append(h.machine.Unrecognised, evidence.Unrecognised{Source: s.file, Like: s.like})
	h.add(s.file, "by its name it runs "+s.like+", but its command does not show how: its flags were not seen, and not judged",
		"Look into it by hand, or let it start "+s.like+" by its own name, with its flags.")
}

// unrecognisedSuspects are those whose program nothing else on the machine runs: beside one
// that does they may be for anything, as what is not like any program.
func (h *host) unrecognisedSuspects(found []located) {
	for _, s := range h.suspects {
		if named(found, s.like) == nil {
			h.notShown(s)
		}
	}
	for _, u := range h.unknown {
		if !slices.ContainsFunc(h.machine.Unrecognised, func(o evidence.Unrecognised) bool { return o.Source == u.Source }) {
			h.machine.Unrecognised = append(h.machine.Unrecognised, u)
		}
	}
}

// unrecognisedUnits are those of which no process shows what they run.
func (h *host) unrecognisedUnits(units []unit) {
	for _, u := range units {
		shown := slices.ContainsFunc(h.processes, func(p process) bool { return p.unit == u.Name || p.name == lookAlike(u.Name) })
		if u.name != "" || !u.meant() || shown || lookAlike(u.Name) == "" && !u.mayBeOfCluster() {
			continue
		}
		h.unrecognised(u.Path, parse.Starts(u.Exec), nil, nil, u.Name)
	}
}

// Units that may run a program of a cluster are those with such a word in their name or command, and those
// that somebody wrote for a program that no package brings. What every node has beside is neither.
var (
	wordOfCluster = regexp.MustCompile(`(^|[-_.])(kube|k8s|etcd|haproxy|nginx|keepalived|apiserver|master\b|control-?plane)`)
	companion     = regexp.MustCompile(`^(haplane.*|containerd|docker|crio|cri-dockerd?|flanneld|sshd?)\.service$`)
	ofPackages    = regexp.MustCompile(`^(/usr)?/(s?bin|lib|lib64|libexec)/`)
)

func (u *unit) mayBeOfCluster() bool {
	if companion.MatchString(u.Name) || len(u.Exec) == 0 {
		return false
	}
	written := path.Dir(u.Path) == unitFolders[0]
	words := strings.Fields(strings.Join(u.Exec, " ")) // those of a shell's script, too
	return u.startsVariable() && written || wordOfCluster.MatchString(u.Name) || slices.ContainsFunc(words, func(word string) bool {
		own := written && path.IsAbs(word) && !ofPackages.MatchString(word)
		return own || !strings.HasPrefix(word, "-") && wordOfCluster.MatchString(path.Base(word))
	})
}

// startsVariable tells a unit whose program is in a variable, of a file that was not read.
func (u *unit) startsVariable() bool { return strings.HasPrefix(parse.Starts(u.Exec), "$") }

// podRuns is what a pod starts: the command of its first container, or its image.
func podRuns(pod *corev1.Pod) string {
	for _, c := range pod.Spec.Containers {
		if runs := parse.Starts(c.Command); runs != "" && !strings.HasPrefix(runs, "-") { // what it has in args are arguments of its image's
			return runs
		}
		return "image " + imageName(c)
	}
	return "nothing"
}

// imageName is that of an image, without where it is from and its tag.
func imageName(c corev1.Container) string {
	name, _, _ := strings.Cut(path.Base(c.Image), "@")
	name, _, _ = strings.Cut(name, ":")
	return name
}
