package kubeprobe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/haplane/haplane/internal/probe"
)

func node(name, image string, ready bool, labels ...string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}}}
	for _, l := range labels {
		n.Labels[l] = ""
	}
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}
	n.Status.Images = []corev1.ContainerImage{{Names: []string{"haplane.local/pause:v1"}}}
	if image != "" {
		n.Status.Images = append(n.Status.Images, corev1.ContainerImage{Names: []string{image}})
	}
	return n
}

func TestPlace(t *testing.T) {
	const image, cp = webImage + "v1", "node-role.kubernetes.io/control-plane"
	nodes := []corev1.Node{*node("cp-1", image, true, cp), *node("worker-1", image, false), *node("worker-2", image, true), *node("worker-3", "", true)}
	for name, test := range map[string]struct {
		nodes  []corev1.Node
		wanted string
		node   string
		err    string
	}{
		"a worker that is ready": {nodes: nodes, node: "worker-2"},
		"the one that is wanted": {nodes: nodes, wanted: "cp-1", node: "cp-1"},
		"no worker is ready":     {nodes: nodes[:2], node: "cp-1"},
		"no image":               {nodes: nodes[3:], err: "no node that is ready has an image haplane.local/web:*"},
		"no image where wanted":  {nodes: nodes, wanted: "worker-3", err: "node worker-3 has no image haplane.local/web:*"},
	} {
		t.Run(name, func(t *testing.T) {
			node, image, err := place(test.nodes, test.wanted)
			if node != test.node || (err == nil) != (test.err == "") || err != nil && !strings.HasPrefix(err.Error(), test.err) {
				t.Errorf("%s, %v", node, err)
			}
			if err == nil && image != "haplane.local/web:v1" {
				t.Errorf("image %s", image)
			}
		})
	}
}

func TestSamples(t *testing.T) {
	log := `{"until":1000,"samples":null}
{"until":61000,"samples":[{"due":1000,"took":2500},{"due":21000,"took":300,"deferred":1,"error":"refused"}]}
{"until":9`
	got, until, err := samples(log)
	if err != nil || until != 61000 || len(got) != 2 {
		t.Fatalf("%v until %d, %v", got, until, err)
	}
	if s := got[0]; !s.Due.Equal(time.UnixMicro(1000)) || s.Took != 2500*time.Microsecond || s.Err != nil {
		t.Errorf("%+v", s)
	}
	if s := got[1]; s.Deferred != 1 || s.Err == nil || s.Err.Error() != "refused" {
		t.Errorf("%+v", s)
	}
	if _, _, err := samples("unknown command\n"); err == nil || err.Error() != `read "unknown command": invalid character 'u' looking for beginning of value` {
		t.Errorf("what is no sample gives %v", err)
	}
}

func TestPod(t *testing.T) {
	client := fake.NewClientset(node("worker-1", webImage+"v1", true))
	asked := 0
	p := &pod{client: client, run: "me", kind: Worker}
	p.read = func(context.Context, string) (string, error) {
		switch asked++; asked {
		case 1:
			return "", errors.New("container is creating")
		case 2, 3: // a request under way keeps it from being complete
			return "{\"until\":1000,\"samples\":[]}\n", nil
		}
		now := time.Now().UnixMicro()
		return fmt.Sprintf("{\"until\":%d,\"samples\":[{\"due\":1000,\"took\":1},{\"due\":%d,\"took\":1}]}\n", now+2e6, now+1e6), nil
	}
	if err := p.Start(t.Context(), probe.Schedule{Period: 20 * time.Millisecond, Timeout: 5 * time.Second}); err != nil {
		t.Fatal(err)
	}
	object, err := client.CoreV1().Pods(Namespace).Get(t.Context(), "haplane-probe-me-worker", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if s := object.Spec; s.NodeName != "worker-1" || !s.HostNetwork || s.Containers[0].Image != "haplane.local/web:v1" || object.Labels[Label] != "me" {
		t.Errorf("%+v", s)
	}
	if d := cmp.Diff([]string{"probe", "--period=20ms", "--timeout=5s"}, object.Spec.Containers[0].Args); d != "" {
		t.Error(d)
	}
	got, err := p.Stop(t.Context())
	if err != nil || len(got) != 1 || asked != 4 { // the second was due after the end
		t.Errorf("%v, %v after %d looks", got, err, asked)
	}
	if left, err := client.CoreV1().Pods(Namespace).List(t.Context(), metav1.ListOptions{}); err != nil || len(left.Items) != 0 {
		t.Errorf("left %v, %v", left.Items, err)
	}
}

// A pod whose program does not know what to do is no reason to wait, and goes.
func TestPodThatEnds(t *testing.T) {
	client := fake.NewClientset(node("worker-1", webImage+"v0", true))
	p := &pod{client: client, run: "me", kind: InCluster, read: func(context.Context, string) (string, error) {
		return "error: unknown command \"probe\"\n", nil
	}}
	_, err := probe.Start(t.Context(), []probe.Lane{{Name: InCluster, Remote: p}}, probe.Options{})
	want := `start lane in-cluster: wait for pod haplane-probe-me-in-cluster on worker-1: error: unknown command "probe"`
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if left, err := client.CoreV1().Pods(Namespace).List(t.Context(), metav1.ListOptions{}); err != nil || len(left.Items) != 0 {
		t.Errorf("left %v, %v", left.Items, err)
	}
}
