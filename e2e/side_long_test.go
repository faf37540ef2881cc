//go:build e2e

package e2e

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/haplane/haplane/e2e/rig"
	"github.com/haplane/haplane/internal/topology"
)

// single is the file of a cluster with one control-plane node behind its load balancer.
const single = `apiVersion: haplane/v1alpha1
kind: Cluster
metadata: {name: %s}
spec:
  network: {machineCIDR: %s}
  nodes: [{role: control-plane}]
`

func (c *cluster) useSingle(t *testing.T) *topology.Topology {
	t.Helper()
	return c.use(t, fmt.Sprintf(single, c.Name, c.Network))
}

// TestLongSideBySide brings two clusters up at the same time. They have nodes of
// the same names and pods of the same addresses, and do not see each other.
func TestLongSideBySide(t *testing.T) {
	r := newRig(t)
	left, right := newCluster(t, r, "e2e-left", 10), newCluster(t, r, "e2e-right", 11)
	before := lookAtHost(r)
	shapes := map[*cluster]*topology.Topology{left: left.useSingle(t), right: right.useSingle(t)}
	upTogether(t, left, right)
	for c, topo := range shapes {
		c.checkShape(t, topo)
	}
	t.Run("kubeconfig", func(t *testing.T) { checkContexts(t, left, right) })
	for _, pair := range [][2]*cluster{{left, right}, {right, left}} {
		t.Run("from-"+pair[0].Name, func(t *testing.T) {
			pair[0].checkStranger(t, pair[1])
			pair[0].checkApart(t, pair[1])
		})
	}
	t.Run("down-of-one", func(t *testing.T) { left.checkDownBeside(t, right, shapes[right]) })
	must(t, 0, right.Down(background(t)))
	before.left(t, lookAtHost(r))
}

func upTogether(t *testing.T, clusters ...*cluster) {
	t.Helper()
	results := make(chan rig.Result)
	for _, c := range clusters {
		go func() { results <- c.Up(background(t)) }()
	}
	for range clusters {
		up := must(t, 0, <-results)
		t.Logf("up took %s", ms(up.Elapsed))
	}
}

// checkContexts looks for both clusters in the user's kubeconfig.
func checkContexts(t *testing.T, clusters ...*cluster) {
	for _, c := range clusters {
		config, err := clientcmd.LoadFromFile(c.Kubeconfig())
		if err != nil {
			t.Fatal(err)
		}
		ctx := config.Contexts["haplane-"+c.Name]
		if ctx == nil || config.Clusters[ctx.Cluster] == nil {
			t.Fatalf("the kubeconfig has no context or no cluster of %s", c.Name)
		}
		want(t, "server of "+c.Name, config.Clusters[ctx.Cluster].Server, "https://"+c.endpoint())
		addresses := must(t, 0, c.Kubectl(background(t), "--kubeconfig", c.Kubeconfig(), "--context", "haplane-"+c.Name,
			"get", "nodes", "-o", "jsonpath={.items[*].status.addresses[?(@.type=='InternalIP')].address}"))
		want(t, "addresses of the nodes of "+c.Name, addresses.Stdout, c.address("cp-1"))
	}
}

// checkStranger shows one cluster's credentials to the other.
func (c *cluster) checkStranger(t *testing.T, other *cluster) {
	t.Helper()
	ask := func(config *rest.Config) error {
		_, err := clientOf(t, config).CoreV1().Namespaces().Get(background(t), "default", metav1.GetOptions{})
		return err
	}
	own := c.config(t)
	if err := ask(own); err != nil {
		t.Errorf("%s does not let its own administrator in: %v", c.Name, err)
	}
	astray := rest.CopyConfig(own)
	astray.Host = other.config(t).Host
	if err := ask(astray); !errors.As(err, new(x509.UnknownAuthorityError)) {
		t.Errorf("the API server of %s is asked by a client of %s: %v, want that an unknown authority signed it", other.Name, c.Name, err)
	}
	astray.CAData = other.config(t).CAData
	if err := ask(astray); !apierrors.IsUnauthorized(err) {
		t.Errorf("%s is shown the administrator's certificate of %s: %v, want that it does not know it", other.Name, c.Name, err)
	}
}

// lookScript says whether an address answers to a connection, and to the question
// who has it when it is asked for on this machine's own network.
const lookScript = `timeout 1 bash -c 'exec 3<>/dev/tcp/%[1]s/22'; echo connect=$?
ip route replace %[1]s/32 dev eth0 && { ping -c1 -W1 -q %[1]s >/dev/null; echo ping=$?; ip neigh show %[1]s; ip route del %[1]s/32 dev eth0; }`

// checkApart looks from every machine of a cluster for every machine of the other.
func (c *cluster) checkApart(t *testing.T, other *cluster) {
	t.Helper()
	look := func(from, to string) string { return c.on(t, from, fmt.Sprintf(lookScript, to)) }
	const timedOut = "connect=124"
	for from, to := range map[string]string{"cp-1": "lb-1", "lb-1": "cp-1"} {
		own := look(from, c.address(to))
		contains(t, "what "+from+" sees of "+to+" in its own cluster", own, "connect=0", "ping=0", "lladdr")
		for _, node := range []string{"cp-1", "lb-1"} {
			strange := look(from, other.address(node))
			contains(t, "what "+from+" sees of "+node+" in the other cluster", strange, timedOut, "ping=1", "dev eth0")
			if strings.Contains(strange, "lladdr") {
				t.Errorf("%s of %s is told who has the address of %s of %s:\n%s", from, c.Name, node, other.Name, strange)
			}
		}
	}
}

// checkDownBeside takes one cluster down while clients use the other.
func (c *cluster) checkDownBeside(t *testing.T, other *cluster, topo *topology.Topology) {
	tr := other.startTraffic(t)
	tr.answers(t, 10*time.Second)
	must(t, 0, c.Down(background(t)))
	tr.answers(t, 10*time.Second)
	want(t, "number of requests to "+other.Name+" that failed", tr.report(t, "down of "+c.Name), 0)
	other.checkShape(t, topo)
	contains(t, "what up says of the other", must(t, 0, other.Up(background(t))).Stdout, "nothing changed")
	contexts := must(t, 0, other.Kubectl(context.WithoutCancel(background(t)), "--kubeconfig", c.Kubeconfig(), "config", "get-contexts", "-o", "name"))
	want(t, "contexts that are left", strings.TrimSpace(contexts.Stdout), "haplane-"+other.Name)
}
