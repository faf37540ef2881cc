//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/haplane/haplane/e2e/rig"
)

// workload is one replica of the web image on every node, behind a Service.
const workload = `apiVersion: v1
kind: Namespace
metadata: {name: e2e}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: e2e}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      tolerations: [{key: node-role.kubernetes.io/control-plane, operator: Exists}]
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
          - {topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: web}}}
      containers:
      - name: web
        image: %s
        imagePullPolicy: Never
        ports: [{containerPort: 8080}]
        readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: e2e}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
`

// checkWorkload runs pods on every node and sends requests between all of them.
func (c *cluster) checkWorkload(t *testing.T) {
	c.applyWorkload(t)
	pods := c.webPods(t)
	if got := slices.Sorted(maps.Keys(pods)); !same(got, kubeNodes) {
		t.Fatalf("pods run on %v, want %v", got, kubeNodes)
	}
	t.Run("dns", func(t *testing.T) { c.checkDNS(t, pods) })
	t.Run("pod-to-pod", func(t *testing.T) { c.checkPodToPod(t, pods) })
	t.Run("service", func(t *testing.T) { c.checkService(t, pods) })
	t.Run("pod-to-api", func(t *testing.T) { c.checkPodToAPI(t, pods) })
	t.Run("logs", c.checkLogs)
	t.Run("port-forward", func(t *testing.T) { c.checkPortForward(t, pods) })
}

func (c *cluster) applyWorkload(t *testing.T) {
	t.Helper()
	image := c.on(t, "worker-1", "ctr --namespace k8s.io images list --quiet | grep ^haplane.local/web:")
	apply := c.Command(background(t), "kubectl", "--cluster", c.Name, "--", "apply", "-f", "-")
	apply.Stdin = strings.NewReader(fmt.Sprintf(workload, image))
	if out, err := apply.CombinedOutput(); err != nil {
		t.Fatalf("apply: %v\n%s", err, out)
	}
	took := c.waitForWorkload(t)
	t.Logf("a pod on each node was ready after %s", took.Round(100*time.Millisecond))
}

func (c *cluster) waitForWorkload(t *testing.T) time.Duration {
	t.Helper()
	client := c.client(t)
	return wait(t, 2*time.Minute, "the workload", func(ctx context.Context) error {
		d, err := client.AppsV1().Deployments("e2e").Get(ctx, "web", metav1.GetOptions{})
		if err == nil && d.Status.AvailableReplicas != 4 {
			err = fmt.Errorf("%d of 4 replicas are available", d.Status.AvailableReplicas)
		}
		return err
	})
}

// webPods are the pods by node.
func (c *cluster) webPods(t *testing.T) map[string]corev1.Pod {
	t.Helper()
	list, err := c.client(t).CoreV1().Pods("e2e").List(background(t), metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]corev1.Pod{}
	for _, p := range list.Items {
		if p.DeletionTimestamp == nil {
			out[p.Spec.NodeName] = p
		}
	}
	return out
}

// exec runs a command in a pod and returns what it printed.
func (c *cluster) exec(t *testing.T, pod corev1.Pod, argv ...string) string {
	t.Helper()
	args := append([]string{"--namespace", pod.Namespace, "exec", pod.Name, "--"}, argv...)
	return strings.TrimSpace(must(t, 0, c.Kubectl(background(t), args...)).Stdout)
}

