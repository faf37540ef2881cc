//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/haplane/haplane/e2e/rig"
)

// rotated is what scripts may rely on in what `certs rotate` prints with -o json.
type rotated struct {
	Name   string
	Phases []struct {
		Phase string
		outcome
		Seconds float64
	}
	Done bool
}

// rotate runs `haplane certs rotate`, of which clients notice nothing: no request fails where programs read by themselves what is rotated.
func (c *cluster) rotate(t *testing.T, name string, phases ...string) rotated {
	t.Helper()
	args := []string{"certs", "rotate", name, "--cluster", c.Name, "--yes", "-o", "json"}
	isFlag := func(arg string) bool { return strings.HasPrefix(arg, "--") }
	for _, arg := range phases {
		if isFlag(arg) {
			args = append(args, arg)
		}
	}
	return readRotated(t, must(t, 0, c.Run(background(t), args...)), slices.DeleteFunc(slices.Clone(phases), isFlag)...)
}

// readRotated reads what it printed.
func readRotated(t *testing.T, result rig.Result, phases ...string) rotated {
	t.Helper()
	var out rotated
	if err := json.Unmarshal([]byte(result.Stdout), &out); err != nil {
		t.Fatalf("%v:\n%s", err, result)
	}
	judge := unnoticed
	if out.Name == "front-proxy-ca" {
		judge = unharmed
	}
	var got []string
	for _, p := range out.Phases {
		t.Logf("%s: %s: %.1f s", out.Name, p.Phase, p.Seconds)
		judge(t, p.outcome)
		got = append(got, p.Phase)
	}
	if !slices.Equal(got, phases) {
		t.Errorf("phases %v, want %v", got, phases)
	}
	return out
}

// TestChangeRotateKeys rotates the key that encrypts Secrets and that of service accounts, and is killed at each verb. Secrets can be read, are in
// etcd in what the new key has written, and a pod's token that the old key has signed is never refused.
func TestChangeRotateKeys(t *testing.T) {
	c := newCluster(t, newRig(t), "e2e-rotkeys", 62)
	must(t, 0, c.Up(background(t)))
	d := &day{cluster: c, controlPlane: slices.Clone(controlPlane), workers: []string{"worker-1"}}
	must(t, 0, c.Kubectl(background(t), "create", "secret", "generic", "before", "--from-literal=a=b"))
	pod, token := c.podToken(t)
	client, clients := c.withToken(token), c.startTraffic(t)

	saved := filepath.Join(c.Store(), "snapshots", "before.tar")
	must(t, 0, c.Run(background(t), "etcd", "snapshot", "save", saved, "--cluster", c.Name))
	restarts := []string{"write-files", "lb-drain", "restart", "lb-restore"} // of each API server, in every phase
	c.killedAtVerbs(t, append(restarts, "prove-trust", "rewrite-secrets", "prove-switch", "prove-unused", "prove-drop"), "certs", "rotate", "encryption")
	clients.unnoticed(t, "encryption, killed")
	want(t, "the rotation that is under way", c.rotation(t).Name, "")
	want(t, "migrations that are left", c.Kubectl(background(t), "get", "storageversionmigrations", "-o", "name").Stdout, "")
	stored := c.on(t, "cp-1", etcdctl+" get --print-value-only /registry/secrets/default/before | head -c 26")
	want(t, "what a Secret begins with in etcd", stored, "k8s:enc:secretbox:v1:key2:")
	want(t, "the Secret", must(t, 0, c.Kubectl(background(t), "get", "secret", "before", "-o", "jsonpath={.data.a}")).Stdout, "Yg==")

	c.killedAtVerbs(t, append(restarts, "prove-trust", "prove-switch"), "certs", "rotate", "service-account")
	clients.unnoticed(t, "service-account, killed")
	now := c.rotation(t)
	if left := time.Until(now.NeededUntil); now.Phase != "switch" || !now.Proved || left < 10*time.Minute || left > 2*time.Hour {
		t.Errorf("%+v", now)
	}
	contains(t, "status", c.Run(background(t), "status", "--cluster", c.Name).Stdout, "rotation of service-account", "needed until", "certs rotate service-account")
	again := must(t, 1, c.Run(background(t), "certs", "rotate", "service-account", "--cluster", c.Name, "--yes"))
	contains(t, "error", again.Stderr, "the old service-account is needed still", "kube-system/"+pod, "ends at")
	contains(t, "another rotation", must(t, 1, c.Run(background(t), "certs", "rotate", "encryption", "--cluster", c.Name, "--yes")).Stderr, "service-account is under way")
	client.never401(t)

	must(t, 0, c.Kubectl(background(t), "-n", "kube-system", "delete", "pods", "--all"))
	d.wellAgain(t)
	want(t, "the rotation of service-account is done", c.rotate(t, "service-account", "drop").Done, true)
	d.wellAgain(t)
	d.restoresWithItsOwnKey(t, saved)
}

