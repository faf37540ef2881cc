//go:build e2e

package e2e

import (
	"crypto/x509"
	"errors"
	"os"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

func (c *cluster) checkKubeconfig(t *testing.T) {
	t.Run("merged", c.checkMerged)
	t.Run("raw", c.checkRaw)
	t.Run("node", c.checkNodeKubeconfig)
}

// checkMerged uses what `haplane up` put into the user's kubeconfig.
func (c *cluster) checkMerged(t *testing.T) {
	config, err := clientcmd.LoadFromFile(c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	want(t, "current context", config.CurrentContext, "haplane-"+c.Name)
	if w := config.Clusters["work"]; w == nil || w.Server != "https://work.example:6443" || config.AuthInfos["me"].Token != "mine" || config.Contexts["work"] == nil {
		t.Error("the user's other context is not as it was")
	}
	info, err := os.Stat(c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	want(t, "mode of the kubeconfig", info.Mode().Perm(), 0o600)
	nodes := must(t, 0, c.Kubectl(background(t), "--kubeconfig", c.Kubeconfig(), "get", "nodes", "-o", "name"))
	var expect []string
	for _, n := range kubeNodes {
		expect = append(expect, "node/"+n)
	}
	if got := strings.Fields(nodes.Stdout); !same(got, expect) {
		t.Errorf("kubectl get nodes shows %v, want %v", got, expect)
	}
}

func (c *cluster) checkRaw(t *testing.T) {
	before, err := os.ReadFile(c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	config := c.config(t)
	want(t, "server", config.Host, "https://"+c.endpoint())
	review, err := clientOf(t, config).Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	contains(t, "version of the API server", review.GitVersion, "v1.37.")
	if after, _ := os.ReadFile(c.Kubeconfig()); string(after) != string(before) {
		t.Error("--raw changed the user's kubeconfig")
	}
}

// checkNodeKubeconfig goes straight to one API server: that works under the name
// in its certificate, and not under its address.
func (c *cluster) checkNodeKubeconfig(t *testing.T) {
	config := c.config(t, "--node", "cp-2")
	want(t, "server", config.Host, "https://"+c.address("cp-2")+":6443")
	want(t, "tls-server-name", config.ServerName, "kubernetes.default")
	ready, err := clientOf(t, config).RESTClient().Get().AbsPath("/readyz").DoRaw(background(t))
	if err != nil || string(ready) != "ok" {
		t.Errorf("/readyz of cp-2 says %q, %v", ready, err)
	}
	plain := rest.CopyConfig(config)
	plain.ServerName = ""
	_, err = clientOf(t, plain).CoreV1().Namespaces().Get(background(t), "default", metav1.GetOptions{})
	if !errors.As(err, new(x509.HostnameError)) {
		t.Errorf("without tls-server-name the API server of cp-2 answers %v, want that its certificate is for others", err)
	}
	result := c.Run(background(t), "kubeconfig", "--cluster", c.Name, "--raw", "--node", "worker-1")
	must(t, 1, result)
	contains(t, "error", result.Stderr, "worker-1", "cp-1, cp-2, cp-3")
}
