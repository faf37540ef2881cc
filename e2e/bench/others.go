package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/haplane/haplane/e2e/bench/floor"
	"github.com/haplane/haplane/e2e/bench/kubeadm"
	"github.com/haplane/haplane/e2e/rig"
	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/image"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// openImage returns the image that haplane makes machines from; it is built if need be.
func (b *bench) openImage(ctx context.Context) (err error) {
	b.image, err = b.buildImage(ctx)
	return err
}

func (b *bench) buildImage(ctx context.Context, args ...string) (image.Image, error) {
	built := b.rig.Run(ctx, append([]string{"image", "build"}, args...)...)
	if err := ok(built); err != nil {
		return image.Image{}, err
	}
	cache, err := cluster.CacheDir()
	if err != nil {
		return image.Image{}, err
	}
	fields := strings.Fields(built.Stdout) // image DIGEST in FOLDER
	if len(fields) < 2 {
		return image.Image{}, fmt.Errorf("find image in %q", built.Stdout)
	}
	return image.Open(cache, fields[1])
}

// render writes the files of a cluster's machines, which is not up, with new keys.
func (b *bench) render(ctx context.Context, c *rig.Cluster) (*topology.Topology, string, error) {
	data, err := os.ReadFile(c.File())
	if err != nil {
		return nil, "", err
	}
	parsed, err := spec.Parse(c.File(), data)
	if err != nil {
		return nil, "", err
	}
	dir := filepath.Join(b.rig.Dir, c.Name+"-files")
	if err := os.RemoveAll(dir); err != nil {
		return nil, "", err
	}
	return topology.New(parsed), dir, ok(c.Run(ctx, "render", "-f", c.File(), "-o", dir))
}

// measureFloor starts the processes of the same cluster without machines.
func (b *bench) measureFloor(ctx context.Context) (floor.Times, error) {
	t, files, err := b.render(ctx, b.cluster)
	if err != nil {
		return floor.Times{}, err
	}
	times, err := floor.Measure(ctx, floor.Options{Topology: t, Rendered: files, Image: b.image.Root, Dir: filepath.Join(b.rig.Dir, "floor")})
	if err != nil {
		return times, fmt.Errorf("measure floor: %w", err)
	}
	return times, nil
}

// measureKubeadm brings a cluster up by kubeadm.
func (b *bench) measureKubeadm(ctx context.Context) (steps []kubeadm.Step, err error) {
	c := b.kubeadm
	o, err := b.kubeadmOptions(ctx, c, b.image, b.archive())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, cleanUp(c)) }()
	return kubeadm.Run(ctx, o)
}

// kubeadmOptions are for a cluster whose machines are where haplane would have them, with its
// cluster file beside them: so haplane takes them down.
func (b *bench) kubeadmOptions(ctx context.Context, c *rig.Cluster, img image.Image, archive string) (kubeadm.Options, error) {
	t, files, err := b.render(ctx, c)
	if err != nil {
		return kubeadm.Options{}, err
	}
	file, err := os.ReadFile(c.File())
	if err != nil {
		return kubeadm.Options{}, err
	}
	machines := filepath.Join(c.Store(), "machines")
	err = errors.Join(os.MkdirAll(machines, 0o700), os.WriteFile(filepath.Join(c.Store(), "cluster.yaml"), file, 0o600))
	return kubeadm.Options{Topology: t, Rendered: files, Image: img, Archive: archive, Machines: machines,
		Dir: filepath.Join(b.rig.Dir, "ssh"), Progress: os.Stderr}, err
}

func (b *bench) archive() string { return filepath.Join(b.rig.Dir, "kubeadm-images.tar") }