// restoresWithItsOwnKey restores a snapshot of before the encryption key was rotated, with the Secret that it has. Afterwards the key of now has written all
// of them, and API servers know no other one.
func (d *day) restoresWithItsOwnKey(t *testing.T, saved string) {
	t.Helper()
	contains(t, "the list", must(t, 0, d.Run(background(t), "etcd", "snapshot", "list", "--cluster", d.Name)).Stdout, saved, "encryption was rotated, restored with its own encryption key")
	restored := must(t, 0, d.Run(background(t), "etcd", "restore", saved, "--discard-newer", "--cluster", d.Name, "--yes"))
	contains(t, "the restore", restored.Stderr, "warning: Secrets in the snapshot are encrypted with its own key key1", "rewrite-secrets", "prove-unused")
	want(t, "the Secret", must(t, 0, d.Kubectl(background(t), "get", "secret", "before", "-o", "jsonpath={.data.a}")).Stdout, "Yg==")
	for _, node := range d.controlPlane {
		want(t, "what the Secret begins with in etcd of "+node, d.on(t, node, etcdctl+" get --print-value-only /registry/secrets/default/before | head -c 26"), "k8s:enc:secretbox:v1:key2:")
		want(t, "keys of the API server of "+node, d.on(t, node, "grep -o 'name: key.*' /etc/kubernetes/encryption.yaml"), "name: key2")
	}
	if left, err := filepath.Glob(filepath.Join(d.Store(), "restore", "*")); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	d.wellAgain(t)
}

// rotating is what scripts may rely on in what status tells of a rotation with -o json.
type rotating struct {
	Name, Phase string
	Proved      bool
	NeededUntil time.Time
}

// rotation is the one that is under way; of no name where there is none.
func (c *cluster) rotation(t *testing.T) rotating {
	t.Helper()
	var status struct{ Rotation rotating }
	result := must(t, 0, c.Run(background(t), "status", "--cluster", c.Name, "-o", "json"))
	if err := json.Unmarshal([]byte(result.Stdout), &status); err != nil {
		t.Fatalf("%v:\n%s", err, result)
	}
	return status.Rotation
}

