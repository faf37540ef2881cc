package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/haplane/haplane/internal/haproxyapi"
	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/look"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// Status is what is seen of a cluster right now. Its JSON is stable.
type Status struct {
	Cluster                    string            `json:"cluster"`
	Identity                   spec.Identity     `json:"identity"`
	Kubernetes                 string            `json:"kubernetes"` // the version that it has, or is on its way to; "" where that is not known
	Endpoint                   string            `json:"endpoint"`
	EndpointReady              bool              `json:"endpointReady"`
	Nodes                      []NodeStatus      `json:"nodes"`
	APIServers                 []APIServerStatus `json:"apiServers"`
	Etcd                       EtcdStatus        `json:"etcd"`
	Leaders                    map[string]string `json:"leaders"`
	KubernetesServiceEndpoints []string          `json:"kubernetesServiceEndpoints"`
	LoadBalancers              []LBStatus        `json:"loadBalancers"`
	// Warnings are about what is allowed and not wise, such as an even number of etcd members, and
	// about what is right still, and will not be: certificates that end soon.
	Warnings []string `json:"warnings"`
	// Change is one that is under way or was cut off; nil where there is none.
	Change *ChangeStatus `json:"change,omitempty"`
	// Rotation is one of an authority or a key that has not ended; nil where there is none.
	Rotation *RotationStatus `json:"rotation,omitempty"`
	// Lock is the lock on the machines; nil where nobody has it.
	Lock *LockStatus `json:"lock,omitempty"`
	// Errors are what could not be looked at, and why.
	Errors []string `json:"errors"`
}

// ChangeStatus is a change of the cluster that is under way, or was cut off.
type ChangeStatus struct {
	Command string    `json:"command"`
	Started time.Time `json:"started"`
	Holder  string    `json:"holder"`          // user@host pid N
	Running bool      `json:"running"`         // by a process of this host that has the lock; else it was cut off
	Steps   int       `json:"steps"`           // that are done
	Last    string    `json:"last,omitempty"`  // the step that was begun last
	Error   string    `json:"error,omitempty"` // why it stopped
	// BringUp says that it is the first one, and the cluster was never whole.
	BringUp bool `json:"bringUp,omitempty"`
	// Upgrade says between which versions of Kubernetes; absent where it leads to none.
	Upgrade string `json:"upgrade,omitempty"`
}

// NodeStatus is a machine of the cluster. Ready is what Kubernetes says of a node
// with a kubelet; of a load balancer, that it answers.
type NodeStatus struct {
	Name    string    `json:"name"`
	Role    spec.Role `json:"role"`
	Address string    `json:"address"`
	Ready   bool      `json:"ready"`
	Reason  string    `json:"reason,omitempty"`
}

// APIServerStatus is what one API server says on /readyz, past the load balancer.
type APIServerStatus struct {
	Node  string `json:"node"`
	Ready bool   `json:"ready"`
	Error string `json:"error,omitempty"`
}

// EtcdStatus holds the members, as the members see themselves.
type EtcdStatus struct {
	Members []MemberStatus `json:"members"`
}

// MemberStatus is one etcd member.
type MemberStatus struct {
	Name    string `json:"name"`
	Leader  bool   `json:"leader"`
	Learner bool   `json:"learner"`
	Healthy bool   `json:"healthy"`
	Error   string `json:"error,omitempty"`
}

// LBStatus is one load balancer with what it thinks of its backends.
type LBStatus struct {
	Node string `json:"node"` // "" of one that is somebody else's
	// External says that it is somebody else's: backends are up to which a new connection led just now.
	External bool `json:"external,omitempty"`
	// HoldsAddress says that clients reach the API through this one right now.
	HoldsAddress bool `json:"holdsAddress"`
	// Local says that it is a worker's own: it and its pods reach the API through this one, and nobody else does.
	Local    bool            `json:"local,omitempty"`
	Error    string          `json:"error,omitempty"` // why nothing was seen of it, or not all
	Backends []BackendStatus `json:"backends"`
}

// BackendStatus is an API server as the load balancer sees it.
type BackendStatus struct {
	Node string `json:"node"`
	Up   bool   `json:"up"`
}

