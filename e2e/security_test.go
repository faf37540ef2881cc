//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

func (c *cluster) checkSecurity(t *testing.T) {
	t.Run("anonymous", c.checkAnonymous)
	t.Run("secrets-encrypted", c.checkSecretsEncrypted)
	t.Run("audit-log", c.checkAuditLog)
	t.Run("private-keys", c.checkPrivateKeys)
	t.Run("no-key-leaks", c.checkNoKeyLeaks)
	t.Run("etcd-clients", c.checkEtcdClients)
	t.Run("kubelet", c.checkKubelet)
	t.Run("node-restriction", c.checkNodeRestriction)
	t.Run("open-ports", c.checkOpenPorts)
	t.Run("users", c.checkUsers)
}

func (c *cluster) checkAnonymous(t *testing.T) {
	config := &tls.Config{RootCAs: c.roots(t), ServerName: "kubernetes.default"}
	for _, node := range append([]string{"lb-1"}, controlPlane...) {
		for path, allowed := range map[string]bool{"/livez": true, "/readyz": true, "/healthz": true,
			"/api": false, "/version": false, "/metrics": false, "/openapi/v3": false, "/livez/etcd": false,
			"/api/v1/namespaces/default/endpoints/kubernetes": false} {
			status, err := get(background(t), config, "https://"+c.address(node)+":6443"+path)
			if err != nil {
				t.Fatalf("%s: %s: %v", node, path, err)
			}
			if ok := status == 200 || !allowed && (status == 401 || status == 403); !ok || (status == 200) != allowed {
				t.Errorf("%s: an anonymous GET of %s is answered with %d, allowed: %v", node, path, status, allowed)
			}
		}
	}
}

// etcdctl is the command on a control-plane node.
const etcdctl = "etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/kubernetes/pki/etcd/ca.crt " +
	"--cert=/etc/kubernetes/pki/etcd/healthcheck-client.crt --key=/etc/kubernetes/pki/etcd/healthcheck-client.key "

func (c *cluster) checkSecretsEncrypted(t *testing.T) {
	const plain = "plainly-a-secret"
	ctx, secrets := background(t), c.client(t).CoreV1().Secrets("default")
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "e2e"}, StringData: map[string]string{"key": plain}}
	if _, err := secrets.Create(ctx, secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, node := range controlPlane {
		raw := c.on(t, node, etcdctl+"get --print-value-only /registry/secrets/default/e2e | head -c 4096")
		if !strings.HasPrefix(raw, "k8s:enc:secretbox:v1:key1:") || strings.Contains(raw, plain) {
			t.Errorf("%s: etcd has the Secret as %q", node, raw)
		}
	}
	read, err := secrets.Get(ctx, "e2e", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want(t, "the Secret that was read back", string(read.Data["key"]), plain)
	other := c.on(t, "cp-1", etcdctl+"get --print-value-only /registry/configmaps/kube-system/coredns | head -c 4096")
	contains(t, "a ConfigMap in etcd, which shows that this reads what it should", other, "kubernetes cluster.local")
}

// checkAuditLog makes an object through one API server and looks for the trace
// of that on its machine.
func (c *cluster) checkAuditLog(t *testing.T) {
	for node, client := range c.clients(t) {
		name := "audited-on-" + node
		object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"body": "body-of-" + node}}
		if _, err := client.CoreV1().ConfigMaps("default").Create(background(t), object, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		var line string
		wait(t, 10*time.Second, "the audit log of "+node, func(ctx context.Context) error {
			result := c.SSH(ctx, node, fmt.Sprintf(`grep '"name":"%s"' /var/log/kubernetes/audit.log`, name))
			if line = result.Stdout; result.Code != 0 {
				return errors.New("nothing of " + name)
			}
			return nil
		})
		var event struct {
			Verb  string
			Level string
			User  struct{ Username string }
		}
		if err := json.Unmarshal([]byte(strings.SplitN(line, "\n", 2)[0]), &event); err != nil {
			t.Fatalf("%s: %v: %s", node, err, line)
		}
		want(t, node+": event", fmt.Sprint(event.Verb, event.Level, event.User.Username), fmt.Sprint("create", "Metadata", "kubernetes-admin"))
		if strings.Contains(line, "body-of-") {
			t.Errorf("%s: the audit log has the object's body: %s", node, line)
		}
		want(t, node+": mode of the log and its folder", c.on(t, node, "stat -c %a:%U /var/log/kubernetes/audit.log /var/log/kubernetes"), "600:kube-apiserver\n700:kube-apiserver")
	}
}