// TestChangeRotateCA rotates the CA of Kubernetes. It is killed where others stand in its way, and between two phases; the same command goes on. A pod's
// token is never refused. Who has a kubeconfig from before gets in until the old CA is dropped, is named before that, and so is a pod that began
// before: it may have read the old CA alone.
func TestChangeRotateCA(t *testing.T) {
	c := newCluster(t, newRig(t), "e2e-rotca", 63)
	must(t, 0, c.Up(background(t)))
	d := &day{cluster: c, controlPlane: slices.Clone(controlPlane), workers: []string{"worker-1"}}
	must(t, 0, c.Kubectl(background(t), "run", "early", "--image="+c.on(t, "worker-1", "ctr --namespace k8s.io images list --quiet | grep ^haplane.local/web:"), "--image-pull-policy=Never", "--labels=app=early"))
	c.waitRunningPod(t, "app=early")
	copied := c.withCopy(t)
	args := []string{"certs", "rotate", "ca", "--cluster", c.Name, "--yes", "-o", "json"}
	_, token := c.podToken(t)
	defer c.withToken(token).never401(t)
	c.bundleOfOthers(t)
	c.killedBeforeOthers(t, args...)
	cmd, stderr := c.start(t, args...)
	done := waitFor(cmd)
	c.waitOthers(t, cmd)
	c.bundleOfOthers(t)
	wait(t, 4*time.Minute, "the end of the first phase", func(context.Context) error {
		data, _ := os.ReadFile(filepath.Join(c.Store(), "record.json"))
		if !strings.Contains(string(data), `"proved": true`) {
			return fmt.Errorf("it is not proved yet:\n%s", stderr)
		}
		return nil
	})
	_ = cmd.Process.Kill()
	<-done
	contains(t, "status", c.Run(background(t), "status", "--cluster", c.Name).Stdout, "the rotation of ca has not ended: the phase trust is carried out and proved")
	want(t, "authorities that kubelets accept", c.on(t, "worker-1", "grep -c BEGIN /etc/kubernetes/pki/ca.crt"), "2")
	needed := c.Run(background(t), args...)
	contains(t, "what keeps the old CA", must(t, 1, needed).Stderr, "the old ca is needed still", "pod default/early began before", "rollout restart", "--no-wait-for-pods",
		"user kubernetes-admin came at", "--ignore-outside")
	phases := readRotated(t, needed, "switch")
	want(t, "the rotation is done", phases.Done, false)
	served := func(chain string) {
		t.Helper()
		for _, node := range []string{"cp-1", "cp-2", "cp-3"} {
			contains(t, "certificate that "+node+" serves", c.on(t, node, "openssl s_client -connect 127.0.0.1:6443 </dev/null 2>/dev/null | openssl x509 -noout -issuer"), "kubernetes-2")
			want(t, "certificates that "+node+" shows", c.on(t, node, "openssl s_client -showcerts -connect 127.0.0.1:6443 </dev/null 2>/dev/null | grep -c BEGIN"), chain)
		}
	}
	served("2")
	must(t, 0, c.Kubectl(background(t), "get", "nodes"))
	must(t, 0, c.Kubectl(background(t), "delete", "pod", "early", "--now"))
	copied.gotIn(t)
	want(t, "the rotation is done", c.rotate(t, "ca", "drop", "--ignore-outside").Done, true)
	served("1")
	copied.lockedOut(t)
	must(t, 0, c.Kubectl(background(t), "get", "nodes"))
	c.noOthers(t)
	d.wellAgain(t)
}

// others verify by the cluster's authority, which they have in base64: a webhook of which nobody asks anything, and the conversion of objects that nobody has.
const others = `apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: others.example.com}
webhooks:
- name: nothings.others.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Ignore
  clientConfig: {url: "https://others.example.com/", caBundle: %[1]s}
  rules: [{apiGroups: [others.example.com], apiVersions: [v1], resources: [nothings], operations: [CREATE]}]
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: nothings.others.example.com}
spec:
  group: others.example.com
  names: {kind: Nothing, plural: nothings}
  scope: Cluster
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
  conversion: {strategy: Webhook, webhook: {conversionReviewVersions: [v1], clientConfig: {url: "https://others.example.com/", caBundle: %[1]s}}}
`

// bundleOfOthers has them verify by what kubelets do now.
func (c *cluster) bundleOfOthers(t *testing.T) {
	t.Helper()
	c.applyText(t, fmt.Sprintf(others, c.on(t, "worker-1", "base64 --wrap=0 /etc/kubernetes/pki/ca.crt")))
}

