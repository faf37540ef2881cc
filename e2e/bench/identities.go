package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/haplane/haplane/e2e/bench/lanes"
	"github.com/haplane/haplane/e2e/rig"
	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/spec"
)

const identitiesFile = `apiVersion: haplane/v1alpha1
kind: Cluster
metadata: {name: hpi}
spec:
  identity: %s
  network: {machineCIDR: 10.79.0.0/24, nat: false}
  nodes:
  - {role: control-plane}
  - {role: control-plane}
  - {role: control-plane}
  - {role: worker}
  - {role: load-balancer}
`

// Each fault lasts longer than the 15 s after which other API servers take one for
// dead that does not renew its lease; afterwards there is time to come back.
const (
	faultTime  = 20
	settleWait = 2 * time.Minute
)

// A fault of an API server or its machine, in commands that a reader can give. HAPLANE
// stands for the program with the cluster, NODE for the machine.
type fault struct{ name, inject, heal string }

// Freezing ends by itself: nobody gets in meanwhile. kill -1 spares who calls it, and
// the machine's first process.
var faults = []fault{
	{"stopped", "HAPLANE ssh NODE systemctl stop kube-apiserver", "HAPLANE ssh NODE systemctl start kube-apiserver"},
	{"killed", "HAPLANE ssh NODE 'systemctl kill --signal=KILL kube-apiserver; systemctl stop kube-apiserver'", "HAPLANE ssh NODE systemctl start kube-apiserver"},
	{"machine frozen", fmt.Sprintf("HAPLANE ssh NODE \"systemd-run --collect --no-block sh -c 'sleep 1; kill -s STOP -- -1; sleep %d; kill -s CONT -- -1'\"", faultTime), "sleep 2"},
	{"machine powered off", "HAPLANE ssh NODE \"systemd-run --collect --no-block sh -c 'sleep 1; exec systemctl poweroff --force --force'\"", "HAPLANE start"},
}

// script is what probe measures around; everything that it prints goes to standard error.
func (f fault) script(program, cluster, node string) string {
	lines := []string{"exec >&2", f.inject, fmt.Sprintf("sleep %d", faultTime), f.heal, "sleep 3"}
	return strings.NewReplacer("HAPLANE start", program+" start --cluster "+cluster, "HAPLANE ssh", program+" ssh --cluster "+cluster,
		"NODE", node).Replace(strings.Join(lines, "\n"))
}

// measureIdentities measures the same faults in each identity: through the load
// balancer, and from a pod through the Service, which leads to the load balancer in
// one identity and is spread by kube-proxy in the others.
func (b *bench) measureIdentities(ctx context.Context, o roundOptions) error {
	samples, err := lanes.Load[lanes.Sample](o.samples)
	if err != nil {
		return err
	}
	c := &rig.Cluster{Rig: b.rig, Name: "hpi", Network: netip.MustParsePrefix("10.79.0.0/24")}
	for _, identity := range []spec.Identity{spec.PerNode, spec.SharedCertificate, spec.Shared} {
		var seen []lanes.Sample
		first := nextRound(samples, string(identity)+": "+faults[0].name)
		if seen, err = identityRounds(ctx, c, identity, first, o); err != nil {
			err = fmt.Errorf("measure identity %s: %w", identity, err)
		}
		samples = append(samples, seen...)
		if err = errors.Join(err, lanes.Save(o.samples, samples)); err != nil {
			break
		}
	}
	return errors.Join(err, lanes.Print(os.Stdout, "identity and fault", samples), printHowTo())
}

// printHowTo lets a reader see for himself.
func printHowTo() error {
	_, err := fmt.Printf("one of these by hand: haplane probe --lanes lb-new,in-cluster -- sh -c '%s'\n",
		strings.ReplaceAll(faults[0].script("haplane", "NAME", "cp-2"), "\n", "; "))
	return err
}

func identityRounds(ctx context.Context, c *rig.Cluster, identity spec.Identity, first int, o roundOptions) (samples []lanes.Sample, err error) {
	if err := os.WriteFile(c.File(), fmt.Appendf(nil, identitiesFile, identity), 0o644); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, cleanUp(c)) }()
	if err := errors.Join(cleanUp(c), ok(c.Up(ctx))); err != nil {
		return nil, err
	}
	for round := first; round < first+o.faultRounds; round++ {
		for _, f := range faults {
			sample, err := measureFault(ctx, c, f, round, o.rate)
			if err != nil {
				return samples, err
			}
			sample.What = string(identity) + ": " + f.name
			fmt.Fprintln(os.Stderr, sample)
			samples = append(samples, sample)
		}
	}
	return samples, nil
}

// measureFault measures with haplane probe around a fault. That requests fail is no error.
func measureFault(ctx context.Context, c *rig.Cluster, f fault, round int, rate float64) (lanes.Sample, error) {
	if err := asBefore(ctx, c); err != nil {
		return lanes.Sample{}, err
	}
	file := filepath.Join(c.Temp(), "report.json")
	node := fmt.Sprintf("cp-%d", (round-1)%3+1)
	result := c.Run(ctx, "probe", "--cluster", c.Name, "--quiet", "--lanes", "lb-new,in-cluster", "--rate", fmt.Sprint(rate),
		"--output", "json", "--to", file, "--", "sh", "-e", "-c", f.script(c.Program, c.Name, node))
	if ctx.Err() != nil {
		return lanes.Sample{}, ctx.Err()
	}
	const failed = 3 // requests, not the measurement
	if result.Code != 0 && result.Code != failed {
		return lanes.Sample{}, fmt.Errorf("%s %s: %w", node, f.name, ok(result))
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return lanes.Sample{}, err
	}
	measured, err := lanes.ReadReport(data)
	return lanes.Sample{Round: round, Seconds: result.Elapsed.Seconds(), Measured: measured}, err
}

// asBefore waits until nothing is left of the last fault.
func asBefore(ctx context.Context, c *rig.Cluster) error {
	ctx, cancel := context.WithTimeout(ctx, settleWait)
	defer cancel()
	return poll.Until(ctx, time.Second, func(ctx context.Context) error {
		s, err := c.Status(ctx)
		if err != nil {
			return err
		}
		return healthy(s)
	})
}

// healthy tells what of a cluster of three behind one load balancer is not there or does not serve.
func healthy(s rig.Status) error {
	if len(s.LoadBalancers) != 1 || len(s.LoadBalancers[0].Backends) != 3 {
		return fmt.Errorf("not one load balancer of three: %+v", s)
	}
	for _, b := range s.LoadBalancers[0].Backends {
		if b.Up == nil || !*b.Up {
			return fmt.Errorf("the load balancer has %s for down", b.Node)
		}
	}
	return serving(s)
}

// serving tells what of a cluster of three is not there or does not serve, load balancers apart.
func serving(s rig.Status) error {
	is := func(b *bool) bool { return b != nil && *b }
	if len(s.APIServers) != 3 || len(s.Etcd.Members) != 3 {
		return fmt.Errorf("not three of everything: %+v", s)
	}
	for i := range 3 {
		switch {
		case !is(s.APIServers[i].Ready):
			return fmt.Errorf("the API server of %s is not ready", s.APIServers[i].Node)
		case !is(s.Etcd.Members[i].Healthy):
			return fmt.Errorf("etcd member %s is not healthy", s.Etcd.Members[i].Name)
		}
	}
	if n := len(s.KubernetesServiceEndpoints); n != 1 && n != 3 { // the load balancer, or every API server
		return fmt.Errorf("the kubernetes Service has the endpoints %v", s.KubernetesServiceEndpoints)
	}
	return nil
}
