package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"

	"github.com/haplane/haplane/internal/provider/nspawn"
)

// A Cluster is one with the default nodes in a network of its own.
type Cluster struct {
	*Rig
	Name    string
	Network netip.Prefix
}

// Cluster writes the cluster file of a cluster in 10.75.third.0/24. Its machines
// reach nobody but each other and this host.
func (r *Rig) Cluster(name string, third byte) (*Cluster, error) {
	c := &Cluster{Rig: r, Name: name, Network: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 75, third, 0}), 24)}
	text := fmt.Sprintf("apiVersion: haplane/v1alpha1\nkind: Cluster\nmetadata: {name: %s}\nspec:\n  network: {machineCIDR: %s, nat: false}\n",
		c.Name, c.Network)
	return c, os.WriteFile(c.File(), []byte(text), 0o644)
}

// File is the cluster file.
func (c *Cluster) File() string { return filepath.Join(c.Dir, c.Name+".yaml") }

// Store is where haplane keeps what it remembers of the cluster.
func (c *Cluster) Store() string { return filepath.Join(c.Home(), c.Name) }

// Provider has the power of the cluster's machines.
func (c *Cluster) Provider() *nspawn.Provider {
	return &nspawn.Provider{Cluster: c.Name, StateDir: filepath.Join(c.Store(), "machines"), Network: nspawn.Network{Prefixes: []netip.Prefix{c.Network}}}
}

// Up runs `haplane up`.
func (c *Cluster) Up(ctx context.Context) Result { return c.Run(ctx, c.UpArgs()...) }

// UpArgs are the arguments of Up.
func (c *Cluster) UpArgs() []string { return []string{"up", "-f", c.File()} }

// Down runs `haplane down`. Without the cluster's file there is no network to take
// down, and haplane must not guess one that is somebody else's: it then runs where
// it does not see the host's.
func (c *Cluster) Down(ctx context.Context) Result {
	cmd := c.Command(ctx, "down", "--cluster", c.Name, "--yes")
	if _, err := os.Stat(filepath.Join(c.Store(), "cluster.yaml")); err != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	}
	return Finish(cmd)
}

// SSH runs a line of shell on a node.
func (c *Cluster) SSH(ctx context.Context, node, line string) Result {
	return c.Run(ctx, "ssh", "--cluster", c.Name, node, line)
}

// Kubectl runs the cluster's kubectl.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) Result {
	return c.Run(ctx, append([]string{"kubectl", "--cluster", c.Name, "--"}, args...)...)
}

// Status runs `haplane status -o json`.
func (c *Cluster) Status(ctx context.Context) (Status, error) {
	result := c.Run(ctx, "status", "--cluster", c.Name, "-o", "json")
	if result.Code != 0 {
		return Status{}, fmt.Errorf("exit code %d\n%s", result.Code, result)
	}
	var s Status
	if err := json.Unmarshal([]byte(result.Stdout), &s); err != nil {
		return s, fmt.Errorf("read status: %w\n%s", err, result.Stdout)
	}
	return s, nil
}

// Status is what scripts may rely on in the output of `haplane status -o json`. It
// is written out here, not taken from haplane: a field that is renamed there is
// missed here.
type Status struct {
	Nodes []struct {
		Name, Role string
		Ready      *bool
	}
	APIServers []struct {
		Node  string
		Ready *bool
	} `json:"apiServers"`
	Etcd struct {
		Members []struct {
			Name                     string
			Leader, Learner, Healthy *bool
		}
	}
	Leaders                    map[string]string
	KubernetesServiceEndpoints []string       `json:"kubernetesServiceEndpoints"`
	LoadBalancers              []LoadBalancer `json:"loadBalancers"`
}

// A LoadBalancer is one in Status.
type LoadBalancer struct {
	Node         string
	HoldsAddress *bool `json:"holdsAddress"`
	Local        bool  // a worker's own
	Backends     []struct {
		Node string
		Up   *bool
	}
}