func (c *cluster) noOthers(t *testing.T) {
	t.Helper()
	must(t, 0, c.Kubectl(background(t), "delete", "validatingwebhookconfiguration/others.example.com", "customresourcedefinition/nothings.others.example.com"))
}

// waitOthers waits until a running rotation names them as what it waits for.
func (c *cluster) waitOthers(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	wait(t, 4*time.Minute, "the bundles of others to be named", func(context.Context) error {
		files, err := filepath.Glob(filepath.Join(c.Store(), "logs", fmt.Sprintf("certs-rotate-*-%d.log", cmd.Process.Pid)))
		if err != nil || len(files) != 1 {
			return fmt.Errorf("log files: %v, %v", files, err)
		}
		data, err := os.ReadFile(files[0])
		for _, object := range []string{"ValidatingWebhookConfiguration others.example.com", "CustomResourceDefinition nothings.others.example.com"} {
			if err == nil && !strings.Contains(string(data), object+" does not have the new authority") {
				err = fmt.Errorf("%s is not named; the log ends with %s", object, lastLine(string(data)))
			}
		}
		return err
	})
}

// killedBeforeOthers kills a rotation where it waits for them: nobody counts as trusting yet.
func (c *cluster) killedBeforeOthers(t *testing.T, args ...string) {
	t.Helper()
	cmd, _ := c.start(t, args...)
	done := waitFor(cmd)
	c.waitOthers(t, cmd)
	_ = cmd.Process.Kill()
	<-done
	if now := c.rotation(t); now.Name != "ca" || now.Phase != "trust" || now.Proved {
		t.Errorf("%+v", now)
	}
}

// TestChangeRotateOthers rotates the CAs of etcd and of the aggregation layer, not while a node is away, nor while it has no room; the latter once
// more, killed at each step of the three phases, and that of etcd killed at each verb.
func TestChangeRotateOthers(t *testing.T) {
	c := newCluster(t, newRig(t), "e2e-rotothers", 64)
	must(t, 0, c.Up(background(t)))
	d := &day{cluster: c, controlPlane: slices.Clone(controlPlane), workers: []string{"worker-1"}}
	if err := c.Provider().Kill(background(t), "worker-1"); err != nil {
		t.Fatal(err)
	}
	refused := must(t, 4, c.Run(background(t), "certs", "rotate", "front-proxy-ca", "--cluster", c.Name, "--yes"))
	contains(t, "error", refused.Stderr, "all nodes have to take part", "worker-1 is away")
	must(t, 0, c.Run(background(t), "start", "--cluster", c.Name))
	c.withoutRoom(t, "cp-2", "/etc/kubernetes", func() {
		c.noRoom(t, c.Run(background(t), "certs", "rotate", "front-proxy-ca", "--cluster", c.Name, "--yes", "--no-probe"), "cp-2", "haplane certs rotate front-proxy-ca")
	})
	before := c.invocations(t, "kube-apiserver")
	want(t, "the rotation of front-proxy-ca is done", c.rotate(t, "front-proxy-ca", "trust", "switch", "drop").Done, true)
	want(t, "runs of the API servers", c.invocations(t, "kube-apiserver"), before)
	c.killedAt(t, "certs", "rotate", "front-proxy-ca")
	contains(t, "issuer of the front proxy's certificate", c.on(t, "cp-3", "openssl x509 -in /etc/kubernetes/pki/front-proxy-client.crt -noout -issuer"), "front-proxy-ca-3")
	clients := c.startTraffic(t)
	c.killedAtVerbs(t, []string{"issue-certificates", "write-files", "lb-drain", "restart", "lb-restore", "prove-trust", "prove-switch", "prove-unused", "prove-drop"}, "certs", "rotate", "etcd-ca")
	clients.unnoticed(t, "etcd-ca, killed")
	contains(t, "issuer of a member's certificate", c.on(t, "cp-3", "openssl x509 -in /etc/kubernetes/pki/etcd/server.crt -noout -issuer"), "etcd-ca-2")
	d.wellAgain(t)
}

