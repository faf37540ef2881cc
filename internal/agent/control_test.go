//go:build e2e

package agent

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/haplane/haplane/internal/component"
	"github.com/haplane/haplane/internal/poll"
)

// A control is a running control plane of one node on loopback.
type control struct {
	t         *testing.T
	programs  map[string]string // paths by name
	dir, etcd string
	port      int
	api       *exec.Cmd
	client    kubernetes.Interface
}

// grant gives the agents' user the permissions of Rules.
func (c *control) grant() {
	everywhere, inDefault, kubeSystem := Rules()
	c.grantEverywhere(everywhere)
	for namespace, rules := range map[string][]rbacv1.PolicyRule{"default": inDefault, "kube-system": kubeSystem} {
		meta := metav1.ObjectMeta{Name: "haplane:agent"}
		_, err := c.client.RbacV1().Roles(namespace).Create(c.t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{})
		must(c.t, err)
		_, err = c.client.RbacV1().RoleBindings(namespace).Create(c.t.Context(), &rbacv1.RoleBinding{
			ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "haplane:agent"}},
		}, metav1.CreateOptions{})
		must(c.t, err)
	}
}

// grantEverywhere gives them those that are of no namespace.
func (c *control) grantEverywhere(rules []rbacv1.PolicyRule) {
	meta := metav1.ObjectMeta{Name: "haplane:agent"}
	_, err := c.client.RbacV1().ClusterRoles().Create(c.t.Context(), &rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{})
	must(c.t, err)
	_, err = c.client.RbacV1().ClusterRoleBindings().Create(c.t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: meta.Name},
		Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "haplane:agent"}},
	}, metav1.CreateOptions{})
	must(c.t, err)
}

// programs are those that haplane builds, from its cache.
func programs(t *testing.T) map[string]string {
	cache, err := os.UserCacheDir()
	must(t, err)
	built, err := component.Build(t.Context(), component.Options{Source: filepath.Join("..", "..", "components"),
		Cache: filepath.Join(cache, "haplane"), Names: []string{"etcd", "kube"}})
	must(t, err)
	out := map[string]string{}
	for _, p := range built {
		out[p.Name] = p.Path
	}
	return out
}

