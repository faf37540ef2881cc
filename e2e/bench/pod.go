package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/haplane/haplane/e2e/rig"
	"github.com/haplane/haplane/internal/poll"
)

// askFromPod runs a pod that asks the API server for its version, as its service
// account and through the Service, and returns the answer.
func askFromPod(ctx context.Context, c *rig.Cluster) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	raw := c.Run(ctx, "kubeconfig", "--cluster", c.Name, "--raw")
	if err := ok(raw); err != nil {
		return "", err
	}
	config, err := clientcmd.RESTConfigFromKubeConfig([]byte(raw.Stdout))
	if err != nil {
		return "", fmt.Errorf("read kubeconfig: %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return "", err
	}
	images := c.SSH(ctx, "worker-1", "ctr --namespace k8s.io images list --quiet | grep ^haplane.local/web:")
	if err := ok(images); err != nil {
		return "", err
	}
	return askVersion(ctx, client, strings.TrimSpace(images.Stdout))
}

func askVersion(ctx context.Context, client kubernetes.Interface, image string) (string, error) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "ask"}, Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "web", Image: image, ImagePullPolicy: corev1.PullNever}}}}
	pods := client.CoreV1().Pods(metav1.NamespaceDefault)
	var version struct{ GitVersion string }
	err := poll.Until(ctx, 50*time.Millisecond, func(ctx context.Context) error {
		if _, err := pods.Create(ctx, pod, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return err // the namespace's service account may not be there yet
		}
		body, err := pods.ProxyGet("http", pod.Name, "8080", "/kube/version", nil).DoRaw(ctx)
		if err != nil {
			return err
		}
		return json.Unmarshal(body, &version)
	})
	if err != nil {
		return "", fmt.Errorf("wait for a pod to reach the API: %w", err)
	}
	return "Kubernetes " + version.GitVersion, nil
}
