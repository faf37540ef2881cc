package xray

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
)

func TestCalledFor(t *testing.T) {
	for file, want := range map[string]string{
		"/etc/kubernetes/kubelet.conf": evidence.Kubelet, "/var/lib/kubelet/kubeconfig": evidence.Kubelet, "/etc/kubernetes/ssl/kubecfg-kube-node.yaml": evidence.Kubelet,
		"/etc/kubernetes/kube-proxy.kubeconfig": evidence.KubeProxy, "/var/lib/kube-proxy/kubeconfig.conf": evidence.KubeProxy, "/etc/kubernetes/kube-proxy-kubeconfig.yaml": evidence.KubeProxy,
		"/etc/kubernetes/controller-manager.conf": evidence.ControllerManager, "/var/lib/kubernetes/kube-controller-manager.kubeconfig": evidence.ControllerManager,
		"/var/lib/kube-scheduler/kubeconfig": evidence.Scheduler, "/var/lib/k0s/pki/scheduler.conf": evidence.Scheduler,
		"/etc/kubernetes/super-admin.conf": administrator, "/root/.kube/config": administrator,
		"/etc/kubernetes/bootstrap-kubelet.conf": "", "/etc/kubernetes/worker-0.kubeconfig": "", "/etc/kubernetes/kubelet.conf.bak": "",
	} {
		if got := calledFor(file); got != want {
			t.Errorf("%s is of %q, want %q", file, got, want)
		}
	}
}

// A copy of /etc/kubernetes has no unit that names a kubeconfig.
func TestKubeconfigsWithoutUnits(t *testing.T) {
	at := func(file, user string) evidence.Kubeconfig {
		return evidence.Kubeconfig{Path: file, User: user, Server: "https://10.0.0.1:6443"}
	}
	m := &evidence.Machine{Name: "cp-1", Way: evidence.Folder, Kubeconfigs: map[string]evidence.Kubeconfig{
		"/k/kubelet.conf": at("/k/kubelet.conf", "x"), "/k/old.kubeconfig": at("/k/old.kubeconfig", "system:node:cp-1"),
		"/k/p.kubeconfig": at("/k/p.kubeconfig", "system:kube-proxy"), "/k/scheduler.conf": {Path: "/k/scheduler.conf", Err: "garbage"},
	}}
	for program, want := range map[string][]string{evidence.Kubelet: {"/k/kubelet.conf"}, evidence.KubeProxy: {"/k/p.kubeconfig"}, evidence.Scheduler: nil} {
		if diff := cmp.Diff(want, kubeconfigsOf(m, program)); diff != "" {
			t.Errorf("%s: %s", program, diff)
		}
	}
	m.Programs = []evidence.Program{{Name: evidence.Kubelet, Argv: []string{"kubelet", "--kubeconfig=/k/old.kubeconfig"}}}
	if diff := cmp.Diff([]string{"/k/old.kubeconfig"}, kubeconfigsOf(m, evidence.Kubelet)); diff != "" {
		t.Errorf("a unit says it better: %s", diff)
	}
	m.Programs, m.Way = nil, evidence.Machines
	if got := kubeconfigsOf(m, evidence.Kubelet); got != nil {
		t.Errorf("on a machine without a kubelet, files of it are leftovers: %v", got)
	}
}

// withoutUnits leaves of a folder what /etc/kubernetes has.
func withoutUnits(of func() *evidence.Evidence) func() *evidence.Evidence {
	return func() *evidence.Evidence {
		e := of()
		for _, m := range e.Machines {
			for _, name := range []string{evidence.Kubelet, evidence.KubeProxy} {
				evidencetest.DropProgram(e, m.Name, name)
			}
		}
		return e
	}
}
