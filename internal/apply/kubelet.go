package apply

import (
	"context"
	"fmt"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/runtime/systemd"
	"github.com/haplane/haplane/internal/topology"
)

// podLeftovers ends what containerd leaves running when it is stopped, and takes away what programs of
// a Kubernetes node set up in the kernel: rules of Services would send packets to where nobody is.
const podLeftovers = `export PATH=` + topology.BinDir + `:$PATH
if [ -S /run/containerd/containerd.sock ]; then
  for task in $(ctr -n k8s.io tasks list -q); do ctr -n k8s.io tasks delete --force "$task" >/dev/null 2>&1 || true; done
  for c in $(ctr -n k8s.io containers list -q); do ctr -n k8s.io containers delete "$c" >/dev/null 2>&1 || true; done
fi
kube-proxy --cleanup >/dev/null 2>&1 || true
for ns in $(ip netns list | cut -d' ' -f1); do case $ns in cni-*) ip netns delete "$ns";; esac; done
for link in cni0 flannel.1 flannel-v6.1; do ip link delete "$link" 2>/dev/null || true; done
for mount in $(awk '$2 ~ "^/var/lib/kubelet/" { print $2 }' /proc/mounts | sort -r); do umount "$mount" || true; done
rm -rf /var/lib/kubelet/pods ` + topology.CNIConfigDir + `/10-flannel.conflist`

// removeKubelet stops what makes a machine a Kubernetes node, kubelet first: it would start
// pods anew and register again.
func removeKubelet(ctx context.Context, r *Runner, s change.Step) error {
	m := r.Cluster.Machine(s.Node)
	if err := systemd.Stop(ctx, m, "kubelet", "kube-proxy", "flanneld"); err != nil {
		return err
	}
	if _, err := m.Run(ctx, machine.Cmd("sh", "-c", podLeftovers)); err != nil {
		return fmt.Errorf("take away what pods left: %w", err)
	}
	return systemd.Stop(ctx, m, "containerd")
}
