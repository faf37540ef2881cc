package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/flannel-io/flannel/pkg/backend"
	"github.com/flannel-io/flannel/pkg/ip"
	"github.com/flannel-io/flannel/pkg/subnet"
	"github.com/flannel-io/flannel/pkg/trafficmngr"
	"github.com/flannel-io/flannel/pkg/trafficmngr/iptables"
	"github.com/flannel-io/flannel/pkg/trafficmngr/nftables"
	log "k8s.io/klog/v2"
)

// resyncSeconds is how often rules are looked at and put back: as often as kube-proxy
// does. Upstream's 5 seconds are some ten calls of iptables each time, on every node
// for ever: a fifth of what a small idle cluster takes of the CPU.
const resyncSeconds = 30

// setUpTraffic masquerades what pods send out of the pod network and lets
// their traffic be forwarded.
func setUpTraffic(ctx context.Context, o options, config *subnet.Config, network backend.Network) error {
	if err := checkBridgeNetfilter(config); err != nil {
		return err
	}
	before := readSubnetFile(o.subnetFile)
	if len(before) > 0 {
		// The rules of the manager that is not used, from a configuration before. Since
		// the host booted there was none: looking is some ten processes at the worst time.
		if err := trafficManager(!config.EnableNFTables).CleanUp(ctx); err != nil {
			log.V(1).InfoS("cannot clean up the other kind of rules", "err", err)
		}
	}
	manager := trafficManager(config.EnableNFTables)
	if err := manager.Init(ctx); err != nil {
		return fmt.Errorf("set up traffic rules: %w", err)
	}
	err := manager.SetupAndEnsureMasqRules(ctx,
		config.Network, before.v4("FLANNEL_SUBNET"), before.v4("FLANNEL_NETWORK"),
		config.IPv6Network, before.v6("FLANNEL_IPV6_SUBNET"), before.v6("FLANNEL_IPV6_NETWORK"),
		network.Lease(), resyncSeconds, false)
	if err != nil {
		return fmt.Errorf("set up masquerading: %w", err)
	}
	if o.forwardRules {
		manager.SetupAndEnsureForwardRules(ctx, config.Network, config.IPv6Network, resyncSeconds)
	}
	return nil
}

func trafficManager(nft bool) trafficmngr.TrafficManager {
	if nft {
		return &nftables.NFTablesManager{}
	}
	return &iptables.IPTablesManager{}
}

// checkBridgeNetfilter fails where iptables would not see bridged packets:
// a Service whose endpoint is on the caller's own node would not answer.
func checkBridgeNetfilter(config *subnet.Config) error {
	const path = "/proc/sys/net/bridge/bridge-nf-call-iptables"
	if config.EnableNFTables {
		return nil
	}
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("kernel module br_netfilter is not loaded: %w", err)
	}
	return nil
}

// A subnetFile is the content of subnet.env as an earlier run wrote it.
type subnetFile map[string]string

func readSubnetFile(path string) subnetFile {
	values := subnetFile{}
	text, err := os.ReadFile(path)
	if err != nil {
		return values
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[key] = value
		}
	}
	return values
}

func (f subnetFile) v4(key string) ip.IP4Net {
	if _, n, err := net.ParseCIDR(f[key]); err == nil && n.IP.To4() != nil {
		return ip.FromIPNet(n)
	}
	return ip.IP4Net{}
}

func (f subnetFile) v6(key string) ip.IP6Net {
	if _, n, err := net.ParseCIDR(f[key]); err == nil && n.IP.To4() == nil {
		return ip.FromIP6Net(n)
	}
	return ip.IP6Net{IP: new(ip.IP6)}
}
