package xray

import (
	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
)

func doubled(d evidence.Double) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		m := evidencetest.Machine(e, "cp-2")
		m.Doubles = append(m.Doubles, d)
	}
}

var doubleCases = []checkCase{
	{check: "duplicate-programs", name: "healthy", status: Pass, says: "each program once on 5 machines"},
	{check: "duplicate-programs", name: "files alone", of: inFolder(evidencetest.Kubeadm), status: Pass},
	{check: "duplicate-programs", name: "through the API alone", of: apiOnlyShared, status: Skip, says: "seen only with"},
	{check: "duplicate-programs", name: "a backup among manifests", of: evidencetest.Kubeadm, status: Fail, node: "cp-2", says: "the kubelet runs that of /m/a.yaml.bak",
		change: doubled(evidence.Double{Program: evidence.Scheduler, Pod: "kube-system/kube-scheduler", Sources: []string{"/m/a.yaml", "/m/a.yaml.bak"}})},
	{check: "duplicate-programs", name: "two units", status: Fail, node: "cp-2", says: "2 are to run: /a.service, /b.service",
		change: doubled(evidence.Double{Program: evidence.Kubelet, Sources: []string{"/a.service", "/b.service"}})},
}
