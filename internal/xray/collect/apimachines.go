package collect

import (
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/parse"
)

// mirrorPod marks what a kubelet runs from a manifest of its node.
const mirrorPod = "kubernetes.io/config.mirror"

// inPods are the programs that static pods run.
var inPods = []string{evidence.APIServer, evidence.ControllerManager, evidence.Scheduler, evidence.EtcdServer, evidence.HAProxy, evidence.Nginx}

// PodMachines are the nodes as the API shows them: their addresses, and the
// programs of their static pods with the flags in their commands.
func PodMachines(c *evidence.Cluster) []*evidence.Machine {
	var out []*evidence.Machine
	for _, node := range c.Nodes {
		m := &evidence.Machine{Name: node.Name, Hostname: node.Labels[corev1.LabelHostname], Way: evidence.API}
		for _, a := range node.Status.Addresses {
			ip, err := netip.ParseAddr(a.Address)
			if err == nil && !slices.Contains(m.Addresses, ip.Unmap()) {
				m.Addresses = append(m.Addresses, ip.Unmap())
			}
		}
		for _, pod := range c.Pods {
			if pod.Spec.NodeName == node.Name && pod.Annotations[mirrorPod] != "" {
				m.Programs = append(m.Programs, programsOf(pod)...)
			}
			if pod.Spec.NodeName == node.Name {
				m.Programs = append(m.Programs, kubeVIPOf(pod)...)
			}
		}
		out = append(out, m)
	}
	return out
}

func programsOf(pod corev1.Pod) []evidence.Program {
	var out []evidence.Program
	for _, c := range pod.Spec.Containers {
		argv := slices.Concat(c.Command, c.Args)
		if len(argv) == 0 || !slices.Contains(inPods, path.Base(argv[0])) {
			continue
		}
		p := evidence.Program{Name: path.Base(argv[0]), From: evidence.FromPod, Where: pod.Namespace + "/" + pod.Name,
			Argv: argv, Version: tag(c.Image), Running: isReady(pod, c.Name)}
		if s := pod.Spec.TerminationGracePeriodSeconds; s != nil {
			p.StopTimeout = time.Duration(*s) * time.Second
		}
		out = append(out, p)
	}
	return out
}

// kubeVIPOf is kube-vip in a pod, be it static or of a DaemonSet.
func kubeVIPOf(pod corev1.Pod) []evidence.Program {
	out := parse.Pod(&pod, evidence.FromPod, pod.Namespace+"/"+pod.Name)
	out = slices.DeleteFunc(out, func(p evidence.Program) bool { return p.Name != evidence.KubeVIP })
	for i := range out {
		out[i].Running = slices.ContainsFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return s.Ready })
	}
	return out
}

func isReady(pod corev1.Pod, container string) bool {
	return slices.ContainsFunc(pod.Status.ContainerStatuses, func(s corev1.ContainerStatus) bool { return s.Name == container && s.Ready })
}

// tag is the version in the name of an image, such as v1.37.2; "" where it has none.
func tag(image string) string {
	image, _, _ = strings.Cut(image, "@")
	_, version, _ := strings.Cut(path.Base(image), ":")
	if !strings.HasPrefix(version, "v") {
		return ""
	}
	return version
}

// Merge adds machines that another way shows. One that was looked at stays as it
// is; one that could not be looked at is taken from the other way, under its name.
func Merge(machines, others []*evidence.Machine) []*evidence.Machine {
	out := slices.Clone(machines)
	for _, o := range others {
		i := slices.IndexFunc(machines, func(m *evidence.Machine) bool { return same(m, o) })
		switch {
		case i < 0:
			out = append(out, o)
		case unseen(machines[i]):
			renamed := *o
			renamed.Name = machines[i].Name
			out[i] = &renamed
		default:
			out[i] = withKubeVIP(machines[i], o)
		}
	}
	return out
}

// withKubeVIP is a machine with what the API tells of kube-vip there: the settings of a process
// in a pod are in the pod alone.
func withKubeVIP(m, o *evidence.Machine) *evidence.Machine {
	vip, mine := o.Program(evidence.KubeVIP), m.Program(evidence.KubeVIP)
	if vip == nil || mine != nil && mine.Variables != nil {
		return m
	}
	out := *m
	out.Programs = slices.DeleteFunc(slices.Clone(m.Programs), func(p evidence.Program) bool { return p.Name == evidence.KubeVIP })
	out.Programs = append(out.Programs, *vip)
	return &out
}

func unseen(m *evidence.Machine) bool {
	return m.Clock == nil && len(m.Programs) == 0 && len(m.Files) == 0
}

// same reports whether a machine is a node. Of a machine that answered nothing only
// the name is known, which may be its address.
func same(machine, node *evidence.Machine) bool {
	names := []string{node.Name, node.Hostname}
	for _, a := range node.Addresses {
		if slices.Contains(machine.Addresses, a) {
			return true
		}
		names = append(names, a.String())
	}
	return slices.Contains(names, machine.Name) || machine.Hostname != "" && slices.Contains(names, machine.Hostname)
}
