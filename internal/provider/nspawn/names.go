package nspawn

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// Everything that the provider makes on the host carries the cluster in its
// name, so that it is found again without any record. Cluster and machine are
// DNS labels: the dot between them belongs to neither.
const mark = "haplane"

// maxLinkName is IFNAMSIZ without its NUL.
const maxLinkName = 15

// maxAlias is IFALIASZ.
const maxAlias = 256

// BridgeName is the bridge of a cluster.
func BridgeName(cluster string) string {
	if name := "hp-" + cluster; len(name) <= maxLinkName {
		return name
	}
	return "hp-" + cluster[:5] + "-" + digest(cluster)[:6]
}

func (p *Provider) bridge() string { return BridgeName(p.Cluster) }

// anyBridge is every cluster's, for iptables.
const anyBridge = "hp-+"

// owner is the bridge's alias: a cluster of the same name in another state
// folder is somebody else's.
func (p *Provider) owner() string {
	owner := fmt.Sprintf("%s cluster %s in ", mark, p.Cluster)
	if len(owner)+len(p.StateDir) < maxAlias {
		return owner + p.StateDir
	}
	return owner + digest(p.StateDir)
}

// chain is the iptables chain of the cluster, within 28 characters.
func (p *Provider) chain() string { return mark + "-" + strings.TrimPrefix(p.bridge(), "hp-") }

// prefix starts the names of the cluster's network namespaces, units and mounts.
func (p *Provider) prefix() string { return mark + "." + p.Cluster + "." }

func (p *Provider) netns(machine string) string { return p.prefix() + machine }

func (p *Provider) veth(machine string) string {
	return "hv" + digest(p.Cluster, machine)[:12]
}

// container is the name that systemd-nspawn knows the machine by: at most 64
// characters, unlike the host name unique on the host.
func (p *Provider) container(machine string) string {
	if name := p.netns(machine); len(name) <= 64 {
		return name
	}
	return mark + "." + digest(p.Cluster, machine)[:32]
}

// unit is the systemd scope of a machine, on a host that runs systemd.
func (p *Provider) unit(machine string) string { return p.netns(machine) + ".scope" }

// service starts the machines when the host boots, on a host that runs systemd.
func (p *Provider) service() string { return p.prefix() + "service" }

// hardwareAddr is the same after each boot, so that neighbours need not relearn it.
func hardwareAddr(a netip.Addr) net.HardwareAddr {
	low := a.AsSlice()
	if !a.Is4() {
		sum := sha256.Sum256(low)
		low = sum[:4]
	}
	return append(net.HardwareAddr{0x02, 0x68}, low...)
}

func digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, ".")))
	return hex.EncodeToString(sum[:])
}
