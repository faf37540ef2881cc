package kubeprobe

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// What changes have left that were killed goes; what this run writes stays, and what somebody
// measures at the same time.
func TestRemoveLeft(t *testing.T) {
	meta := func(name, run string) metav1.ObjectMeta {
		labels := map[string]string{Label: run}
		if run == "" {
			labels = nil
		}
		return metav1.ObjectMeta{Name: name, Namespace: Namespace, Labels: labels}
	}
	pod := func(name, run string) *corev1.Pod { return &corev1.Pod{ObjectMeta: meta(name, run)} }
	written := func(name, run string) *corev1.ConfigMap { return &corev1.ConfigMap{ObjectMeta: meta(name, run)} }
	client := fake.NewClientset(pod("left", "change-old"), pod("own", "change-new"), pod("probe", "abc"), pod("coredns", ""),
		written("left", "change-old"), written("own", "change-new"), written("probe", "abc"))
	target := &Target{run: "new"}
	target.ForChange()
	target.ForChange() // says the same
	if err := removeLeft(t.Context(), client, target.run); err != nil {
		t.Fatal(err)
	}
	pods, err := client.CoreV1().Pods(Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	maps, err := client.CoreV1().ConfigMaps(Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var stayed []string
	for _, p := range pods.Items {
		stayed = append(stayed, "pod "+p.Name)
	}
	for _, m := range maps.Items {
		stayed = append(stayed, "map "+m.Name)
	}
	slices.Sort(stayed)
	if d := cmp.Diff([]string{"map own", "map probe", "pod coredns", "pod own", "pod probe"}, stayed); d != "" {
		t.Error(d)
	}
}
