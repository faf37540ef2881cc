package kubeapi

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Which programs may verify by what they read before a time.
func TestPodsThatMayNotHaveRead(t *testing.T) {
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	token := corev1.Volume{VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{}}}}}}
	bundle := corev1.Volume{VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"}}}}
	other := corev1.Volume{VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "mine"}}}}
	running := func(began time.Time) corev1.ContainerStatus {
		return corev1.ContainerStatus{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(began)}}}
	}
	ended := corev1.ContainerStatus{State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{}}}
	tests := map[string]struct {
		volume     corev1.Volume
		containers []corev1.ContainerStatus
		want       bool
	}{
		"a token, from before":         {token, []corev1.ContainerStatus{running(at.Add(-time.Second))}, true},
		"the bundle, from before":      {bundle, []corev1.ContainerStatus{running(at.Add(-time.Second))}, true},
		"one of two from before":       {token, []corev1.ContainerStatus{running(at.Add(time.Second)), running(at.Add(-time.Second))}, true},
		"begun since":                  {token, []corev1.ContainerStatus{running(at.Add(time.Second))}, false},
		"ended":                        {token, []corev1.ContainerStatus{ended}, false},
		"neither":                      {other, []corev1.ContainerStatus{running(at.Add(-time.Second))}, false},
		"none of its containers began": {token, nil, false},
	}
	for name, test := range tests {
		pod := &corev1.Pod{Spec: corev1.PodSpec{Volumes: []corev1.Volume{test.volume}}, Status: corev1.PodStatus{ContainerStatuses: test.containers}}
		if got := asksAPI(pod) && beganBefore(pod, at); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
