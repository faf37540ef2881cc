package kubeadm

// A row of upkeep uses this: go run ./e2e/bench -only upkeep -samples upkeep.json -match '^kubeadm'

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/image"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A Cluster is one that kubeadm has brought up, to be changed as upstream's pages have it: "Certificate Management
// with kubeadm" and "Upgrading kubeadm clusters".
type Cluster struct {
	*sequence
	next programs // of the newer minor
}

// programs are what a machine gets before an upgrade: what a package manager would bring.
type programs struct {
	version string
	file    string // the program that is all of Kubernetes, in the image
	archive string // of the container images
}

// nextProgram is where the newer program lies until kubeadm, and then kubelet and kubectl, are that.
const nextProgram = "/usr/local/lib/kubernetes-next/kube"

// Start brings a cluster up, and brings the programs and container images of the newer minor to its machines without using them.
func Start(ctx context.Context, o Options, next image.Image, archive string) (*Cluster, error) {
	v, err := readVersions(next)
	if err != nil {
		return nil, err
	}
	s, _, err := run(ctx, o)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	c := &Cluster{s, programs{version: v.kubernetes, file: filepath.Join(next.Root, "usr", "local", "bin", "kube"), archive: archive}}
	if err := c.onAll(ctx, c.bring); err != nil {
		return nil, errors.Join(fmt.Errorf("bring programs: %w", err), c.Close())
	}
	return c, nil
}

// Close ends the connections to the machines, and leaves these.
func (c *Cluster) Close() error { return c.close() }

// bring has the newer programs on a machine, and the pause image under the tag that kubeadm asks for.
func (c *Cluster) bring(ctx context.Context, n topology.Node) error {
	if n.Role == spec.RoleLoadBalancer {
		return nil
	}
	for _, send := range []struct{ file, script string }{
		{c.next.file, "mkdir -p " + filepath.Dir(nextProgram) + " && cat >" + nextProgram + " && chmod 755 " + nextProgram},
		{c.next.archive, "ctr --namespace k8s.io images import --local --digests=false - >/dev/null"},
	} {
		file, err := os.Open(send.file)
		if err != nil {
			return err
		}
		_, err = c.ssh.Machine(n.Name).Run(ctx, machine.Command{Argv: []string{"sh", "-c", send.script}, Stdin: file})
		_ = file.Close()
		if err != nil {
			return err
		}
	}
	return c.shell(ctx, n, `wanted=$(kubeadm config images list --kubernetes-version `+c.versions.kubernetes+` 2>/dev/null | sed -n 's/.*pause://p')
have=$(ctr --namespace k8s.io images list --quiet | grep '/pause:' | head -1)
[ "${have##*:}" = "$wanted" ] || ctr --namespace k8s.io images tag "$have" "${have%:*}:$wanted" >/dev/null`)
}

// shell runs a script on a machine; when it fails, all that it printed is in the error.
func (s *sequence) shell(ctx context.Context, n topology.Node, script string) error {
	_, err := s.output(ctx, n, script)
	return err
}

func (s *sequence) output(ctx context.Context, n topology.Node, script string) (string, error) {
	result, err := s.ssh.Machine(n.Name).Run(ctx, machine.Cmd("bash", "-e", "-o", "pipefail", "-c", script))
	if errors.As(err, new(*machine.CommandError)) {
		err = fmt.Errorf("%w\n%s%s", err, result.Stdout, result.Stderr)
	}
	return strings.TrimSpace(result.Stdout), err
}

// Kubeconfig is the administrator's, which leads through the load balancer.
func (c *Cluster) Kubeconfig(ctx context.Context) ([]byte, error) {
	text, err := c.output(ctx, c.first(), "cat /etc/kubernetes/admin.conf")
	return []byte(text), err
}

// Kubectl runs kubectl on the first control-plane node.
func (c *Cluster) Kubectl(ctx context.Context, line string) (string, error) {
	return c.output(ctx, c.first(), kubectl+line)
}

// nodeTimeout bounds what one node takes.
const nodeTimeout = 8 * time.Minute

// eachNode calls fn for one node after another, and waits after each until the cluster is whole: nobody would go on before.
func (c *Cluster) eachNode(ctx context.Context, nodes []topology.Node, fn func(context.Context, topology.Node) error) error {
	for _, n := range nodes {
		err := func() error {
			ctx, cancel := context.WithTimeout(ctx, nodeTimeout)
			defer cancel()
			if err := fn(ctx, n); err != nil {
				return err
			}
			return c.whole(ctx)
		}()
		if err != nil {
			return fmt.Errorf("%s: %w", n.Name, err)
		}
	}
	return nil
}

