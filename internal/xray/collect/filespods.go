package collect

import (
	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/parse"
)

// pods are the programs of static pods.
func (h *host) pods(folder string) []located {
	var out []located
	for _, pattern := range []string{"*.yaml", "*.yml", "*.json"} {
		for _, file := range h.glob(folder+"/"+pattern, asText) {
			text, err := h.read(file, asText)
			if err != nil {
				h.miss(file, err, readAsRoot)
				continue
			}
			pod, err := parse.Manifest(text)
			if err != nil {
				h.miss(file, err, "Mend the manifest, or move it out of the folder: the kubelet cannot read it either.")
				continue
			}
			on := parse.HostPaths(pod)
			for _, p := range parse.Pod(pod, evidence.FromManifest, file) {
				out = append(out, located{Program: p, place: place{on: on}})
			}
		}
	}
	return out
}