// checkUsers looks at who programs run as, what such a user owns, and what it cannot see.
func (c *cluster) checkUsers(t *testing.T) {
	for _, node := range controlPlane {
		for _, name := range []string{"etcd", "haplane-agent", "kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
			pid := "$(systemctl show --property=MainPID --value " + name + ")"
			want(t, node+": user of "+name, c.on(t, node, "stat -c %U:%G /proc/"+pid), name+":"+name)
			want(t, node+": lines of admin.conf for "+name, c.on(t, node, "nsenter --mount --target="+pid+" cat /etc/kubernetes/admin.conf | wc -l"), "0")
			want(t, node+": shell of "+name, c.on(t, node, "getent passwd "+name+" | cut -d: -f7"), "/usr/sbin/nologin")
		}
		want(t, node+": etcd's data", c.on(t, node, "stat -c %a:%U:%G /var/lib/etcd"), "700:etcd:etcd")
		want(t, node+": files for root alone", c.on(t, node, "stat -c %a:%U:%G /etc/systemd/system/kubelet.service "+
			"/var/lib/kubelet/config.yaml /etc/cni/net.d/10-flannel.conflist"), "600:root:root\n600:root:root\n600:root:root")
	}
}

// keyScript lists files that hold a private key, with mode and owner.
const keyScript = `grep --recursive --files-with-matches --binary-files=without-match --regexp='PRIVATE KEY-----' --regexp='client-key-data:' \
  /etc /root /home /opt /srv /usr/local /var/lib/kubelet /var/lib/kube-proxy /var/lib/etcd /var/log /run/systemd 2>/dev/null | sort | xargs stat -c '%a:%U:%G %n'`

// keysOf are the files that may hold private keys, by node.
func keysOf(node string) []string {
	keys := []string{"/etc/ssh/ssh_host_ed25519_key"}
	if node == "lb-1" {
		return keys
	}
	keys = append(keys, "/etc/kubernetes/flannel.conf", "/etc/kubernetes/kube-proxy.conf", "/etc/kubernetes/kubelet.conf", "/var/lib/kubelet/pki/kubelet.key")
	if node == "worker-1" {
		return keys
	}
	keys = append(keys, "/root/.kube/config") // root's on a control-plane node is the administrator's
	for _, name := range []string{"admin", "controller-manager", "haplane-agent", "scheduler"} {
		keys = append(keys, "/etc/kubernetes/"+name+".conf")
	}
	for _, name := range []string{"apiserver", "apiserver-etcd-client", "apiserver-kubelet-client", "ca", "etcd/healthcheck-client", "etcd/peer",
		"etcd/server", "front-proxy-client", "sa"} {
		keys = append(keys, "/etc/kubernetes/pki/"+name+".key")
	}
	return keys
}

func (c *cluster) checkPrivateKeys(t *testing.T) {
	for _, node := range allNodes {
		var found []string
		for line := range strings.Lines(c.on(t, node, keyScript)) {
			mode, file, _ := strings.Cut(strings.TrimSpace(line), " ")
			want(t, node+": mode and owner of "+file, mode, "600:root:root")
			own := strings.HasPrefix(file, "/var/lib/kubelet/pki/kubelet-client-") || strings.HasPrefix(file, "/var/lib/kubelet/pki/kubelet-server-")
			if !own { // those that kubelet got by itself are of whatever number
				found = append(found, file)
			}
		}
		if want := keysOf(node); !same(found, want) {
			t.Errorf("%s: private keys are in %v, want %v", node, found, want)
		}
	}
	for _, node := range controlPlane {
		want(t, node+": mode of encryption.yaml", c.on(t, node, "stat -c %a:%U /etc/kubernetes/encryption.yaml"), "600:root")
	}
	err := filepath.WalkDir(c.Store(), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path == filepath.Join(c.Store(), "machines") {
			return fs.SkipDir // the machines' own files: they were looked at there
		}
		info, err := d.Info()
		if secret := strings.HasSuffix(path, ".key") || strings.Contains(path, "ssh") || d.IsDir(); secret && err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// checkNoKeyLeaks looks for the keys of the store in what up wrote and in every
// command line of every machine.
func (c *cluster) checkNoKeyLeaks(t *testing.T) {
	keys := c.keyTexts(t)
	logs, err := filepath.Glob(filepath.Join(c.Store(), "logs", "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("logs: %v, %v", logs, err)
	}
	texts := map[string]string{}
	for _, file := range logs {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(data)
	}
	for _, node := range allNodes {
		texts["command lines of "+node] = c.on(t, node, `cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n'`)
		texts["journal of "+node] = c.on(t, node, "journalctl --no-pager --output=cat")
	}
	for where, text := range texts {
		if len(text) < 100 {
			t.Errorf("%s: %q is too little to look through", where, text)
		}
		for key, parts := range keys {
			if slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(text, p) }) {
				t.Errorf("%s: %s is in it", where, key)
			}
		}
	}
}

// keyTexts are pieces of each key as they would show in a PEM file and in a kubeconfig.
func (c *cluster) keyTexts(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, path := range find(c.Store(), func(p string) bool { return strings.HasSuffix(p, ".key") && !strings.Contains(p, "/machines/") }) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		encoded := base64.StdEncoding.EncodeToString(data)
		parts := []string{encoded[len(encoded)/2:]}
		for line := range strings.Lines(string(data)) {
			if line = strings.TrimSpace(line); len(line) >= 40 && !strings.HasPrefix(line, "-") {
				parts = append(parts, line)
			}
		}
		out[path] = parts
	}
	if len(out) < 20 {
		t.Errorf("the store has %d keys only", len(out))
	}
	return out
}

