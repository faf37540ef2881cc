// Package kubeadm brings a cluster up upstream's way, for comparison: init on the
// first control-plane node, then the others join, one after another, with static
// pods. The machines, their image, the programs, containerd's configuration and
// the load balancer are haplane's, so that only the way differs.
package kubeadm

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/haplane/haplane/internal/image"
	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/machine/ssh"
	"github.com/haplane/haplane/internal/provider/nspawn"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// Options tell what cluster to bring up, and of what.
type Options struct {
	Topology *topology.Topology
	Rendered string      // what `haplane render` has written for it
	Image    image.Image // of the machines
	Archive  string      // of the container images, by WriteImages
	Machines string      // the provider's folder: `haplane down` of the cluster removes what is in it
	Dir      string      // for the keys that SSH needs
	HAProxy  []byte      // the load balancer's configuration; haplane's where it is nil
	Progress io.Writer
}

// A Step is one of the sequence, and how long it took.
type Step struct {
	Name string
	Took time.Duration
	// Counted is not set for what haplane need not do, because its machines come
	// with it: the import of Kubernetes and etcd as container images.
	Counted bool
}

// A sequence is what the steps share.
type sequence struct {
	Options
	provider *nspawn.Provider
	ssh      *ssh.Client
	api      *kubeapi.Client
	versions versions
}

type step struct {
	name    string
	counted bool
	run     func(context.Context) error
}

// steps follow upstream's guide for several control-plane nodes; the pod network
// comes after the first of them, as there.
func (s *sequence) steps() []step {
	all := []step{
		{"create-machines", true, s.createMachines},
		{"configure-machines", true, s.configureMachines},
		{"import-images", false, s.importImages},
	}
	for i, n := range s.Topology.ControlPlane() {
		if i == 0 {
			all = append(all, step{"init " + n.Name, true, func(ctx context.Context) error { return s.init(ctx, n) }},
				step{"apply-flannel", true, s.applyFlannel})
			continue
		}
		all = append(all, step{"join " + n.Name, true, func(ctx context.Context) error { return s.join(ctx, n) }})
	}
	for _, n := range s.Topology.Nodes {
		if n.Role == spec.RoleWorker {
			all = append(all, step{"join " + n.Name, true, func(ctx context.Context) error { return s.join(ctx, n) }})
		}
	}
	return append(all, step{"wait-for-nodes", true, s.waitForNodes}, step{"wait-for-dns", true, s.waitForDNS})
}

// stepTimeout bounds each step; kubeadm has bounds of its own within.
const stepTimeout = 5 * time.Minute

// Run runs the sequence. Machines are left to whoever called it, in error too.
func Run(ctx context.Context, o Options) ([]Step, error) {
	s, done, err := run(ctx, o)
	_ = s.close()
	return done, err
}

func run(ctx context.Context, o Options) (*sequence, []Step, error) {
	s := &sequence{Options: o}
	var err error
	if s.versions, err = readVersions(o.Image); err != nil {
		return s, nil, err
	}
	var done []Step
	for _, one := range s.steps() {
		fmt.Fprintf(o.Progress, "  kubeadm: %s\n", one.name)
		start := time.Now()
		bounded, cancel := context.WithTimeout(ctx, stepTimeout)
		err := one.run(bounded)
		cancel()
		if err != nil {
			return s, done, fmt.Errorf("kubeadm: %s: %w", one.name, err)
		}
		done = append(done, Step{Name: one.name, Took: time.Since(start), Counted: one.counted})
	}
	return s, done, nil
}

// close ends the connections to the machines.
func (s *sequence) close() error {
	if s.ssh == nil {
		return nil
	}
	return s.ssh.Close()
}