// Status looks at everything at once. What cannot be looked at is in Errors, and
// the rest is there.
func (h *Handle) Status(ctx context.Context) (*Status, error) {
	e := h.env
	if err := e.loadKeys(); err != nil {
		return nil, err
	}
	if err := e.connect(); err != nil {
		return nil, err
	}
	defer e.close()
	s := &Status{Cluster: e.topology.Name, Identity: e.topology.Identity, Endpoint: e.topology.APIEndpoint(),
		Leaders: map[string]string{}, KubernetesServiceEndpoints: []string{}, LoadBalancers: []LBStatus{},
		Warnings: append(certificateWarnings(e.rows, e.keys, time.Now()), spec.Warnings(e.cluster)...), Errors: []string{}}
	var err error
	if s.Change, err = e.changeStatus(); err != nil {
		return nil, err
	}
	s.Rotation = h.Rotation()
	if err := e.tellVersion(s); err != nil {
		return nil, err
	}
	c := &collector{env: e, status: s}
	var group sync.WaitGroup
	for _, look := range []func(context.Context) error{c.nodes, c.apiServers, c.etcd, c.leaders, c.endpoints, c.loadBalancers, c.lock, c.snapshots} {
		group.Go(func() {
			if err := bounded(ctx, look); err != nil {
				c.fail(err)
			}
		})
	}
	group.Wait()
	return s, ctx.Err()
}

// A collector fills in a status; each of its methods writes fields of its own.
type collector struct {
	env    *env
	status *Status
	mu     sync.Mutex // for Errors and Warnings
}

func (c *collector) warn(warnings ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status.Warnings = append(c.status.Warnings, warnings...)
}

func (c *collector) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.status.Errors = append(c.status.Errors, err.Error())
}

func (c *collector) nodes(ctx context.Context) error {
	seen := map[string]NodeStatus{}
	client, err := c.env.api()
	if err != nil {
		return err
	}
	nodes, err := client.Nodes(ctx)
	for _, n := range nodes {
		status := NodeStatus{Ready: n.Ready}
		if !n.Ready {
			status.Reason = n.Reason
		}
		seen[n.Name] = status
	}
	c.status.EndpointReady = err == nil
	c.warn(cordonWarnings(nodes, c.status.Change != nil)...)
	for _, n := range c.env.topology.Nodes {
		status, ok := seen[n.Name]
		switch {
		case !c.env.topology.RunsKubelet(n):
			status.Ready = c.status.EndpointReady
		case err != nil:
			status.Reason = "unknown"
		case !ok:
			status.Reason = "not registered"
		}
		status.Name, status.Role, status.Address = n.Name, n.Role, n.Address.String()
		c.status.Nodes = append(c.status.Nodes, status)
	}
	if err != nil {
		return fmt.Errorf("list nodes: %w", err)
	}
	return nil
}

// cordonWarnings name the nodes that haplane cordoned to drain them, and that no change will uncordon.
func cordonWarnings(nodes []kubeapi.Node, changing bool) []string {
	var out []string
	for _, n := range nodes {
		switch {
		case n.DrainedUnnoted:
			out = append(out, fmt.Sprintf("an older haplane cordoned %s, and did not note whether for a drain: kubectl uncordon %s, unless it is wanted so", n.Name, n.Name))
		case n.Drained && !changing:
			out = append(out, fmt.Sprintf("haplane cordoned %s to drain it, and no change is under way that would uncordon it: kubectl uncordon %s, unless it is wanted so", n.Name, n.Name))
		}
	}
	return out
}

func (c *collector) apiServers(ctx context.Context) error {
	nodes := c.env.topology.ControlPlane()
	seen, _ := gather(ctx, nodes, func(ctx context.Context, n topology.Node) (string, error) {
		if err := c.env.access().Ready(ctx, n); err != nil {
			return err.Error(), nil
		}
		return "", nil
	})
	for _, n := range nodes {
		c.status.APIServers = append(c.status.APIServers, APIServerStatus{Node: n.Name, Ready: seen[n.Name] == "", Error: seen[n.Name]})
	}
	return nil
}

