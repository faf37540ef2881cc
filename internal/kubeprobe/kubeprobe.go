// Package kubeprobe has the lanes in which a Kubernetes control plane is measured:
// what package probe sends. All that they write is in kube-system, carries
// Label, and is removed when they end.
package kubeprobe

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/haplane/haplane/internal/probe"
)

// Names of lanes; a direct one is named DirectPrefix and the node.
const (
	LBNew        = "lb-new"     // reads through the load balancer, each on a new connection
	LBReused     = "lb-reused"  // reads through the load balancer, on one HTTP/2 connection
	Direct       = "direct"     // reads straight from each API server
	Write        = "write"      // writes through the load balancer
	Watch        = "watch"      // a watch of these writes, through the load balancer
	InCluster    = "in-cluster" // from a pod through the kubernetes Service
	Worker       = "worker"     // from a worker machine itself through the kubernetes Service
	DirectPrefix = Direct + "-"
)

// Kinds are the kinds of lanes, in the order in which they are shown.
var Kinds = []string{LBNew, LBReused, Direct, Write, Watch, InCluster, Worker}

const (
	// Namespace has what lanes write.
	Namespace = "kube-system"
	// Label is on all that lanes write; its value is the run's name.
	Label = "haplane.local/probe"
	// ServerName verifies an API server that is asked by its own address.
	ServerName = "kubernetes.default"
)

// A Target is a cluster to measure.
type Target struct {
	config *rest.Config
	run    string // names what this run writes
	// Servers are the URLs of API servers by the names of their nodes.
	Servers map[string]string
	// Node runs the pods of InCluster and Worker. If empty, it is a worker node that
	// has their image, else any node that has it.
	Node string
}

// NewTarget is the cluster of a kubeconfig's current context, which leads through
// the load balancer.
func NewTarget(kubeconfig []byte, servers map[string]string) (*Target, error) {
	config, err := clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	return ForConfig(config, servers), nil
}

// ForConfig is the cluster that config leads to through the load balancer.
func ForConfig(config *rest.Config, servers map[string]string) *Target {
	config = rest.CopyConfig(config)
	config.UserAgent = "haplane-probe"
	config.QPS = -1                                      // the schedule is the limit
	config.WarningHandlerWithContext = rest.NoWarnings{} // standard error is the view's
	return &Target{config: config, run: strings.ToLower(rand.Text()[:8]), Servers: servers}
}

// Through has the lanes through the load balancer connect by dial: to one that moves. What is
// served there is verified under the name that any API server has.
func (t *Target) Through(dial func(ctx context.Context, network, address string) (net.Conn, error)) {
	t.config.Dial, t.config.ServerName = dial, ServerName
}

// Lanes returns the lanes of the kinds. InCluster and Worker take some seconds to start.
func (t *Target) Lanes(kinds ...string) ([]probe.Lane, error) {
	var out []probe.Lane
	for _, kind := range kinds {
		lanes, err := t.lanes(kind)
		if err != nil {
			return nil, fmt.Errorf("make lane %s: %w", kind, err)
		}
		out = append(out, lanes...)
	}
	return out, nil
}

func (t *Target) lanes(kind string) ([]probe.Lane, error) {
	switch kind {
	case LBNew:
		return one(t.reads(LBNew, newConnections))
	case LBReused:
		return one(t.reads(LBReused, reusedConnection))
	case Direct:
		var out []probe.Lane
		for _, node := range slices.Sorted(maps.Keys(t.Servers)) {
			lane, err := t.Direct(node, t.Servers[node])
			if err != nil {
				return nil, err
			}
			out = append(out, lane)
		}
		return out, nil
	case Write:
		return one(t.writes())
	case Watch:
		return one(t.watches())
	case InCluster, Worker:
		client, err := kubernetes.NewForConfig(t.config)
		if err != nil {
			return nil, err
		}
		return []probe.Lane{{Name: kind, Remote: &pod{client: client, run: t.run, kind: kind, node: t.Node, read: readLog(client)}}}, nil
	}
	return nil, fmt.Errorf("there is no such lane; there are %s", strings.Join(Kinds, ", "))
}

func one(lane probe.Lane, err error) ([]probe.Lane, error) { return []probe.Lane{lane}, err }

// Direct is the lane straight to the API server of a node.
func (t *Target) Direct(node, server string) (probe.Lane, error) {
	straight := rest.CopyConfig(t.config)
	straight.Host, straight.ServerName, straight.Dial = server, ServerName, dialWatched
	d := &Target{config: straight}
	return d.reads(DirectPrefix+node, watchedConnection)
}
