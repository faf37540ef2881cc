package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/flannel-io/flannel/pkg/backend"
	_ "github.com/flannel-io/flannel/pkg/backend/hostgw" // backends register themselves
	_ "github.com/flannel-io/flannel/pkg/backend/vxlan"
	"github.com/flannel-io/flannel/pkg/ipmatch"
	"github.com/flannel-io/flannel/pkg/subnet"
	"github.com/flannel-io/flannel/pkg/subnet/kube"
	log "k8s.io/klog/v2"
)

// annotationPrefix is where upstream keeps a node's lease, so that other
// flannel daemons and tools understand ours.
const annotationPrefix = "flannel.alpha.coreos.com"

const settleTime = 3 * time.Second

// runSession acquires this node's lease, sets the network up and keeps it
// right until ctx ends or the lease no longer holds. What it started ends before it returns.
func runSession(ctx context.Context, o options, health *health) error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer settle(&wg)
	defer cancel()

	me, err := newSelf(o)
	if err != nil {
		return err
	}
	node, err := me.wait(ctx)
	if err != nil {
		return err
	}
	manager, err := kube.NewSubnetManager(ctx, "", o.kubeconfig, annotationPrefix, o.netConfig, true)
	if err != nil {
		return err
	}
	config, err := manager.GetNetworkConfig(ctx)
	if err != nil {
		return err
	}
	if err := checkConfig(config); err != nil {
		return err
	}
	network, err := register(ctx, &wg, o, manager, config)
	if err != nil {
		return err
	}
	if err := setUpTraffic(ctx, o, config, network); err != nil {
		return err
	}
	if err := writeFiles(o, manager, config, network); err != nil {
		return err
	}
	wg.Go(func() { network.Run(ctx) })
	wg.Go(func() { complete(ctx, &wg, manager, network) })
	health.ready.Store(true)
	log.InfoS("pods have a network", "subnet", network.Lease().Subnet, "mtu", network.MTU(), "backend", config.BackendType)
	return me.guard(ctx, node)
}

// settle waits for the goroutines, but not for ever: flannel's backends can
// block on a channel that nobody reads any more when they are told to stop.
func settle(wg *sync.WaitGroup) {
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(settleTime):
		log.InfoS("some of flannel's goroutines did not end", "after", settleTime)
	}
}

func checkConfig(config *subnet.Config) error {
	if config.Network.Empty() && config.IPv6Network.Empty() {
		return errors.New("the network configuration has no Network")
	}
	return subnet.CheckNetworkConfig(config)
}

// register makes the backend's devices and acquires the lease.
func register(ctx context.Context, wg *sync.WaitGroup, o options, manager subnet.Manager, config *subnet.Config) (backend.Network, error) {
	stack, err := ipmatch.GetIPFamily(config.EnableIPv4, config.EnableIPv6)
	if err != nil {
		return nil, err
	}
	public := ipmatch.PublicIPOpts{PublicIPv6: o.ifaceIPv6}
	iface, err := ipmatch.LookupExtIface(cmp.Or(o.ifaceIP, o.ifaceIPv6), "", "", stack, public)
	if err != nil {
		return nil, fmt.Errorf("find the interface of %s: %w", cmp.Or(o.ifaceIP, o.ifaceIPv6), err)
	}
	be, err := backend.NewManager(ctx, manager, iface).GetBackend(config.BackendType)
	if err != nil {
		return nil, err
	}
	network, err := be.RegisterNetwork(ctx, wg, config)
	if err != nil {
		return nil, fmt.Errorf("register network: %w", err)
	}
	return network, nil
}

// complete tells the cluster that the node's network is up. The API server may
// be away at that very moment, and nobody else would say it.
func complete(ctx context.Context, wg *sync.WaitGroup, manager subnet.Manager, network backend.Network) {
	for {
		err := manager.CompleteLease(ctx, network.Lease(), wg)
		if err == nil || ctx.Err() != nil {
			return
		}
		log.ErrorS(err, "cannot set the node's NetworkUnavailable condition, trying again")
		select {
		case <-ctx.Done():
		case <-time.After(retryDelay):
		}
	}
}
