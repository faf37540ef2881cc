package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/machine/ssh"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/internal/view"
	"github.com/haplane/haplane/internal/xray"
	"github.com/haplane/haplane/internal/xray/collect"
	"github.com/haplane/haplane/spec"
)

// look collects the evidence by all ways that are given, and judges it.
func (x *xrayRun) look(ctx context.Context) (xray.Report, error) {
	start := time.Now()
	o, done, err := x.connect()
	if err != nil {
		return xray.Report{}, err
	}
	defer done()
	if !x.quiet {
		defer view.Late(x.Err, 2*time.Second, fmt.Sprintf("… still looking; each source has %s", x.timeout))()
	}
	evidence := collect.Collect(ctx, o)
	if err := ctx.Err(); err != nil {
		return xray.Report{}, err
	}
	report := xray.Evaluate(evidence, xray.Options{Expectation: o.Expectation, Only: x.selected(), Skip: x.skip})
	report.At, report.Took = report.At.UTC(), time.Since(start).Round(time.Millisecond).String()
	return report, nil
}

// selected are the checks of --only, and those that say what could not be looked at:
// a check that saw nothing for that reason must not look like one that has passed.
func (x *xrayRun) selected() []string {
	if len(x.only) == 0 {
		return nil
	}
	out := slices.Clone(x.only)
	for _, c := range xray.Catalogue() {
		if c.Subject == xray.Looking {
			out = append(out, c.ID)
		}
	}
	return out
}

// A host is a machine by its name, and as what ssh reaches it.
type host struct{ name, destination string }

// hostOf is the name of a machine that ssh reaches as HOST or USER@HOST.
func hostOf(destination string) string { return destination[strings.LastIndex(destination, "@")+1:] }

// collectOptions are what the flags say on their own.
func (x *xrayRun) collectOptions() collect.Options {
	o := collect.Options{Folders: x.dirs, Timeout: x.timeout, Expectation: xray.Expectation{Identity: spec.Identity(x.expect), Cluster: x.expected}}
	if x.api != nil {
		o.Kubeconfig = x.api
	}
	return o
}

// connect says where to look. done ends the connections.
func (x *xrayRun) connect() (o collect.Options, done func(), err error) {
	o = x.collectOptions()
	to, err := x.hosts(&o)
	if err != nil || len(to.hosts) == 0 {
		return o, func() {}, err
	}
	if err := ssh.Check(); err != nil {
		return o, nil, err
	}
	client, err := ssh.New(to.config, slog.New(slog.DiscardHandler))
	if err != nil {
		return o, nil, err
	}
	client.Sudo, client.Direct = !to.asRoot, true
	for _, h := range to.hosts {
		o.Machines = append(o.Machines, client.MachineAt(h.name, h.destination))
	}
	return o, func() { _ = client.Close() }, nil
}

// A reach is how machines are reached: with which ssh_config, and whether as root.
type reach struct {
	hosts  []host
	config string
	asRoot bool
}

// hosts are the machines to look into. Of a cluster that haplane made, they come with
// its API.
func (x *xrayRun) hosts(o *collect.Options) (reach, error) {
	switch {
	case len(x.machines) > 0:
		to := reach{config: x.sshConfig}
		for _, m := range x.machines {
			to.hosts = append(to.hosts, host{hostOf(m), m})
		}
		return to, nil
	case x.own:
		return x.made(o, x.cluster)
	case x.expected != nil && len(x.dirs) == 0:
		to, err := x.made(o, x.expected.Metadata.Name)
		if errors.Is(err, store.ErrNoCluster) || x.sshConfig != "" {
			return reach{hosts: byAddress(x.expected), config: x.sshConfig}, nil
		}
		return to, err
	}
	return reach{}, nil
}

// made opens a cluster that haplane made. What is expected of it is its file, unless
// another is given.
func (x *xrayRun) made(o *collect.Options, name string) (reach, error) {
	h, err := x.openNamed(name)
	if err != nil {
		return reach{}, err
	}
	if o.Expectation.Cluster == nil {
		if o.Expectation.Cluster, err = madeFrom(name); err != nil {
			return reach{}, err
		}
	}
	if o.Kubeconfig == nil {
		config, err := h.Kubeconfig("")
		if err != nil {
			return reach{}, err
		}
		data, err := config.Bytes()
		if err != nil {
			return reach{}, err
		}
		o.Kubeconfig = &collect.Kubeconfig{Content: data, Name: "the administrator's kubeconfig of cluster " + name}
	}
	to := reach{config: h.SSHConfig(), asRoot: true}
	for _, n := range topology.New(o.Expectation.Cluster).Nodes {
		to.hosts = append(to.hosts, host{n.Name, n.Name})
	}
	return to, nil
}

func (x *xrayRun) openNamed(name string) (*cluster.Handle, error) {
	x.cluster = name
	return x.open()
}

// byAddress are the machines of a cluster file.
func byAddress(c *spec.Cluster) []host {
	var out []host
	for _, n := range topology.New(c).Nodes {
		out = append(out, host{n.Name, n.Address.String()})
	}
	return out
}
