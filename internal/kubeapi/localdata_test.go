package kubeapi

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// podWith is a pod on w-1 with volumes, each mounted at a path of its name.
func podWith(name string, volumes ...corev1.Volume) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	pod.Spec.NodeName, pod.Spec.Volumes = "w-1", volumes
	pod.Spec.Containers = []corev1.Container{{Name: "it"}}
	for _, v := range volumes {
		pod.Spec.Containers[0].VolumeMounts = append(pod.Spec.Containers[0].VolumeMounts, corev1.VolumeMount{Name: v.Name, MountPath: "/" + v.Name})
	}
	return pod
}

func emptyDir(name string, medium corev1.StorageMedium, limit string) corev1.Volume {
	v := corev1.EmptyDirVolumeSource{Medium: medium}
	if limit != "" {
		size := resource.MustParse(limit)
		v.SizeLimit = &size
	}
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &v}}
}

func hostPath(name, path string, kind corev1.HostPathType) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path, Type: &kind}}}
}

func claims(name, claim string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim}}}
}

func owned(pod *corev1.Pod, kind string) *corev1.Pod {
	yes := true
	pod.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: "of", Controller: &yes}}
	return pod
}

// persistent is a PersistentVolume of a claim on a machine, or elsewhere where there is no path.
func persistent(name, claim, path, node string) *corev1.PersistentVolume {
	v := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if claim != "" {
		v.Spec.ClaimRef = &corev1.ObjectReference{Namespace: "default", Name: claim}
	}
	if path == "" {
		v.Spec.CSI = &corev1.CSIPersistentVolumeSource{Driver: "far", VolumeHandle: name}
		return v
	}
	v.Spec.Local = &corev1.LocalVolumeSource{Path: path}
	v.Spec.NodeAffinity = &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
		MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}}}}}}
	return v
}

// What would be lost is named, and what nobody looks for is not.
func TestLocalData(t *testing.T) {
	readOnly := podWith("reads", hostPath("srv", "/srv/x", corev1.HostPathDirectory))
	readOnly.Spec.Containers[0].VolumeMounts[0].ReadOnly = true
	ended := podWith("ended", emptyDir("data", "", ""))
	ended.Status.Phase = corev1.PodSucceeded
	lane := podWith("lane", emptyDir("data", "", ""))
	lane.Labels = map[string]string{"lane": "1"}
	mirror := podWith("mirror", emptyDir("data", "", ""))
	mirror.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"}
	elsewhere := podWith("elsewhere", emptyDir("data", "", ""))
	elsewhere.Spec.NodeName = "w-9"
	hostVolume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "pv-host"}}
	hostVolume.Spec.HostPath, hostVolume.Spec.ClaimRef = &corev1.HostPathVolumeSource{Path: "/srv/pv"}, &corev1.ObjectReference{Namespace: "default", Name: "generic-scratch"}
	generic := podWith("generic", corev1.Volume{Name: "scratch", VolumeSource: corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}}})
	d := cluster(t, yes,
		owned(podWith("db-0", emptyDir("cache", "", ""), emptyDir("memory", corev1.StorageMediumMemory, ""), emptyDir("tmp", "", ""), emptyDir("little", "", "1Mi"), emptyDir("large", "", "2Gi"),
			hostPath("srv", "/srv/db/", corev1.HostPathDirectoryOrCreate), claims("data", "data-db-0"), claims("far", "far-db-0"),
			corev1.Volume{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}}}), "StatefulSet"),
		owned(podWith("agent", emptyDir("state", "", ""), hostPath("log", "/var/log/pods", corev1.HostPathDirectory), hostPath("socket", "/srv/it.sock", corev1.HostPathSocket),
			hostPath("root", "/", corev1.HostPathUnset), hostPath("kubelet", "/var/lib/kubelet", corev1.HostPathDirectory)), "DaemonSet"),
		owned(podWith("storage", hostPath("disk", "/var/lib/rook", corev1.HostPathDirectory)), "DaemonSet"),
		podWith("quiet", emptyDir("tmp", "", ""), emptyDir("run", "", "")), generic, readOnly, ended, lane, mirror, elsewhere,
		persistent("pv-1", "data-db-0", "/mnt/1", "w-1"), persistent("pv-2", "left", "/mnt/2", "w-1"), persistent("pv-3", "", "/mnt/3", "w-2"), persistent("pv-4", "", "/mnt/4", "w-9"),
		persistent("pv-far", "far-db-0", "", ""), hostVolume)
	got, err := d.client.LocalData(t.Context(), []string{"w-1", "w-2"}, "lane")
	want := []LocalData{
		{Node: "w-1", Of: "default/db-0", EmptyDirs: []string{"cache", "large"}, OnMachine: []string{"hostPath /srv/db/", "PersistentVolume pv-1 at /mnt/1"}},
		{Node: "w-1", Of: "default/generic", OnMachine: []string{"PersistentVolume pv-host at /srv/pv"}},
		{Node: "w-1", Of: "default/storage", OnMachine: []string{"hostPath /var/lib/rook"}},
		{Node: "w-1", Of: "PersistentVolume pv-2", OnMachine: []string{"/mnt/2, claim default/left"}},
		{Node: "w-2", Of: "PersistentVolume pv-3", OnMachine: []string{"/mnt/3"}},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
