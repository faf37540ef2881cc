package kubeadm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/internal/topology"
)

const (
	config    = "/etc/kubernetes/kubeadm.yaml"
	pollEvery = 100 * time.Millisecond
)

func (s *sequence) init(ctx context.Context, n topology.Node) error {
	if err := s.kubeadm(ctx, n, "init", "--config", config, "--upload-certs"); err != nil {
		return err
	}
	admin, err := s.ssh.Machine(n.Name).Run(ctx, machine.Cmd("cat", "/etc/kubernetes/admin.conf"))
	if err != nil {
		return err
	}
	s.api, err = kubeapi.FromKubeconfig([]byte(admin.Stdout))
	return err
}

func (s *sequence) join(ctx context.Context, n topology.Node) error {
	return s.kubeadm(ctx, n, "join", "--config", config)
}

// kubeadm runs kubeadm; when it fails, all that it printed is in the error.
func (s *sequence) kubeadm(ctx context.Context, n topology.Node, args ...string) error {
	result, err := s.ssh.Machine(n.Name).Run(ctx, machine.Cmd(append([]string{"kubeadm"}, args...)...))
	if errors.As(err, new(*machine.CommandError)) {
		return fmt.Errorf("%w\n%s%s", err, result.Stdout, result.Stderr)
	}
	return err
}

func (s *sequence) applyFlannel(ctx context.Context) error {
	manifest, err := s.text("flannel.yaml", s.first())
	if err != nil {
		return err
	}
	_, err = s.api.Apply(ctx, manifest)
	return err
}

// waitForNodes and waitForDNS wait for what `haplane up` waits for.
func (s *sequence) waitForNodes(ctx context.Context) error {
	return poll.Until(ctx, pollEvery, func(ctx context.Context) error {
		nodes, err := s.api.Nodes(ctx)
		if err != nil {
			return err
		}
		for _, want := range s.Topology.KubeletNodes() {
			ready := func(n kubeapi.Node) bool { return n.Name == want.Name && n.Ready }
			if !slices.ContainsFunc(nodes, ready) {
				return fmt.Errorf("%s is not ready", want.Name)
			}
		}
		return nil
	})
}

func (s *sequence) waitForDNS(ctx context.Context) error {
	return poll.Until(ctx, pollEvery, func(ctx context.Context) error {
		return s.api.DeploymentAvailable(ctx, "kube-system", "coredns")
	})
}
