package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/component"
	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/image"
	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/kubeconfig"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/phase"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/provider/nspawn"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// Options are what a run needs besides the cluster.
type Options struct {
	Store  store.Store
	Cache  string         // folder of components and images, shared by all clusters
	Report func(Progress) // called from several goroutines; may be nil
	Log    *slog.Logger   // everything
	Output io.Writer      // what build tools print
}

// Progress is a phase's event; one without a State tells of a running phase what
// it did (Detail), what the user has to know of, or to do (Notice), what it does right now (Doing), or what is waited for (Wait).
type Progress struct {
	phase.Event
	Detail string
	Notice string
	Doing  string
	Wait   *Wait
}

// CacheDir is where components and images are kept: $HAPLANE_CACHE, by default
// haplane in the user's cache folder.
func CacheDir() (string, error) {
	if dir := os.Getenv("HAPLANE_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache folder: %w", err)
	}
	return filepath.Join(dir, "haplane"), nil
}

// An env is what the phases of one run share.
type env struct {
	Options
	cluster  *spec.Cluster
	topology *topology.Topology
	rows     []pki.Row
	// reach returns a machine by its name, once connect was called.
	reach func(string) machine.Machine
	done  []func() error

	kubernetes string            // its version; until the programs are there what is asked for, or nothing
	inPlace    map[string]string // digests of programs that an upgrade brought to machines, by path
	programs   []component.Program
	image      image.Image
	images     render.Images // container images that files name
	keys       pki.Bundle
	renew      map[string]string                   // certificates to be made anew, with the serials that they had when that was asked for
	keysOf     func([]pki.Row) (pki.Bundle, error) // in another phase of a rotation than the record has; nil: in that
	drops      bool                                // the old generation goes: what it has signed is ours, and nobody can tell any more
	ssh        store.SSHKeys
	rendered   map[string]render.Machine
	agent      fileset.Set // this program, for the nodes where it runs
	snapshots  render.Snapshots
	agentSum   string    // its digest
	executable string    // the file of it
	entrance   *entrance // of a load balancer that moves; nil of one that stays
	changes    []string  // what stop and down did, in words for the user
}

func newEnv(c *spec.Cluster, o Options) *env {
	if o.Report == nil {
		o.Report = func(Progress) {}
	}
	t := topology.New(c)
	return &env{Options: o, cluster: c, topology: t, rows: pki.Catalogue(t), kubernetes: c.Spec.KubernetesVersion}
}

func (e *env) close() {
	for _, done := range e.done {
		if err := done(); err != nil {
			e.Log.Warn("close", "err", err)
		}
	}
}

// access is the way to every part of the cluster.
func (e *env) access() *access.Cluster {
	c := &access.Cluster{Topology: e.topology, Keys: e.keys, Machine: func(node string) machine.Machine { return e.reach(node) }}
	if e.entrance != nil {
		c.Entrance = e.entrance.url
	}
	return c
}

func (e *env) machine(n topology.Node) machine.Machine { return e.reach(n.Name) }

func (e *env) provider() *nspawn.Provider {
	t := e.topology
	p := &nspawn.Provider{Cluster: t.Name, StateDir: e.Store.Machines(), Image: e.image.Root,
		Network: nspawn.Network{Prefixes: t.Machines, NAT: t.NAT}, Lingers: t.ShutdownDelay()}
	for _, n := range t.Nodes {
		p.Known = append(p.Known, nspawn.Machine{Name: n.Name, Addresses: n.Addresses})
	}
	if self, err := os.Executable(); err == nil { // for when the host boots
		p.StartCommand = []string{self, "start", "--cluster", t.Name}
		p.StartEnvironment = []string{"HAPLANE_HOME=" + filepath.Dir(e.Store.Dir), "HAPLANE_CACHE=" + e.Cache}
	}
	return p
}

// api returns a client of the API servers behind the load balancer, with all rights.
func (e *env) api() (*kubeapi.Client, error) { return e.access().API() }

func (e *env) kubeconfig(user, server, serverName string) kubeconfig.Config {
	return e.access().Kubeconfig(user, server, serverName)
}

// gather calls fn for all nodes at once; the error holds those of all, each with the node's name.
func gather[T any](ctx context.Context, nodes []topology.Node, fn func(context.Context, topology.Node) (T, error)) (map[string]T, error) {
	results, errs := make([]T, len(nodes)), make([]error, len(nodes))
	var wg sync.WaitGroup
	for i, n := range nodes {
		wg.Go(func() {
			var err error
			if results[i], err = fn(ctx, n); err != nil {
				errs[i] = fmt.Errorf("%s: %w", n.Name, err)
			}
		})
	}
	wg.Wait()
	out := map[string]T{}
	for i, n := range nodes {
		out[n.Name] = results[i]
	}
	return out, errors.Join(errs...)
}
