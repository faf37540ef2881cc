package main

import (
	"archive/tar"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/haplane/haplane/e2e/bench/balancers"
	"github.com/haplane/haplane/e2e/bench/lanes"
	"github.com/haplane/haplane/e2e/rig"
	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// Each API server advertises its own address, which tells where a connection leads.
const balancersFile = `apiVersion: haplane/v1alpha1
kind: Cluster
metadata: {name: hpb}
spec:
  identity: perNode
  network: {machineCIDR: 10.77.0.0/24, nat: false}
  nodes:
  - {role: control-plane}
  - {role: control-plane}
  - {role: control-plane}
  - {role: load-balancer}
`

// atNamespace is a read that needs authorization and does not wait for etcd: who
// leads there is not the load balancer's doing.
const atNamespace = "/api/v1/namespaces/default?resourceVersion=0"

// atWatch is what clients watch that hold their connections.
const atWatch = "/api/v1/namespaces/default/configmaps?watch=true&resourceVersion=0&timeoutSeconds=3600"

// measureBalancers compares load balancers before the same cluster. The rounds of an
// earlier run that the file has are kept and counted in.
func (b *bench) measureBalancers(ctx context.Context, o roundOptions) (err error) {
	samples, err := lanes.Load[balancers.Sample](o.samples)
	if err != nil {
		return err
	}
	c := &rig.Cluster{Rig: b.rig, Name: "hpb", Network: netip.MustParsePrefix("10.77.0.0/24")}
	if err := os.WriteFile(c.File(), []byte(balancersFile), 0o644); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanUp(c)) }()
	if err := ok(c.Up(ctx)); err != nil {
		return err
	}
	options, err := b.balancersOptions(ctx, c)
	if err != nil {
		return err
	}
	options.Rounds = o.rounds
	seen, err := balancers.Measure(ctx, options)
	samples = append(samples, seen...)
	return errors.Join(err, balancers.Print(os.Stdout, samples), lanes.Save(o.samples, samples))
}

func (b *bench) balancersOptions(ctx context.Context, c *rig.Cluster) (o balancers.Options, err error) {
	parsed, err := spec.Parse(c.File(), []byte(balancersFile))
	if err != nil {
		return o, err
	}
	for _, n := range topology.New(parsed).ControlPlane() {
		o.Servers = append(o.Servers, balancers.Server{Name: n.Name, Address: netip.AddrPortFrom(n.Address, topology.APIServerPort)})
	}
	if o.TLS, err = clientConfig(ctx, c); err != nil {
		return o, err
	}
	o.Path, o.Watch, o.Progress, o.Dir = atNamespace, atWatch, os.Stderr, filepath.Join(b.rig.Dir, "balancers")
	o.Rendered = filepath.Join(o.Dir, "rendered")
	acts := balancers.Acts{Unplug: unplug(c), Ready: ready(o.TLS), Shell: func(ctx context.Context, s balancers.Server, line string) error {
		return ok(c.SSH(ctx, s.Name, line))
	}}
	o.Faults = acts.Faults()
	return o, fetchConfiguration(ctx, c, o.Rendered)
}

func clientConfig(ctx context.Context, c *rig.Cluster) (*tls.Config, error) {
	raw := c.Run(ctx, "kubeconfig", "--cluster", c.Name, "--raw")
	if err := ok(raw); err != nil {
		return nil, err
	}
	config, err := clientcmd.RESTConfigFromKubeConfig([]byte(raw.Stdout))
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	config.ServerName = topology.KubernetesName
	return rest.TLSConfigFor(config)
}

// ready asks an API server itself.
func ready(config *tls.Config) func(context.Context, balancers.Server) error {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{TLSClientConfig: config.Clone(), DisableKeepAlives: true}}
	return func(ctx context.Context, s balancers.Server) error {
		return poll.Until(ctx, 50*time.Millisecond, func(ctx context.Context) error {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.Address.String()+"/readyz", nil)
			if err != nil {
				return poll.Stop(err)
			}
			response, err := client.Do(request)
			if err != nil {
				return err
			}
			if response.Body.Close(); response.StatusCode != http.StatusOK {
				return fmt.Errorf("/readyz of %s: status %s", s.Name, response.Status)
			}
			return nil
		})
	}
}

// fetchConfiguration brings the /etc/haproxy of the load balancer.
func fetchConfiguration(ctx context.Context, c *rig.Cluster, to string) error {
	archive := c.SSH(ctx, "lb-1", "tar -C / -c etc/haproxy")
	if err := ok(archive); err != nil {
		return err
	}
	for files := tar.NewReader(strings.NewReader(archive.Stdout)); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("fetch /etc/haproxy: %w", err)
		}
		path := filepath.Join(to, filepath.Clean("/"+header.Name))
		if header.Typeflag != tar.TypeReg {
			continue
		}
		data, err := io.ReadAll(files)
		if err := errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644)); err != nil {
			return err
		}
	}
}
