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

// pods are the programs of static pods. Of several files with one pod, the kubelet
// runs the last by name (pkg/kubelet/config/file.go lists them into a store by
// namespace and name): it is the one that counts.
func (h *host) pods(folder string) []located {
	h.idleManifests(folder)
	var out []located
	pods := map[string]string{} // to the file that has it
	for _, file := range h.manifests(folder) {
		pod := h.manifest(file)
		if pod == nil {
			continue
		}
		key := podKey(pod, file)
		found := parse.Pod(pod, evidence.FromManifest, file)
		if before, double := pods[key]; double {
			out = slices.DeleteFunc(out, func(p located) bool { return p.pod == key })
			h.sameName(key, before, file, found)
		}
		pods[key] = file
		on := parse.HostPaths(pod)
		for _, p := range found {
			out = append(out, located{Program: p, place: place{on: on}, pod: key})
		}
		called, _, _ := strings.Cut(path.Base(file), ".")
		h.unrecognised(file, podRuns(pod), found, podImages(pod), append(podLooksLike(pod), called)...)
	}
	events := func(p located) int { return strings.Count(path.Base(p.pod), "events") }
	slices.SortStableFunc(out, func(a, b located) int { return events(a) - events(b) }) // the cluster's etcd goes before one for events
	return out
}

// idleManifests names what kubeadm's folder has where the kubelet reads another one, and that one
// where a copy lacks it.
func (h *host) idleManifests(folder string) {
	if path.Clean(folder) == usualManifests || h.machine.Way != evidence.Folder {
		return
	}
	if _, err := h.stat(path.Clean(folder), asStat); err != nil && strings.HasPrefix(folder, "/") {
		h.unjudged(path.Clean(folder)+", the folder of static pods by the kubelet's configuration", evidence.NotInCopy)
	}
	for _, file := range h.manifests(usualManifests) {
		h.unjudged(file, "no kubelet reads it, for its static pods are in "+path.Clean(folder))
	}
}

// manifests are the files that the kubelet reads: all whose names do not begin with a
// dot, whatever they end in.
func (h *host) manifests(folder string) []string {
	files := h.glob(path.Clean(folder)+"/*", asText)
	if len(files) == 0 { // the path may be of one file
		files = h.glob(path.Clean(folder), asText)
	}
	return slices.DeleteFunc(files, func(file string) bool {
		return strings.HasPrefix(path.Base(file), ".") || strings.HasSuffix(file, ".key")
	})
}

// manifest is the pod of a file, or nil. Notes that lie among manifests are passed over.
func (h *host) manifest(file string) *corev1.Pod {
	text, err := h.read(file, asText)
	if err == errNotRegular { // which the kubelet passes over too
		return nil
	}
	if err != nil {
		h.miss(file, err, readAsRoot)
		return nil
	}
	pod, err := parse.Manifest(text)
	if err == nil {
		if parse.MoreDocuments(text) {
			h.add(file, "several documents in one manifest: the kubelet reads the first alone", "Put each pod into a file of its own, in the same folder.")
		}
		return pod
	}
	if hasKind.MatchString(text) || slices.Contains([]string{".yaml", ".yml", ".json", ".manifest"}, path.Ext(file)) {
		h.miss(file, err, "Mend the manifest, or move it out of the folder: the kubelet cannot read it either.")
	}
	return nil
}

// hasKind tells a manifest, whatever is wrong with it, from a note.
var hasKind = regexp.MustCompile(`(?m)^[ \t{-]*["']?kind["']?[ \t]*:`)

// podKey is the name by which the kubelet tells static pods apart.
func podKey(pod *corev1.Pod, file string) string {
	if pod.Name == "" {
		return file
	}
	if pod.Namespace == "" {
		return "default/" + pod.Name
	}
	return pod.Namespace + "/" + pod.Name
}

// podLooksLike are names that tell what a pod is for: its own, and its containers'.
func podLooksLike(pod *corev1.Pod) []string {
	out := []string{pod.Name, pod.Labels["component"], pod.Labels["k8s-app"]}
	for _, c := range pod.Spec.Containers {
		out = append(out, c.Name)
	}
	return out
}

func podImages(pod *corev1.Pod) []string {
	var out []string
	for _, c := range pod.Spec.Containers {
		out = append(out, imageName(c))
	}
	return out
}