// checkEtcdClients tries etcd's ports without a certificate, and with one that
// another authority signed.
func (c *cluster) checkEtcdClients(t *testing.T) {
	admin, err := tls.X509KeyPair(c.config(t).CertData, c.config(t).KeyData)
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range controlPlane {
		for _, port := range []string{"2379", "2380"} {
			for what, certs := range map[string][]tls.Certificate{"no certificate": nil, "the administrator's": {admin}} {
				// Who the server is does not matter here: nothing is told to it.
				config := &tls.Config{InsecureSkipVerify: true, Certificates: certs}
				status, err := get(background(t), config, "https://"+net.JoinHostPort(c.address(node), port)+"/version")
				if err == nil || !strings.Contains(err.Error(), "remote error: tls:") {
					t.Errorf("%s: etcd answers a client with %s on port %s: %d, %v", node, what, port, status, err)
				}
			}
		}
	}
}

func (c *cluster) checkKubelet(t *testing.T) {
	config := &tls.Config{RootCAs: c.roots(t)}
	for _, node := range kubeNodes {
		for _, path := range []string{"/pods", "/metrics", "/configz", "/healthz"} {
			status, err := get(background(t), config, "https://"+c.address(node)+":10250"+path)
			if err != nil || status != 401 {
				t.Errorf("%s: the kubelet answers an anonymous GET of %s with %d, %v; want 401", node, path, status, err)
			}
		}
	}
}

// checkNodeRestriction acts as the kubelet of the worker node.
func (c *cluster) checkNodeRestriction(t *testing.T) {
	kubelet := clientOf(t, parseConfig(t, []byte(c.on(t, "worker-1", "cat /etc/kubernetes/kubelet.conf"))))
	ctx := background(t)
	label := func(node, key string) error {
		patch := fmt.Sprintf(`{"metadata":{"labels":{%q:"x"}}}`, key)
		_, err := kubelet.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		return err
	}
	if err := label("worker-1", "example.com/e2e"); err != nil {
		t.Errorf("a kubelet cannot label its own node: %v", err)
	}
	for what, err := range map[string]error{
		"label another node":              label("cp-1", "example.com/e2e"),
		"give its node a protected label": label("worker-1", "node-restriction.kubernetes.io/e2e"),
		"make its node a control plane":   label("worker-1", "node-role.kubernetes.io/control-plane"),
		"read a Secret of no pod of its":  readSecret(ctx, kubelet),
	} {
		if !apierrors.IsForbidden(err) {
			t.Errorf("the kubelet of worker-1 tries to %s: %v, want that it is forbidden", what, err)
		}
	}
}

func readSecret(ctx context.Context, client kubernetes.Interface) error {
	_, err := client.CoreV1().Secrets("default").Get(ctx, "e2e", metav1.GetOptions{})
	return err
}

// portScript lists the ports that a machine listens on for others.
const portScript = `ss --no-header --listening --tcp --numeric | awk '{print $4}' | grep -v -e '^127\.' -e '^\[::1\]' | sed 's/.*://' | sort -un | tr '\n' ' '`

func (c *cluster) checkOpenPorts(t *testing.T) {
	for _, node := range allNodes {
		ports := "22 2379 2380 6443 10250"
		switch node {
		case "worker-1":
			ports = "22 10250"
		case "lb-1":
			ports = "22 6443"
		}
		want(t, "open ports of "+node, c.on(t, node, portScript), ports)
	}
}