func (c *collector) etcd(ctx context.Context) error {
	c.status.Etcd.Members = []MemberStatus{}
	seen := look.Etcd(ctx, c.env.access(), c.env.etcdNodes())
	for _, m := range seen.Members {
		c.status.Etcd.Members = append(c.status.Etcd.Members, MemberStatus{Name: m.Name, Leader: m.Leader,
			Learner: m.Learner, Healthy: m.Healthy, Error: m.Error})
	}
	c.warn(alarmWarnings(seen, c.env.topology.Name)...)
	switch {
	case !seen.Seen:
		return fmt.Errorf("ask etcd: %s", seen.Error)
	case !seen.Quorum:
		v := seen.Voting()
		return fmt.Errorf("etcd has no quorum: %d of %d voters are healthy, %d needed; the members are those that it remembers",
			v.Healthy(), v.Voters(), v.Quorum())
	}
	return nil
}

func (c *collector) leaders(ctx context.Context) error {
	client, err := c.env.api()
	if err != nil {
		return err
	}
	leases, err := client.LeaderLeases(ctx)
	for name, lease := range leases {
		c.status.Leaders[name] = lease.Holder
	}
	if err != nil {
		return fmt.Errorf("read leader leases: %w", err)
	}
	return nil
}

func (c *collector) endpoints(ctx context.Context) error {
	client, err := c.env.api()
	if err != nil {
		return err
	}
	endpoints, err := client.KubernetesEndpoints(ctx)
	if err != nil {
		return fmt.Errorf("read endpoints of default/kubernetes: %w", err)
	}
	c.status.KubernetesServiceEndpoints = append(c.status.KubernetesServiceEndpoints, endpoints...)
	return nil
}

// snapshots sees whether machines take them on the schedule.
func (c *collector) snapshots(ctx context.Context) error {
	t := c.env.topology
	if !t.Snapshots.Scheduled() {
		return nil
	}
	seen, err := c.env.keptOnMachines(ctx)
	c.warn(snapshotWarnings(t.Snapshots, t.EtcdMembers(), seen, time.Now())...)
	return err
}

func (c *collector) loadBalancers(ctx context.Context) error {
	t := c.env.topology
	var external error
	if t.ExternalBalancer() {
		external = c.outside(ctx)
	}
	nodes := slices.Concat(t.LoadBalancers(), t.LocalBalancers())
	seen, err := gather(ctx, nodes, func(ctx context.Context, n topology.Node) (observed.Balancer, error) {
		return c.env.balancer(ctx, n)
	})
	for _, n := range nodes {
		lb := LBStatus{Node: n.Name, HoldsAddress: seen[n.Name].Address.Held, Local: t.BalancesLocally(n), Error: seen[n.Name].Error, Backends: []BackendStatus{}}
		for _, cp := range t.ControlPlane() {
			lb.Backends = append(lb.Backends, BackendStatus{Node: cp.Name, Up: seen[n.Name].Servers[cp.Name]})
		}
		c.status.LoadBalancers = append(c.status.LoadBalancers, lb)
	}
	if warning := holders(t, c.status.LoadBalancers); warning != "" {
		c.warn(warning)
	}
	if err != nil {
		err = fmt.Errorf("ask load balancer: %w", err)
	}
	return errors.Join(external, err)
}

// holders warns where not just one load balancer has the address that they move; "" where one has it, or nobody knows.
func holders(t *topology.Topology, seen []LBStatus) string {
	var have []string
	for _, lb := range seen {
		if lb.Local {
			continue
		}
		if lb.HoldsAddress {
			have = append(have, lb.Node)
		} else if lb.Error != "" {
			return ""
		}
	}
	if !t.Virtual || len(have) == 1 {
		return ""
	}
	return fmt.Sprintf("%s have %s, which just one load balancer should", cmp.Or(strings.Join(have, ", "), "none of the load balancers"), t.LoadBalancer.Addr())
}

// balancer asks a load balancer which of its servers are up, and its machine whether it has the address
// that clients use.
func (e *env) balancer(ctx context.Context, n topology.Node) (observed.Balancer, error) {
	seen := look.Balancer(ctx, haproxyapi.New(haproxyapi.OnMachine(e.machine(n))))
	var errs []error
	if !seen.Seen {
		errs = append(errs, errors.New(seen.Error))
	}
	if e.topology.BalancesLocally(n) { // it has none of the addresses
		return seen, errors.Join(errs...)
	}
	var err error
	if seen.Address, err = look.Address(ctx, e.machine(n), e.topology.LoadBalancer.Addr()); err != nil {
		seen.Error = cmp.Or(seen.Error, err.Error())
		errs = append(errs, err)
	}
	return seen, errors.Join(errs...)
}
