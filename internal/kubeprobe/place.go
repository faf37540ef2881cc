package kubeprobe

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/haplane/haplane/internal/probe"
)

// webImage is on every machine that haplane makes; no registry has it.
const webImage = "haplane.local/web:"

// place chooses a node and the name that the image has there: the node that is
// wanted, else a ready worker, else any that is ready.
func place(nodes []corev1.Node, wanted string) (node, image string, err error) {
	for _, n := range nodes {
		found := imageOn(n)
		if found == "" || wanted != "" && n.Name != wanted || wanted == "" && !ready(n) {
			continue
		}
		_, controlPlane := n.Labels["node-role.kubernetes.io/control-plane"]
		if wanted != "" || !controlPlane {
			return n.Name, found, nil
		}
		if node == "" {
			node, image = n.Name, found
		}
	}
	switch {
	case node != "":
		return node, image, nil
	case wanted != "":
		return "", "", fmt.Errorf("node %s has no image %s*", wanted, webImage)
	}
	return "", "", fmt.Errorf("no node that is ready has an image %s*, which comes with haplane's own machines", webImage)
}

func ready(n corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func imageOn(n corev1.Node) string {
	for _, i := range n.Status.Images {
		for _, name := range i.Names {
			if strings.HasPrefix(name, webImage) {
				return name
			}
		}
	}
	return ""
}

func manifest(run, kind, node, image string, s probe.Schedule) *corev1.Pod {
	limit := int64(LeftOver.Seconds())
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "haplane-probe-" + run + "-" + kind, Namespace: Namespace, Labels: map[string]string{Label: run}},
		Spec: corev1.PodSpec{
			NodeName: node, HostNetwork: kind == Worker, RestartPolicy: corev1.RestartPolicyNever,
			ActiveDeadlineSeconds: &limit, TerminationGracePeriodSeconds: new(int64),
			// It measures to the end, whatever becomes of the node.
			Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			Containers: []corev1.Container{{Name: "probe", Image: image, ImagePullPolicy: corev1.PullNever,
				Args: []string{"probe", "--period=" + s.Period.String(), "--timeout=" + s.Timeout.String()}}},
		},
	}
}
