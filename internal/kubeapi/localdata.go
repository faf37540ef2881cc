package kubeapi

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
)

// LocalData is what a pod, or a PersistentVolume, keeps on the machine of a node, and nothing brings elsewhere.
type LocalData struct {
	Node string
	Of   string // NAMESPACE/NAME of the pod, or PersistentVolume NAME of one that no pod there uses
	// EmptyDirs are the names of volumes that go with the pod, wherever that goes. OnMachine are paths, and volumes with their paths, that go with the
	// machine alone.
	EmptyDirs, OnMachine []string
}

// LocalData lists what is kept on some nodes, in their order. Left out is what somebody who looks for data would have to read past: volumes in memory
// and for what is scratch (mounted at /tmp or /run, or at most 1 MiB large), emptyDir volumes of DaemonSets, which have what each node makes anew, paths that
// are only read or belong to the machine itself, pods that have ended, and those with the label expendable, where that is not "".
func (c *Client) LocalData(ctx context.Context, nodes []string, expendable string) ([]LocalData, error) {
	volumes, err := c.typed.CoreV1().PersistentVolumes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, c.errorf("list persistentvolumes", err)
	}
	claimed := map[string]corev1.PersistentVolume{}
	for _, v := range volumes.Items {
		if ref := v.Spec.ClaimRef; ref != nil && localPath(v) != "" {
			claimed[ref.Namespace+"/"+ref.Name] = v
		}
	}
	out := []LocalData{}
	for _, node := range nodes {
		pods, err := c.typed.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String()})
		if err != nil {
			return nil, c.errorf("list pods of node "+node, err)
		}
		slices.SortFunc(pods.Items, func(a, b corev1.Pod) int {
			return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
		})
		var used []string
		for _, pod := range pods.Items {
			_, mayGo := pod.Labels[expendable]
			if mayGo || finished(pod) || pod.Annotations[corev1.MirrorPodAnnotationKey] != "" {
				continue
			}
			one := LocalData{Node: node, Of: pod.Namespace + "/" + pod.Name}
			for _, v := range pod.Spec.Volumes {
				used = append(used, one.add(pod, v, claimed))
			}
			if len(one.EmptyDirs)+len(one.OnMachine) > 0 {
				out = append(out, one)
			}
		}
		for _, v := range volumes.Items {
			if p := localPath(v); p != "" && on(v, node) && !slices.Contains(used, v.Name) {
				out = append(out, LocalData{Node: node, Of: "PersistentVolume " + v.Name, OnMachine: []string{p + claimOf(v)}})
			}
		}
	}
	return out, nil
}

// add adds what a volume of a pod keeps, and returns the name of the PersistentVolume where it is one.
func (d *LocalData) add(pod corev1.Pod, v corev1.Volume, claimed map[string]corev1.PersistentVolume) string {
	claim := ""
	switch {
	case v.EmptyDir != nil:
		if owner := metav1.GetControllerOf(&pod); !scratch(pod, v) && (owner == nil || owner.Kind != "DaemonSet") {
			d.EmptyDirs = append(d.EmptyDirs, v.Name)
		}
	case v.HostPath != nil:
		if keeps(*v.HostPath) && written(pod, v.Name) {
			d.OnMachine = append(d.OnMachine, "hostPath "+v.HostPath.Path)
		}
	case v.PersistentVolumeClaim != nil:
		claim = v.PersistentVolumeClaim.ClaimName
	case v.Ephemeral != nil:
		claim = pod.Name + "-" + v.Name
	}
	volume, ok := claimed[pod.Namespace+"/"+claim]
	if claim == "" || !ok {
		return ""
	}
	d.OnMachine = append(d.OnMachine, fmt.Sprintf("PersistentVolume %s at %s", volume.Name, localPath(volume)))
	return volume.Name
}

// littleData is the most that a volume is let hold of which nobody is told.
var littleData = resource.MustParse("1Mi")

// scratch reports whether an emptyDir volume is in memory, or by where or how it is mounted has nothing to keep.
func scratch(pod corev1.Pod, v corev1.Volume) bool {
	if limit := v.EmptyDir.SizeLimit; v.EmptyDir.Medium != corev1.StorageMediumDefault || limit != nil && limit.Sign() > 0 && limit.Cmp(littleData) <= 0 {
		return true
	}
	mounts := mountsOf(pod, v.Name)
	return !slices.ContainsFunc(mounts, func(m corev1.VolumeMount) bool { return !below(m.MountPath, "/tmp", "/run", "/var/run") })
}

// written reports whether a container of the pod may write to a volume.
func written(pod corev1.Pod, volume string) bool {
	return slices.ContainsFunc(mountsOf(pod, volume), func(m corev1.VolumeMount) bool { return !m.ReadOnly })
}

func mountsOf(pod corev1.Pod, volume string) []corev1.VolumeMount {
	var out []corev1.VolumeMount
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		for _, m := range c.VolumeMounts {
			if m.Name == volume {
				out = append(out, m)
			}
		}
	}
	return out
}

// keeps reports whether a path of the machine is one for data: not a socket or a device, and not of the machine itself, which a new one has anew.
func keeps(h corev1.HostPathVolumeSource) bool {
	if h.Type != nil && slices.Contains([]corev1.HostPathType{corev1.HostPathSocket, corev1.HostPathCharDev, corev1.HostPathBlockDev}, *h.Type) {
		return false
	}
	return path.Clean(h.Path) != "/" && !below(h.Path, "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/opt/cni", "/proc", "/run", "/sbin", "/sys", "/tmp", "/usr",
		"/var/lib/cni", "/var/lib/containerd", "/var/lib/kubelet", "/var/log", "/var/run")
}

// below reports whether a path is one of some folders, or in it.
func below(p string, folders ...string) bool {
	p = path.Clean(p)
	return slices.ContainsFunc(folders, func(f string) bool { return p == f || strings.HasPrefix(p, f+"/") })
}

// localPath is where a PersistentVolume is on the machine of a node; "" where it is elsewhere.
func localPath(v corev1.PersistentVolume) string {
	switch {
	case v.Spec.Local != nil:
		return v.Spec.Local.Path
	case v.Spec.HostPath != nil:
		return v.Spec.HostPath.Path
	}
	return ""
}

func claimOf(v corev1.PersistentVolume) string {
	if ref := v.Spec.ClaimRef; ref != nil {
		return fmt.Sprintf(", claim %s/%s", ref.Namespace, ref.Name)
	}
	return ""
}

// on reports whether a PersistentVolume says that it is on a node, by name.
func on(v corev1.PersistentVolume, node string) bool {
	if v.Spec.NodeAffinity == nil || v.Spec.NodeAffinity.Required == nil {
		return false
	}
	names := func(key string, list []corev1.NodeSelectorRequirement) bool {
		return slices.ContainsFunc(list, func(r corev1.NodeSelectorRequirement) bool {
			return r.Key == key && r.Operator == corev1.NodeSelectorOpIn && slices.Contains(r.Values, node)
		})
	}
	return slices.ContainsFunc(v.Spec.NodeAffinity.Required.NodeSelectorTerms, func(t corev1.NodeSelectorTerm) bool {
		return names(corev1.LabelHostname, t.MatchExpressions) || names("metadata.name", t.MatchFields)
	})
}
