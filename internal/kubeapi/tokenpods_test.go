package kubeapi

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
	legacy := corev1.Volume{VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "ci"}}}
	secret := corev1.Volume{VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "mine"}}}
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
		"a token in a Secret":          {legacy, []corev1.ContainerStatus{running(at.Add(-time.Second))}, true},
		"another Secret":               {secret, []corev1.ContainerStatus{running(at.Add(-time.Second))}, false},
		"none of its containers began": {token, nil, false},
	}
	for name, test := range tests {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default"}, Spec: corev1.PodSpec{Volumes: []corev1.Volume{test.volume}}, Status: corev1.PodStatus{ContainerStatuses: test.containers}}
		if got := asksAPI(pod, map[string]bool{"default/ci": true, "other/mine": true}) && beganBefore(pod, at); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Tokens in Secrets are found by listing these, by the key that has signed them, with the pods that have them.
func TestTokenSecrets(t *testing.T) {
	token := func(key string) []byte {
		return []byte(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","kid":"`+key+`"}`)) + ".e30.c2ln")
	}
	secret := func(name, key string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: name}, Type: corev1.SecretTypeServiceAccountToken, Data: map[string][]byte{"token": token(key)}}
	}
	uses := func(name, namespace string, spec corev1.PodSpec) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: spec,
			Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}}}}
	}
	ci := corev1.LocalObjectReference{Name: "ci"}
	mount := corev1.PodSpec{Volumes: []corev1.Volume{{VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "ci"}}}}}
	finished := uses("finished", "team", mount)
	finished.Status = corev1.PodStatus{Phase: corev1.PodSucceeded}
	dns := uses("coredns", "kube-system", corev1.PodSpec{Volumes: []corev1.Volume{{VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"}}}}}})
	dns.Labels = map[string]string{"k8s-app": "kube-dns"}
	client := with(dns, secret("ci", "old"), secret("idle", "old"), secret("new", "next"), secret("empty", ""), finished,
		uses("files", "team", mount), uses("elsewhere", "other", mount),
		uses("projected", "team", corev1.PodSpec{Volumes: []corev1.Volume{{VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{Secret: &corev1.SecretProjection{LocalObjectReference: ci}}}}}}}}),
		uses("all", "team", corev1.PodSpec{InitContainers: []corev1.Container{{EnvFrom: []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: ci}}}}}}),
		uses("one", "team", corev1.PodSpec{Containers: []corev1.Container{{Env: []corev1.EnvVar{{ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: ci}}}}}}}))
	got, err := client.TokenSecrets(t.Context(), "old")
	if err != nil {
		t.Fatal(err)
	}
	want := []TokenSecret{{Name: "team/ci", Pods: []string{"team/all", "team/files", "team/one", "team/projected"}}, {Name: "team/idle"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("-want +got\n" + diff)
	}
	if text := got[0].String(); text != "team/ci (of pods team/all, team/files, team/one, team/projected)" {
		t.Error(text)
	}
	pods, ours, err := client.PodsWithTokens(t.Context(), time.Now())
	if diff := cmp.Diff([][]string{{"team/all", "team/files", "team/one", "team/projected"}, {"kube-system/coredns"}}, [][]string{pods, ours}); diff != "" || err != nil {
		t.Error(err, "-want +got\n"+diff)
	}
}
