package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/flannel-io/flannel/pkg/backend"
	"github.com/flannel-io/flannel/pkg/subnet"
)

// ipamDir keeps host-local's record of addresses in use where a reboot clears
// it, because no pod's network namespace survives one.
const ipamDir = "/run/cni/ipam"

// object is a JSON object; encoding/json writes its keys sorted.
type object map[string]any

// writeFiles publishes the lease: subnet.env first, then the CNI configuration,
// whose appearance is what makes kubelet report the node ready.
func writeFiles(o options, manager subnet.Manager, config *subnet.Config, network backend.Network) error {
	l := network.Lease()
	if err := manager.HandleSubnetFile(o.subnetFile, config, true, l.Subnet, l.IPv6Subnet, network.MTU()); err != nil {
		return fmt.Errorf("write %s: %w", o.subnetFile, err)
	}
	var subnets []string
	if config.EnableIPv4 {
		subnets = append(subnets, l.Subnet.String())
	}
	if config.EnableIPv6 {
		subnets = append(subnets, l.IPv6Subnet.String())
	}
	text, err := json.MarshalIndent(cniConfig(subnets, network.MTU()), "", "  ")
	if err != nil {
		return err
	}
	return writeAtomic(o.cniConf, append(text, '\n'))
}

// cniConfig is the configuration that flannel's CNI plugin would make of
// subnet.env and hand to bridge and host-local. The bridge's address follows a
// lease that changed (forceAddress); masquerading is flanneld's own task. The
// default route is isDefaultGateway's: one more from ipam makes bridge fail.
func cniConfig(subnets []string, mtu int) object {
	var ranges []any
	for _, s := range subnets {
		ranges = append(ranges, []object{{"subnet": s}})
	}
	return object{
		"cniVersion": "1.0.0",
		"name":       "cbr0",
		"plugins": []object{
			{
				"type": "bridge", "bridge": "cni0", "mtu": mtu,
				"isDefaultGateway": true, "forceAddress": true, "hairpinMode": true, "ipMasq": false,
				"ipam": object{"type": "host-local", "dataDir": ipamDir, "ranges": ranges},
			},
			{"type": "portmap", "capabilities": object{"portMappings": true}},
		},
	}
}

func writeAtomic(path string, content []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// containerd reads *.conf, *.conflist and *.json only: a temporary name is not seen.
	temp, err := os.CreateTemp(dir, ".flannel-*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) //nolint:errcheck // gone after the rename
	_, err = temp.Write(content)
	if err == nil {
		err = temp.Chmod(0o600)
	}
	if err == nil {
		err = temp.Sync()
	}
	if closeErr := temp.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return os.Rename(temp.Name(), path)
}