func startControl(t *testing.T) *control {
	c := &control{t: t, dir: t.TempDir(), port: freePort(t), programs: programs(t)}
	client, peer := fmt.Sprintf("http://127.0.0.1:%d", freePort(t)), fmt.Sprintf("http://127.0.0.1:%d", freePort(t))
	c.etcd = client
	c.start("etcd", c.programs["etcd"], "--data-dir", c.dir+"/etcd", "--unsafe-no-fsync",
		"--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
		"--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	c.write("sa.key", string(pem.EncodeToMemory(block)))
	c.write("tokens.csv", "admin,admin,1,system:masters\nagent,haplane:agent,2\n")
	c.client, err = kubernetes.NewForConfig(&rest.Config{
		Host: fmt.Sprintf("https://127.0.0.1:%d", c.port), BearerToken: "admin", QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{Insecure: true}, WarningHandler: rest.NoWarnings{},
	})
	must(t, err)
	c.startAPI()
	return c
}

func (c *control) startAPI() {
	c.t.Helper()
	c.api = c.start("kube-apiserver", c.programs["kube"], "kube-apiserver",
		"--etcd-servers", c.etcd, "--bind-address", "127.0.0.1", "--secure-port", fmt.Sprint(c.port),
		"--advertise-address", lb.Addr().String(), "--endpoint-reconciler-type", "none",
		"--authorization-mode", "RBAC", "--token-auth-file", c.dir+"/tokens.csv", "--cert-dir", c.dir+"/certs",
		"--service-account-issuer", "https://kubernetes.default", "--service-account-key-file", c.dir+"/sa.key",
		"--service-account-signing-key-file", c.dir+"/sa.key", "--service-cluster-ip-range", "10.96.0.0/12")
	ctx, cancel := context.WithTimeout(c.t.Context(), 3*time.Minute)
	defer cancel()
	must(c.t, poll.Until(ctx, 20*time.Millisecond, func(ctx context.Context) error {
		return c.client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	}))
}

// startManager runs the three controllers that make, mirror and delete endpoints.
func (c *control) startManager() {
	c.start("kube-controller-manager", c.programs["kube"], "kube-controller-manager", "--kubeconfig", c.kubeconfig("admin"), "--leader-elect=false",
		"--bind-address", "127.0.0.1", "--secure-port", fmt.Sprint(freePort(c.t)), "--cert-dir", c.dir+"/certs",
		"--controllers=endpoints-controller,endpointslice-controller,endpointslice-mirroring-controller")
	// A Service with hand-written Endpoints gets a mirrored slice: the controllers run.
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	meta := metav1.ObjectMeta{Name: "mirrored"}
	_, err := c.client.CoreV1().Services("kube-system").Create(ctx, &corev1.Service{ObjectMeta: meta,
		Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}, metav1.CreateOptions{})
	must(c.t, err)
	endpoints, _ := Objects(lb)
	endpoints.ObjectMeta, endpoints.Subsets[0].Ports[0].Name = meta, ""
	_, err = c.client.CoreV1().Endpoints("kube-system").Create(ctx, endpoints, metav1.CreateOptions{})
	must(c.t, err)
	must(c.t, poll.Until(ctx, 20*time.Millisecond, func(ctx context.Context) error {
		list, err := c.client.DiscoveryV1().EndpointSlices("kube-system").List(ctx, metav1.ListOptions{})
		if err == nil && len(list.Items) == 0 {
			err = errors.New("no mirrored slice")
		}
		return err
	}))
}

func (c *control) stopAPI(signal syscall.Signal) { kill(c.api, signal) }

func (c *control) deleteInEtcd(keys ...string) {
	for _, key := range keys {
		out, err := exec.CommandContext(c.t.Context(), c.programs["etcdctl"],
			"--endpoints", c.etcd, "del", key).CombinedOutput()
		if err != nil || !bytes.HasPrefix(out, []byte("1")) {
			c.t.Fatalf("delete %s: %s %v", key, out, err)
		}
	}
}

func (c *control) startAgent(node string) *exec.Cmd {
	path := c.kubeconfig("agent")
	self, err := os.Executable()
	must(c.t, err)
	listen := fmt.Sprintf("127.0.0.1:%d", freePort(c.t))
	c.t.Setenv(childEnv, strings.Join([]string{path, node, listen}, ","))
	return c.start(node, self)
}

func (c *control) kubeconfig(token string) string {
	return c.write(token+".conf", fmt.Sprintf(`{"clusters":[{"name":"c","cluster":{"server":"https://127.0.0.1:%d","insecure-skip-tls-verify":true}}],
"users":[{"name":"u","user":{"token":%q}}],"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],"current-context":"c"}`, c.port, token))
}

// start runs a program until the test ends; its log is shown when the test fails.
func (c *control) start(name, path string, args ...string) *exec.Cmd {
	log, err := os.OpenFile(filepath.Join(c.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(c.t, err)
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	must(c.t, cmd.Start())
	c.t.Cleanup(func() {
		kill(cmd, syscall.SIGKILL)
		log.Close()
		if text, _ := os.ReadFile(log.Name()); c.t.Failed() {
			c.t.Logf("%s:\n%s", name, text[max(0, len(text)-6000):])
		}
	})
	return cmd
}

// kill signals and waits; a program that has ended already is fine.
func kill(cmd *exec.Cmd, signal syscall.Signal) {
	if cmd.ProcessState != nil {
		return
	}
	if err := cmd.Process.Signal(signal); !errors.Is(err, os.ErrProcessDone) {
		_ = cmd.Wait()
	}
}

func (c *control) write(name, text string) string {
	path := filepath.Join(c.dir, name)
	must(c.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func freePort(t *testing.T) int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}