func (c *cluster) serviceIP(t *testing.T) string {
	t.Helper()
	s, err := c.client(t).CoreV1().Services("e2e").Get(background(t), "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s.Spec.ClusterIP
}

func (c *cluster) checkDNS(t *testing.T, pods map[string]corev1.Pod) {
	service := c.serviceIP(t)
	for _, node := range []string{"worker-1", "cp-1"} {
		for name, address := range map[string]string{"web": service, "web.e2e.svc.cluster.local": service, "kubernetes.default": "10.96.0.1"} {
			want(t, name+" as a pod on "+node+" resolves it", c.exec(t, pods[node], "/web", "resolve", name), address)
		}
	}
}

// checkPodToPod asks the pod of the next node, from each.
func (c *cluster) checkPodToPod(t *testing.T, pods map[string]corev1.Pod) {
	for i, node := range kubeNodes {
		from, to := pods[node], pods[kubeNodes[(i+1)%len(kubeNodes)]]
		answer := c.exec(t, from, "/web", "get", fmt.Sprintf("http://%s:8080/", to.Status.PodIP))
		contains(t, "answer to a pod on "+node, answer, "200\nhostname: "+to.Name+"\n", "client: "+from.Status.PodIP+":")
	}
}

var hostname = regexp.MustCompile(`(?m)^hostname: (\S+)`)

// checkService asks the Service, from a pod and from the node itself, until the pod of
// another node has answered.
func (c *cluster) checkService(t *testing.T, pods map[string]corev1.Pod) {
	url := "http://" + c.serviceIP(t) + "/"
	for _, node := range []string{"worker-1", "cp-2"} {
		asks := map[string]func() string{
			"pod on " + node: func() string { return c.exec(t, pods[node], "/web", "get", "http://web/") },
			node: func() string {
				return c.on(t, node, "curl --silent --show-error --max-time 5 --retry 10 --retry-delay 1 --retry-connrefused "+url)
			},
		}
		for who, ask := range asks {
			wait(t, 30*time.Second, "a pod of another node to answer the "+who, func(context.Context) error {
				m := hostname.FindStringSubmatch(ask())
				if m == nil || m[1] == pods[node].Name {
					return fmt.Errorf("%v answered, which is on %s", m, node)
				}
				return nil
			})
		}
	}
}

// checkPodToAPI asks the API as the pod's service account, verified by the pod's CA.
func (c *cluster) checkPodToAPI(t *testing.T, pods map[string]corev1.Pod) {
	for node, pod := range pods {
		contains(t, "version as seen on "+node, c.exec(t, pod, "/web", "kube", "/version"), "200\n", `"gitVersion": "v1.37.`)
	}
	denied := c.Kubectl(background(t), "--namespace", "e2e", "exec", pods["worker-1"].Name, "--", "/web", "kube", "/api/v1/secrets")
	contains(t, "answer to a request without rights", denied.Stdout, "403\n", "system:serviceaccount:e2e:default")
}

// checkLogs reads the logs of pods on two nodes: there is a CoreDNS on each.
func (c *cluster) checkLogs(t *testing.T) {
	list, err := c.client(t).CoreV1().Pods("kube-system").List(background(t), metav1.ListOptions{LabelSelector: "k8s-app=kube-dns"})
	if err != nil {
		t.Fatal(err)
	}
	nodes := map[string]bool{}
	for _, p := range list.Items {
		nodes[p.Spec.NodeName] = true
		logs := must(t, 0, c.Kubectl(background(t), "--namespace", "kube-system", "logs", p.Name))
		contains(t, "log of "+p.Name, logs.Stdout, "CoreDNS-1.15.0")
	}
	want(t, "number of nodes with a CoreDNS", len(nodes), 2)
}

func (c *cluster) checkPortForward(t *testing.T, pods map[string]corev1.Pod) {
	pod := pods["worker-1"]
	cmd := c.Command(background(t), "kubectl", "--cluster", c.Name, "--", "--namespace", "e2e", "port-forward", pod.Name, ":8080")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := rig.Start(cmd); err != nil {
		t.Fatal(err)
	}
	defer finish(cmd)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("port-forward said %q, %v", line, err)
	}
	_, rest, _ := strings.Cut(line, "127.0.0.1:")
	port, _, _ := strings.Cut(rest, " ")
	response, err := http.Get("http://127.0.0.1:" + port + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, "answer through the forwarded port", string(body), "hostname: "+pod.Name+"\n")
}

// finish ends a command that runs until it is told to stop.
func finish(cmd *exec.Cmd) {
	_ = cmd.Process.Signal(syscall.SIGTERM)
	_ = cmd.Wait()
}