// podToken is a token of one of CoreDNS' pods, which stays.
func (c *cluster) podToken(t *testing.T) (pod, token string) {
	t.Helper()
	pod = must(t, 0, c.Kubectl(background(t), "-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-dns", "-o", "jsonpath={.items[0].metadata.name}")).Stdout
	made := must(t, 0, c.Kubectl(background(t), "-n", "kube-system", "create", "token", "coredns", "--bound-object-kind", "Pod", "--bound-object-name", pod))
	return pod, strings.TrimSpace(made.Stdout)
}

// A copyClient asks with a copy of the administrator's kubeconfig all the time, on connections of their own.
type copyClient struct {
	mu       sync.Mutex
	answered int
	failed   []error // since somebody has looked
}

func (c *cluster) withCopy(t *testing.T) *copyClient {
	t.Helper()
	client, config := &copyClient{}, c.config(t)
	verify, err := rest.TLSConfigFor(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx := background(t)
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	go func() {
		defer close(ended)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			code, err := get(ctx, verify, config.Host+"/api/v1/services?limit=1")
			if err == nil && code != http.StatusOK {
				err = fmt.Errorf("it is answered %d", code)
			}
			client.mu.Lock()
			if client.answered++; err != nil {
				client.failed = append(client.failed, err)
			}
			client.mu.Unlock()
		}
	}()
	return client
}

// gotIn wants all requests until now to have been answered, but for what a busy machine explains.
func (c *copyClient) gotIn(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	t.Logf("a copied kubeconfig: %d requests, %d failed", c.answered, len(c.failed))
	unverified := slices.ContainsFunc(c.failed, func(err error) bool {
		return strings.Contains(err.Error(), "x509") || strings.Contains(err.Error(), "answered 401")
	})
	if c.answered < 100 || unverified || len(c.failed) > 1+c.answered/200 {
		t.Errorf("a copied kubeconfig: %d requests, %d failed: %v", c.answered, len(c.failed), errors.Join(c.failed...))
	}
	c.failed = nil
}

// lockedOut wants requests from now on to fail because nobody is verified.
func (c *copyClient) lockedOut(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	c.failed = nil
	c.mu.Unlock()
	wait(t, 30*time.Second, "the end of a copied kubeconfig", func(context.Context) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		if len(c.failed) < 3 {
			return fmt.Errorf("%d requests failed", len(c.failed))
		}
		return nil
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	contains(t, "why", c.failed[0].Error(), "certificate signed by unknown authority")
}

// A tokenClient asks with one token all the time, on connections of their own.
type tokenClient struct {
	stop    chan struct{}
	answers chan map[int]int
}

func (c *cluster) withToken(token string) *tokenClient {
	client := &tokenClient{stop: make(chan struct{}), answers: make(chan map[int]int, 1)}
	asker := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	go func() {
		seen := map[int]int{}
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-client.stop:
				client.answers <- seen
				return
			case <-tick.C:
			}
			request, _ := http.NewRequest(http.MethodGet, "https://"+c.endpoint()+"/api/v1/services?limit=1", nil)
			request.Header.Set("Authorization", "Bearer "+token)
			if response, err := asker.Do(request); err == nil {
				seen[response.StatusCode]++
				response.Body.Close()
			} else {
				seen[0]++
			}
		}
	}()
	return client
}

// never401 ends it.
func (c *tokenClient) never401(t *testing.T) {
	t.Helper()
	close(c.stop)
	seen := <-c.answers
	t.Logf("answers to a pod's token, by code: %v", seen)
	if seen[http.StatusUnauthorized] > 0 || seen[http.StatusOK] < 500 {
		t.Errorf("answers to a pod's token, by code: %v", seen)
	}
}
