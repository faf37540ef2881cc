package xray

import (
	"path"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// kubeconfigsOf are the kubeconfigs that the programs of a machine use. In a folder,
// where nothing says which one a program uses, those of its name count.
func kubeconfigsOf(m *evidence.Machine, programs ...string) []string {
	var out []string
	for _, name := range programs {
		file, told := kubeconfigFlag(m, name)
		if k, seen := m.Kubeconfigs[file]; seen && k.Err == "" {
			out = append(out, file)
		}
		if !told && m.Way == evidence.Folder {
			out = append(out, kubeconfigsFor(m, name)...)
		}
	}
	return out
}

// kubeconfigFlag is what a program's flags or configuration name.
func kubeconfigFlag(m *evidence.Machine, program string) (file string, told bool) {
	p := m.Program(program)
	if p == nil {
		return "", false
	}
	file, told = p.Flag("kubeconfig")
	if client, isMap := p.Config["clientConnection"].(map[string]any); !told && isMap {
		file, told = client["kubeconfig"].(string)
	}
	return file, told
}

// kubeconfigsFor are those that are called like a program or, where none is, whose
// user is the program's.
func kubeconfigsFor(m *evidence.Machine, program string) []string {
	var named, used []string
	for file, k := range m.Kubeconfigs {
		switch {
		case k.Err != "":
		case calledFor(file) == program:
			named = append(named, file)
		case calledFor(file) == "" && userFor(m, file) == program:
			used = append(used, file)
		}
	}
	if len(named) == 0 {
		named = used
	}
	return sorted(named)
}

// calledFor tells a program by the name of its kubeconfig: kubeadm's kubelet.conf, The
// Hard Way's kube-proxy.kubeconfig, kops' /var/lib/kube-scheduler/kubeconfig, RKE's
// kubecfg-kube-node.yaml.
func calledFor(file string) string {
	name := path.Base(file)
	for _, end := range []string{".conf", ".config", ".yaml", ".yml", ".kubeconfig"} {
		name = strings.TrimSuffix(name, end)
	}
	if name == "kubeconfig" || name == "config" {
		name = path.Base(path.Dir(file))
	}
	name = strings.TrimPrefix(strings.TrimSuffix(strings.TrimSuffix(name, "-kubeconfig"), ".kubeconfig"), "kubecfg-")
	switch strings.TrimPrefix(name, "kube-") {
	case "kubelet", "node":
		return evidence.Kubelet
	case "proxy", "kubeproxy":
		return evidence.KubeProxy
	case "controller-manager":
		return evidence.ControllerManager
	case "scheduler":
		return evidence.Scheduler
	case "admin", "super-admin", ".kube":
		return administrator
	}
	return ""
}

const administrator = "administrator"

// userFor tells a program by whom the API server takes its kubeconfig's user for.
func userFor(m *evidence.Machine, file string) string {
	names := []string{m.Kubeconfigs[file].User}
	if c := m.Certificate(file); c != nil && c.Certificate != nil {
		names = append(names, c.Subject.CommonName)
	}
	for _, name := range names {
		if strings.HasPrefix(name, "system:node:") {
			return evidence.Kubelet
		}
		if program, ok := strings.CutPrefix(name, "system:"); ok && slices.Contains([]string{evidence.KubeProxy, evidence.ControllerManager, evidence.Scheduler}, program) {
			return program
		}
	}
	return ""
}

// adminConfigs are the kubeconfigs of administrators.
func adminConfigs(m *evidence.Machine) []string {
	var out []string
	for file, k := range m.Kubeconfigs {
		if k.Err == "" && calledFor(file) == administrator {
			out = append(out, file)
		}
	}
	return sorted(out)
}
