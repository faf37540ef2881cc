package cluster

import (
	"context"
	"fmt"
	"maps"
	"os"

	"github.com/haplane/haplane/internal/component"
	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/image"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/machine/ssh"
	"github.com/haplane/haplane/internal/provider/nspawn"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/topology"
)

func buildComponents(ctx context.Context, e *env) error {
	o, err := e.componentOptions()
	if err != nil {
		return err
	}
	e.programs, err = component.Build(ctx, o)
	if err == nil {
		e.kubernetes = component.Version(e.programs, "kubelet")
	}
	return err
}

// componentOptions says where the programs come from: the cluster file may bring its own.
func (e *env) componentOptions() (component.Options, error) {
	source, err := component.SourceDir()
	if err != nil {
		return component.Options{}, err
	}
	o := component.Options{Source: source, Cache: e.Cache, Log: e.Output,
		Progress: func(p component.Progress) { e.doing("build-components", p.String()) },
		Report: func(ev component.Event) {
			if ev.State != component.Cached {
				e.detail("build-components", "%s", ev)
			}
		}}
	o.Ready.KubernetesVersion = e.kubernetes
	if e.cluster != nil {
		c := e.cluster.Spec.Components
		o.Ready.Dir, o.Ready.URL, o.Ready.SHA256 = c.Dir, c.URL, c.SHA256
	}
	return o, nil
}

func buildImage(ctx context.Context, e *env) error {
	var err error
	e.image, err = image.Build(ctx, image.Options{Cache: e.Cache, Programs: e.programs, Log: e.Output,
		Doing: func(text string) { e.doing("build-image", text) },
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

// manifests are what is applied to Kubernetes, in this order.
func (e *env) manifests() (out [][]byte) {
	for _, m := range e.namedManifests() {
		out = append(out, m.data)
	}
	return out
}

// A namedManifest is one with the file that haplane render writes it to.
type namedManifest struct {
	name string
	data []byte
}

func (e *env) namedManifests() []namedManifest {
	return []namedManifest{{"rbac.yaml", render.RBAC()}, {"coredns.yaml", render.CoreDNS(e.input())}, {"kubelets.yaml", render.KubeletNames(e.topology)}}
}

func (e *env) input() render.Input {
	in := render.Input{Topology: e.topology, Keys: e.keys, Platforms: map[string]render.Platform{},
		Programs: map[string]string{}, Images: e.images}
	maps.Copy(in.Programs, e.inPlace)
	in.Programs[render.AgentBinary] = e.agentSum
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

// addAgent puts this very program on the nodes where it runs, as haplane agent.
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
	if err := e.Store.MoveSSH(); err != nil {
		return err
	}
	client, err := ssh.New(e.Store.SSHConfig(), e.Log)
	if err != nil {
		return err
	}
	e.reach = func(name string) machine.Machine { return client.Machine(name) }
	e.done = append(e.done, client.Close)
	return nil
}

// disconnect closes the way to the machines; connect opens it again.
func (e *env) disconnect() {
	e.close()
	e.reach, e.done = nil, nil
}

func (e *env) nspawnMachine(n topology.Node) nspawn.Machine {
	m := nspawn.Machine{Name: n.Name, Addresses: n.Addresses,
		HostKey: e.ssh.HostKeys[n.Name], AuthorizedKey: e.ssh.AuthorizedKey, Image: e.image.Root}
	if e.topology.RunsAgent(n) && len(e.agent) > 0 {
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
