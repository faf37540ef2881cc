package xray

import (
	"fmt"

	"github.com/haplane/haplane/internal/xray/evidence"
)

var doubleChecks = []Check{
	{
		ID: "duplicate-programs", Subject: Nodes, Title: "No machine is to run a program of the cluster twice",
		Why:    "A kubelet reads every file in its folder of manifests whose name does not begin with a dot, a backup too; of several with one pod it runs the last by name. Two units, or a unit and a static pod, want the same port: which of them gets it is chance, and the other starts again and again.",
		Source: "https://kubernetes.io/docs/tasks/configure-pod-container/static-pod/",
		Fix:    "Leave the one that is meant: move the other manifest out of the folder, or disable the other unit.",
		Needs:  []evidence.Way{evidence.Machines, evidence.Folder}, Run: duplicatePrograms,
	},
}

func duplicatePrograms(s *Scene) []Finding {
	var out []Finding
	n := 0
	for _, m := range s.WithFiles() {
		if len(m.Programs)+len(m.Doubles) > 0 {
			n++
		}
		for _, d := range m.Doubles {
			out = append(out, judgeDouble(at{m.Name, list(d.Sources)}, d))
		}
	}
	if n == 0 {
		return nil
	}
	return orPass(out, at{}, "each program once on %s", plural(n, "machine"))
}

func judgeDouble(where at, d evidence.Double) Finding {
	last := d.Sources[len(d.Sources)-1]
	if d.Pod == "" {
		return where.fail("one "+d.Program, fmt.Sprintf("%d are to run: %s", len(d.Sources), list(d.Sources))).
			fixed("Leave the one that is meant: move a manifest that is not out of its folder, disable a unit that is not (systemctl disable --now UNIT).")
	}
	return where.fail("one manifest of the pod "+d.Pod, fmt.Sprintf("%s have it: the kubelet runs that of %s, the last by name", list(d.Sources), last)).
		fixed("Compare them, and move the one that is not meant out of the folder: the kubelet reads all files there but those that begin with a dot, whatever they end in.")
}
