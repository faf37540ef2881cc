package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/haplane/haplane/internal/component"
	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/image"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/machine/ssh"
	"github.com/haplane/haplane/internal/provider/nspawn"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

func buildComponents(ctx context.Context, e *env) error {
	o, err := e.componentOptions()
	if err != nil {
		return err
	}
	e.programs, err = component.Build(ctx, o)
	return err
}

// componentOptions says where the programs come from: the cluster file may bring its own.
func (e *env) componentOptions() (component.Options, error) {
	source, err := component.SourceDir()
	if err != nil {
		return component.Options{}, err
	}
	o := component.Options{Source: source, Cache: e.Cache, Log: e.Output,
		Report: func(ev component.Event) {
			if ev.State != component.Cached {
				e.detail("build-components", "%s", ev)
			}
		}}
	if e.cluster != nil {
		c := e.cluster.Spec.Components
		o.Ready = component.Ready{Dir: c.Dir, URL: c.URL, SHA256: c.SHA256, KubernetesVersion: e.cluster.Spec.KubernetesVersion}
	}
	return o, nil
}

func buildImage(ctx context.Context, e *env) error {
	var err error
	e.image, err = image.Build(ctx, image.Options{Cache: e.Cache, Programs: e.programs, Log: e.Output,
		Report: func(ev image.Event) {
			if !ev.Cached {
				e.detail("build-image", "%s made in %.1fs", ev.Stage, ev.Elapsed.Seconds())
			}
		}})
	e.images = e.builtImages()
	return err
}

// builtImages names the container images that an image built of the programs has.
func (e *env) builtImages() render.Images {
	return render.Images{Pause: e.imageRef("pause"), CoreDNS: e.imageRef("coredns")}
}

// makeKeys makes everything of the machines that can be made without them: what
// is missing of keys and certificates, and then every file.
func makeKeys(_ context.Context, e *env) error {
	now := time.Now()
	plan, err := e.completeKeys(now)
	if err != nil {
		return err
	}
	if err := e.saveKeys(plan); err != nil {
		return err
	}
	for _, warning := range certificateWarnings(e.rows, e.keys, now) {
		e.detail("make-keys", "warning: %s", warning)
	}
	hosts, err := e.Store.Hosts(e.topology)
	if err != nil {
		return err
	}
	if e.ssh, err = e.Store.PrepareSSH(hosts); err != nil {
		return err
	}
	save := func() error { return e.Store.SaveCluster(e.cluster) }
	if e.text != nil {
		save = func() error { return e.Store.SaveClusterText(e.text) }
	}
	if err := errors.Join(e.recordWanted(), save()); err != nil {
		return err
	}
	return e.render()
}

// render makes every file of every machine, in memory.
func (e *env) render() error {
	if e.topology.OwnsEndpoints() {
		if err := e.addAgent(); err != nil {
			return err
		}
	}
	e.rendered = render.Render(e.input())
	return nil
}

func (e *env) input() render.Input {
	in := render.Input{Topology: e.topology, Keys: e.keys, Platforms: map[string]render.Platform{},
		Programs: map[string]string{render.AgentBinary: e.agentSum}, Images: e.images}
	for _, n := range e.topology.Nodes {
		in.Platforms[n.Name] = platform()
	}
	return in
}

// platform is what every local machine is like.
func platform() render.Platform { return render.Platform{Container: true, CgroupV1: cgroupV1()} }

// cgroupV1 reports whether this host, whose kernel local machines share, lacks
// the unified hierarchy at its usual place.
func cgroupV1() bool {
	_, err := os.Stat("/sys/fs/cgroup/cgroup.controllers")
	return err != nil
}

// imageRef is the container image of one of the components' programs.
func (e *env) imageRef(program string) string {
	for _, p := range e.programs {
		if p.Name == program {
			return image.ImageRef(program, p.Version)
		}
	}
	panic("cluster: no program " + program) // the table of components lacks it
}

// addAgent puts this very program on the control-plane nodes, as haplane agent.
func (e *env) addAgent() error {
	file, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read own program: %w", err)
	}
	e.executable = file
	agent := fileset.File{Path: render.AgentBinary, Mode: 0o755, Data: data}
	agent.Digest = agent.Sum()
	e.agent, e.agentSum = fileset.New(agent), agent.Digest
	return nil
}

// connect opens the way to the machines; the connections come with the first command.
func (e *env) connect() error {
	if e.reach != nil {
		return nil
	}
	client, err := ssh.New(e.Store.SSHConfig(), e.Log)
	if err != nil {
		return err
	}
	e.reach = func(name string) machine.Machine { return client.Machine(name) }
	e.done = append(e.done, client.Close)
	return nil
}

func nspawnMachines(e *env) []nspawn.Machine {
	var out []nspawn.Machine
	for _, n := range e.topology.Nodes {
		out = append(out, e.nspawnMachine(n))
	}
	return out
}

func (e *env) nspawnMachine(n topology.Node) nspawn.Machine {
	m := nspawn.Machine{Name: n.Name, Addresses: n.Addresses,
		HostKey: e.ssh.HostKeys[n.Name], AuthorizedKey: e.ssh.AuthorizedKey, Image: e.image.Root}
	if n.Role == spec.RoleControlPlane && len(e.agent) > 0 {
		// It is large: to encrypt it for each machine takes longer than to boot them.
		m.Programs = map[string]string{render.AgentBinary: e.executable}
	}
	return m
}

func names(nodes []topology.Node) string {
	text := ""
	for i, n := range nodes {
		if i > 0 {
			text += ", "
		}
		text += n.Name
	}
	return text
}
