//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// rotated is what scripts may rely on in what `certs rotate` prints with -o json.
type rotated struct {
	Name   string
	Phases []struct {
		Phase string
		outcome
		Seconds float64
	}
	Done        bool
	NeededUntil time.Time
}

// rotate runs `haplane certs rotate`, of which clients notice nothing.
func (c *cluster) rotate(t *testing.T, name string, phases ...string) rotated {
	t.Helper()
	result := must(t, 0, c.Run(background(t), "certs", "rotate", name, "--cluster", c.Name, "--yes", "-o", "json"))
	var out rotated
	if err := json.Unmarshal([]byte(result.Stdout), &out); err != nil {
		t.Fatalf("%v:\n%s", err, result)
	}
	var got []string
	for _, p := range out.Phases {
		t.Logf("%s: %s: %.1f s", name, p.Phase, p.Seconds)
		unnoticed(t, p.outcome)
		got = append(got, p.Phase)
	}
	if !slices.Equal(got, phases) {
		t.Errorf("phases %v, want %v", got, phases)
	}
	return out
}

// TestChangeRotateKeys rotates the key that encrypts Secrets and that of service accounts. Secrets can be read, are in etcd
// in what the new key has written, and a pod's token that the old key has signed is never refused.
func TestChangeRotateKeys(t *testing.T) {
	c := newCluster(t, newRig(t), "e2e-rotkeys", 62)
	must(t, 0, c.Up(background(t)))
	d := &day{cluster: c, controlPlane: slices.Clone(controlPlane), workers: []string{"worker-1"}}
	must(t, 0, c.Kubectl(background(t), "create", "secret", "generic", "before", "--from-literal=a=b"))
	pod := must(t, 0, c.Kubectl(background(t), "-n", "kube-system", "get", "pods", "-l", "k8s-app=kube-dns", "-o", "jsonpath={.items[0].metadata.name}")).Stdout
	token := strings.TrimSpace(must(t, 0, c.Kubectl(background(t), "-n", "kube-system", "create", "token", "coredns", "--bound-object-kind", "Pod", "--bound-object-name", pod)).Stdout)
	client := c.withToken(token)

	want(t, "the rotation of encryption is done", c.rotate(t, "encryption", "trust", "switch", "drop").Done, true)
	stored := c.on(t, "cp-1", etcdctl+" get --print-value-only /registry/secrets/default/before | head -c 26")
	want(t, "what a Secret begins with in etcd", stored, "k8s:enc:secretbox:v1:key2:")
	want(t, "the Secret", must(t, 0, c.Kubectl(background(t), "get", "secret", "before", "-o", "jsonpath={.data.a}")).Stdout, "Yg==")

	first := c.rotate(t, "service-account", "trust", "switch")
	if left := time.Until(first.NeededUntil); first.Done || left < 10*time.Minute || left > 2*time.Hour {
		t.Errorf("done: %v, the old key is needed until %s", first.Done, first.NeededUntil)
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
}

// TestChangeRotateCA rotates the CA of Kubernetes. It is killed between two phases; the same command goes on.
func TestChangeRotateCA(t *testing.T) {
	c := newCluster(t, newRig(t), "e2e-rotca", 63)
	must(t, 0, c.Up(background(t)))
	d := &day{cluster: c, controlPlane: slices.Clone(controlPlane), workers: []string{"worker-1"}}
	args := []string{"certs", "rotate", "ca", "--cluster", c.Name, "--yes", "-o", "json"}
	cmd, stderr := c.start(t, args...)
	done := waitFor(cmd)
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
	want(t, "the rotation is done", c.rotate(t, "ca", "switch", "drop").Done, true)
	for _, node := range []string{"cp-1", "cp-2", "cp-3"} {
		served := c.on(t, node, "openssl s_client -connect 127.0.0.1:6443 </dev/null 2>/dev/null | openssl x509 -noout -issuer")
		contains(t, "certificate that "+node+" serves", served, "kubernetes-2")
	}
	must(t, 0, c.Kubectl(background(t), "get", "nodes"))
	d.wellAgain(t)
}

// TestChangeRotateOthers rotates the CAs of etcd and of the aggregation layer, not while a node is away; the latter once more, killed at
// each step of the three phases.
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
	before := c.invocations(t, "kube-apiserver")
	want(t, "the rotation of front-proxy-ca is done", c.rotate(t, "front-proxy-ca", "trust", "switch", "drop").Done, true)
	want(t, "runs of the API servers", c.invocations(t, "kube-apiserver"), before)
	c.killedAt(t, "certs", "rotate", "front-proxy-ca")
	contains(t, "issuer of the front proxy's certificate", c.on(t, "cp-3", "openssl x509 -in /etc/kubernetes/pki/front-proxy-client.crt -noout -issuer"), "front-proxy-ca-3")
	want(t, "the rotation of etcd-ca is done", c.rotate(t, "etcd-ca", "trust", "switch", "drop").Done, true)
	d.wellAgain(t)
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
