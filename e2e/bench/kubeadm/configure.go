package kubeadm

import (
	"context"
	"os"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// configureMachines makes machines of the kind that upstream's guide begins with:
// container runtime, kubelet and load balancer are set up. What of it `haplane up`
// does too takes as long there: the files, containerd with its first images.
func (s *sequence) configureMachines(ctx context.Context) error {
	return s.onAll(ctx, func(ctx context.Context, n topology.Node) error {
		set, err := s.filesOf(n)
		if err != nil {
			return err
		}
		if err := s.ssh.Machine(n.Name).Upload(ctx, set); err != nil {
			return err
		}
		if n.Role == spec.RoleLoadBalancer {
			return s.run(ctx, n, "systemctl", "start", "haproxy")
		}
		for _, argv := range [][]string{
			{"mkdir", "-p", "/lib/modules"},
			{"sysctl", "--quiet", "--system"},
			{"systemctl", "enable", "--quiet", "containerd", "kubelet"},
			{"systemctl", "start", "containerd"},
		} {
			if err := s.run(ctx, n, argv...); err != nil {
				return err
			}
		}
		return nil
	})
}

// importImages brings the static pods' images to the machines that run pods.
func (s *sequence) importImages(ctx context.Context) error {
	return s.onAll(ctx, func(ctx context.Context, n topology.Node) error {
		if n.Role == spec.RoleLoadBalancer {
			return nil
		}
		archive, err := os.Open(s.Archive)
		if err != nil {
			return err
		}
		defer archive.Close()
		_, err = s.ssh.Machine(n.Name).Run(ctx, machine.Command{Stdin: archive,
			Argv: []string{"ctr", "--namespace", "k8s.io", "images", "import", "--local", "--digests=false", "-"}})
		return err
	})
}
