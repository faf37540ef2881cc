// Package collect looks at a cluster and brings back evidence: over SSH, by its API,
// from a folder of files, and by asking its API servers. It changes nothing, and
// never reads the content of a private key.
package collect

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/client-go/rest"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/xray"
	"github.com/haplane/haplane/internal/xray/evidence"
)

// Options say where to look: each way that is given is taken.
type Options struct {
	Machines    []machine.Machine
	Kubeconfig  *Kubeconfig
	Folders     []string
	Expectation xray.Expectation
	Timeout     time.Duration // for each source
}

// Collect looks at everything, as far as possible at once. What could not be looked
// at is Missing in the evidence. Folders are looked at offline: where they are all
// there is, nothing is asked over the network.
func Collect(ctx context.Context, o Options) *evidence.Evidence {
	e := &evidence.Evidence{At: time.Now(), Missing: []evidence.Missing{}}
	var config *rest.Config
	var early []evidence.Server
	var live, copies []*evidence.Machine
	var missing [3][]evidence.Missing
	var group sync.WaitGroup
	if len(o.Machines) > 0 {
		e.Ways = append(e.Ways, evidence.Machines)
		group.Go(func() { live, missing[0] = Machines(ctx, o.Machines, o.Timeout, o.Kubeconfig != nil) })
	}
	if o.Kubeconfig != nil {
		e.Ways = append(e.Ways, evidence.API)
		group.Go(func() { config, e.API, early, missing[1] = byKubeconfig(ctx, o) })
	}
	if len(o.Folders) > 0 {
		e.Ways = append(e.Ways, evidence.Folder)
		group.Go(func() { copies, missing[2] = folders(o.Folders) })
	}
	group.Wait()
	e.Machines = Merge(live, copies)
	if e.API != nil {
		e.Machines = Merge(e.Machines, PodMachines(e.API))
	}
	for _, m := range missing {
		e.Missing = append(e.Missing, m...)
	}
	if config == nil && len(o.Machines) > 0 {
		config = handshakesOnly(e.Machines)
	}
	if config != nil {
		scene := xray.NewScene(e, o.Expectation)
		e.Servers = Servers(ctx, config, scene.Endpoint, apiServers(scene), o.Timeout, early...)
		takeVersions(scene)
	}
	return e
}

// folders are the machines of all folders. Which of two copies of a machine is true nobody
// knows: the later one is left out, and said to be.
func folders(dirs []string) ([]*evidence.Machine, []evidence.Missing) {
	var out []*evidence.Machine
	var missing []evidence.Missing
	found := map[string]string{}
	for _, dir := range dirs {
		machines, lost := Folder(dir)
		missing = append(missing, lost...)
		for _, m := range machines {
			if other, ok := found[m.Name]; ok {
				missing = append(missing, evidence.Missing{Way: evidence.Folder, Source: filepath.Join(dir, m.Name),
					Err: fmt.Sprintf("machine %s is in %s, too, and this copy was not looked at", m.Name, other),
					Fix: "Give each machine a folder of its own, whose name is the machine's."})
				continue
			}
			found[m.Name] = dir
			out = append(out, m)
		}
	}
	return out, missing
}

// patience is how long the servers wait for the API, over whose connections some can be
// asked, too.
const patience = time.Second

// byKubeconfig asks the API, then the servers that it and the cluster file tell of, while
// machines are still looked at. The servers that are known without a slow API are asked
// beside it: a load balancer that hangs takes its time once.
func byKubeconfig(ctx context.Context, o Options) (*rest.Config, *evidence.Cluster, []evidence.Server, []evidence.Missing) {
	config, name, wrong := o.Kubeconfig.Config()
	if wrong != nil {
		return nil, nil, nil, []evidence.Missing{*wrong}
	}
	var known []evidence.Server
	var group sync.WaitGroup
	done := make(chan struct{})
	group.Go(func() {
		select {
		case <-done:
		case <-time.After(patience):
			known = told(ctx, config, &evidence.Cluster{Server: config.Host, Context: name}, o, nil)
		}
	})
	cluster, missing := API(ctx, config, name, o.Timeout)
	close(done)
	group.Wait()
	return config, cluster, told(ctx, config, cluster, o, known), missing
}

// told asks the servers that API and cluster file tell of, but for those asked already.
func told(ctx context.Context, config *rest.Config, api *evidence.Cluster, o Options, asked []evidence.Server) []evidence.Server {
	scene := xray.NewScene(&evidence.Evidence{API: api, Machines: PodMachines(api)}, o.Expectation)
	return Servers(ctx, config, scene.Endpoint, apiServers(scene), o.Timeout, asked...)
}
