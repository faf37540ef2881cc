package main

// What kubeadm's documented way costs, on the same machines and in the same lanes but those straight to API servers: all certificates
// renewed, with static pods restarted as "Certificate Management with kubeadm" has it, and the upgrade of "Upgrading kubeadm
// clusters", behind HAProxy as in kubeadm's "High Availability Considerations". Each round has a cluster of its own. By hand:
//
//	go run ./e2e/bench -only upkeep -samples upkeep.json -match '^kubeadm'

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/haplane/haplane/e2e/bench/balancers"
	"github.com/haplane/haplane/e2e/bench/kubeadm"
	"github.com/haplane/haplane/e2e/bench/lanes"
	"github.com/haplane/haplane/internal/kubeprobe"
	"github.com/haplane/haplane/internal/probe"
	"github.com/haplane/haplane/internal/topology"
)

const (
	kubeadmPrefix  = "kubeadm: "
	kubeadmRenew   = kubeadmPrefix + "renew all certificates, restart static pods"
	kubeadmUpgrade = kubeadmPrefix + "upgrade v1.36 to v1.37"
)

// afterwards is how long lanes go on after the last command, as those of haplane do.
const afterwards = time.Second

// An upstream is a cluster of kubeadm's, and how its API is reached.
type upstream struct {
	*kubeadm.Cluster
	config []byte // the administrator's kubeconfig
	host   string // of the API, through the load balancer
}

func kubeadmTasks(int) [][]task {
	renew := func(ctx context.Context, u *upkeep) (lanes.Sample, error) {
		return u.kubeadm.beside(ctx, u.options.rate, func(ctx context.Context, _ func(string)) error { return u.kubeadm.Renew(ctx) })
	}
	upgrade := func(ctx context.Context, u *upkeep) (lanes.Sample, error) {
		return u.kubeadm.beside(ctx, u.options.rate, u.kubeadm.Upgrade)
	}
	return [][]task{{{what: kubeadmRenew, run: renew}}, {{what: kubeadmUpgrade, run: upgrade}}} // in this order
}

// beginKubeadm brings a cluster of kubeadm's up, of the older minor. Its machines are where haplane would have them.
func beginKubeadm(ctx context.Context, u *upkeep) error {
	older, newer := filepath.Join(u.Dir, "kubeadm-older.tar"), filepath.Join(u.Dir, "kubeadm-newer.tar")
	if u.older.Root == "" {
		built, err := u.bench.buildImage(ctx, "--kubernetes", "v1.36")
		if err != nil {
			return err
		}
		if err := errors.Join(kubeadm.WriteImages(built, older), kubeadm.WriteImages(u.bench.image, newer)); err != nil {
			return err
		}
		u.older = built
	}
	o, err := u.bench.kubeadmOptions(ctx, u.Cluster, u.older, older)
	if err != nil {
		return err
	}
	var servers []balancers.Server
	for _, n := range o.Topology.ControlPlane() {
		servers = append(servers, balancers.Server{Name: n.Name, Address: netip.AddrPortFrom(n.Address, topology.APIServerPort)})
	}
	if o.HAProxy, err = balancers.Guide(fmt.Sprintf("*:%d", topology.APIServerPort), servers); err != nil {
		return err
	}
	c, err := kubeadm.Start(ctx, o, u.bench.image, newer)
	if err != nil {
		return err
	}
	u.kubeadm = &upstream{Cluster: c, host: "https://" + o.Topology.LoadBalancer.String()}
	if u.kubeadm.config, err = c.Kubeconfig(ctx); err != nil {
		return err
	}
	_, err = c.Kubectl(ctx, "create clusterrolebinding bench-reads --clusterrole=view --serviceaccount=kube-system:coredns")
	return err
}

// endKubeadm closes the connections to a cluster of kubeadm's.
func (u *upkeep) endKubeadm() {
	if u.kubeadm != nil {
		_ = u.kubeadm.Close()
	}
	u.kubeadm = nil
}

// beside measures in all lanes while somebody changes the cluster. That this goes wrong is part of what was measured.
func (c *upstream) beside(ctx context.Context, rate float64, change func(context.Context, func(string)) error) (lanes.Sample, error) {
	token, err := c.Kubectl(ctx, "--namespace kube-system create token coredns")
	if err != nil {
		return lanes.Sample{}, err
	}
	session, leaving, err := c.lanes(ctx, rate)
	if err != nil {
		return lanes.Sample{}, err
	}
	end, err := askWith(ctx, c.host, strings.TrimSpace(token), rate)
	if err != nil {
		session.Stop()
		return lanes.Sample{}, err
	}
	began := time.Now()
	wrong := change(ctx, leaving)
	sample := lanes.Sample{Seconds: time.Since(began).Seconds()}
	select {
	case <-ctx.Done():
	case <-time.After(afterwards):
	}
	sample.Measured = measured(session.Stop()).And(end())
	sample.Changing = sample.Seconds
	if wrong != nil {
		sample.Error = wrong.Error()
	}
	return sample, ctx.Err()
}

// lanes begins those that a change of haplane's has, but for the ones straight to API servers: nobody ends these before one stops.
// The second result ends those that run on a node.
func (c *upstream) lanes(ctx context.Context, rate float64) (*probe.Session, func(string), error) {
	target, err := kubeprobe.NewTarget(c.config, nil)
	if err != nil {
		return nil, nil, err
	}
	target.Node = "worker-1"
	near, err := target.Lanes(kubeprobe.LBNew, kubeprobe.LBReused, kubeprobe.Write, kubeprobe.Watch)
	if err != nil {
		return nil, nil, err
	}
	session, err := probe.Start(ctx, near, probe.Options{Rate: rate})
	if err != nil {
		return nil, nil, err
	}
	far := []string{kubeprobe.InCluster, kubeprobe.Worker}
	errs := make([]error, len(far))
	var group sync.WaitGroup
	for i, kind := range far {
		group.Go(func() {
			lane, err := target.Lanes(kind)
			if err == nil {
				err = session.Add(lane[0])
			}
			errs[i] = err
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		session.Stop()
		return nil, nil, err
	}
	return session, func(node string) {
		if node != target.Node {
			return
		}
		for _, kind := range far {
			_ = session.End(kind)
		}
	}, nil
}