// whole waits until each API server is ready, with its etcd member, and each node.
func (c *Cluster) whole(ctx context.Context) error {
	for _, n := range c.Topology.ControlPlane() {
		err := poll.Until(ctx, pollEvery, func(ctx context.Context) error {
			return c.shell(ctx, n, "curl --silent --insecure --fail --max-time 5 --output /dev/null https://"+n.Address.String()+":6443/readyz")
		})
		if err != nil {
			return err
		}
	}
	return c.waitForNodes(ctx)
}

// manifestsAway is how long the manifests are away, as the page says: kubelet looks again at the latest then (fileCheckFrequency).
const manifestsAway = "20"

// Renew renews all certificates on one control-plane node after another, and has each node's static pods restarted by taking
// their manifests away for a while.
func (c *Cluster) Renew(ctx context.Context) error {
	return c.eachNode(ctx, c.Topology.ControlPlane(), func(ctx context.Context, n topology.Node) error {
		return c.shell(ctx, n, `kubeadm certs renew all
mkdir -p /etc/kubernetes/away
mv /etc/kubernetes/manifests/*.yaml /etc/kubernetes/away/
sleep `+manifestsAway+`
mv /etc/kubernetes/away/*.yaml /etc/kubernetes/manifests/`)
	})
}

// An act is a script on a machine. Leaving says that the node is drained by it.
type act struct {
	on      topology.Node
	script  string
	leaving bool
}

const kubectl = "kubectl --kubeconfig /etc/kubernetes/admin.conf "

// upgradeOf are the acts by which one node is upgraded: kubeadm, what that changes, and kubelet while the node is drained.
func (c *Cluster) upgradeOf(n topology.Node) []act {
	first := c.first()
	upgrade := "node"
	if n.Name == first.Name {
		upgrade = "apply " + c.next.version + " --yes"
	}
	return []act{
		{on: n, script: "ln -sfn " + nextProgram + " /usr/local/bin/kubeadm; kubeadm upgrade " + upgrade + " --ignore-preflight-errors=all"},
		{on: first, script: kubectl + "drain " + n.Name + " --ignore-daemonsets", leaving: true},
		{on: n, script: "ln -sfn " + nextProgram + " /usr/local/bin/kubelet; ln -sfn " + nextProgram + " /usr/local/bin/kubectl; systemctl daemon-reload; systemctl restart kubelet"},
		{on: first, script: kubectl + "uncordon " + n.Name},
	}
}

// inTurn are the nodes in the order in which they are upgraded: the control plane, then the workers.
func (c *Cluster) inTurn() []topology.Node {
	nodes := c.Topology.ControlPlane()
	for _, n := range c.Topology.Nodes {
		if n.Role == spec.RoleWorker {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// Upgrade takes the cluster to the newer minor. Before a node is drained, leaving is called: a pod that measures there would be in the way.
func (c *Cluster) Upgrade(ctx context.Context, leaving func(node string)) error {
	err := c.eachNode(ctx, c.inTurn(), func(ctx context.Context, n topology.Node) error {
		for _, a := range c.upgradeOf(n) {
			if a.leaving {
				leaving(n.Name)
			}
			if err := c.shell(ctx, a.on, a.script); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.isAt(ctx, c.next.version, len(c.inTurn()))
}

// isAt fails unless all API servers and kubelets have the version.
func (c *Cluster) isAt(ctx context.Context, version string, nodes int) error {
	return poll.Until(ctx, pollEvery, func(ctx context.Context) error {
		kubelets, err := c.Kubectl(ctx, "get nodes --output 'jsonpath={.items[*].status.nodeInfo.kubeletVersion}'")
		if err != nil {
			return err
		}
		if want := strings.TrimSpace(strings.Repeat(version+" ", nodes)); kubelets != want {
			return fmt.Errorf("kubelets are %s, want %s", kubelets, want)
		}
		for _, n := range c.Topology.ControlPlane() {
			if err := c.shell(ctx, n, "curl --silent --insecure --fail --max-time 5 https://"+n.Address.String()+":6443/version | grep --quiet "+version); err != nil {
				return fmt.Errorf("the API server of %s is not %s: %w", n.Name, version, err)
			}
		}
		return nil
	})
}
