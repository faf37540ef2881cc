package main

// What an address that several machines move is worth: the same faults happen to the machine that has it, in three set-ups, of which the first and the third
// are on the same machines: haplane's pair of load balancers, haplane's control-plane nodes, and what kubeadm's documentation has for a pair (addressguide.go). By hand:
//
//	go run ./e2e/bench -only address -samples address.json                      all; hours
//	go run ./e2e/bench -only address -samples address.json -match '^HAProxy'    some of the faults
//	go run ./e2e/bench -only address -samples address.json -match '^$'          the tables of what is in the file, nothing else
//
// Each fault happens -rounds times in each set-up. What is in the file counts: interrupted, the same command goes on.

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/haplane/haplane/e2e/bench/lanes"
	"github.com/haplane/haplane/e2e/rig"
	"github.com/haplane/haplane/e2e/rig/address"
	"github.com/haplane/haplane/internal/kubeprobe"
	"github.com/haplane/haplane/internal/poll"
	"github.com/haplane/haplane/internal/probe"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// What new connections from the host there are, beside what package address asks.
const (
	addressRate    = 50 // a second
	addressTimeout = time.Second
	loadRate       = 100
	loadTime       = time.Minute
)

const (
	addressBefore = time.Second      // what is measured of the address as it is
	servedFor     = 3 * time.Second  // new connections are served again once they were for so long
	faultLimit    = 50 * time.Second // and a fault is put right then, or after this; kubeadm's checks take 30 s
)

// A setUp is a way to move the address.
type setUp struct {
	name       string
	begin, end func(context.Context, *addressing) error                    // nil: it is as haplane up has made it
	settled    func(context.Context, *addressing) (address.Machine, error) // waits until nothing is left of what was before, and tells who has the address
	planned    injection
}

// An addressScene is a cluster and the set-ups that it has, one after another.
type addressScene struct {
	file   string
	setUps []setUp
}

var (
	threeAlone    = "  nodes:\n" + strings.Repeat("  - {role: control-plane}\n", 3)
	addressScenes = []addressScene{
		{fileOf(threeAndOne + strings.Repeat("  - {role: load-balancer}\n", 2)), []setUp{
			{name: "haplane, a pair", settled: haplaneSettled, planned: replaced},
			{name: "kubeadm's guide, the same pair", begin: toGuide, end: fromGuide, settled: guideSettled, planned: keepalivedStopped},
		}},
		{fileOf(threeAlone, "loadBalancer: {kind: controlPlane}"), []setUp{{name: "haplane, control-plane nodes", settled: haplaneSettled, planned: replaced}}},
	}
)

// An addressing is what the scenes share.
type addressing struct {
	*rig.Cluster
	options  roundOptions
	samples  []addressSample
	topology *topology.Topology
	machines []address.Machine // that may have the address
	watch    *address.Watch
	lane     probe.Lane
}

// measureAddress measures every set-up.
func (b *bench) measureAddress(ctx context.Context, o roundOptions) error {
	samples, err := lanes.Load[addressSample](o.samples)
	if err != nil {
		return err
	}
	a := &addressing{options: o, samples: samples, Cluster: &rig.Cluster{Rig: b.rig, Name: upkeepName, Network: netip.MustParsePrefix(upkeepNetwork)}}
	for _, s := range addressScenes {
		if err = a.play(ctx, s); err != nil {
			break
		}
	}
	return errors.Join(err, printAddress(os.Stdout, a.samples))
}

// play brings a cluster up and measures the set-ups that want a round.
func (a *addressing) play(ctx context.Context, s addressScene) (err error) {
	wanting := false
	for _, w := range s.setUps {
		wanting = wanting || len(a.wanting(w)) > 0
	}
	if !wanting {
		return nil
	}
	defer func() { err = errors.Join(err, cleanUp(a.Cluster)) }()
	if err := errors.Join(cleanUp(a.Cluster), address.HealLoss(ctx), os.WriteFile(a.File(), []byte(s.file), 0o644)); err != nil {
		return err
	}
	if err := ok(a.Up(ctx)); err != nil {
		return err
	}
	if err := a.look(ctx, s.file); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.watch.Close()) }()
	for _, w := range s.setUps {
		if err := a.measureSetUp(ctx, w); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
	}
	return nil
}

// look begins to watch the address.
func (a *addressing) look(ctx context.Context, file string) error {
	parsed, err := spec.Parse(a.File(), []byte(file))
	if err != nil {
		return err
	}
	a.topology, a.machines = topology.New(parsed), nil
	for _, n := range a.topology.LoadBalancers() {
		a.machines = append(a.machines, address.Machine{Cluster: a.Cluster, Name: n.Name, Address: n.Address})
	}
	raw := a.Run(ctx, "kubeconfig", "--cluster", a.Name, "--raw")
	if err := ok(raw); err != nil {
		return err
	}
	target, err := kubeprobe.NewTarget([]byte(raw.Stdout), nil)
	if err != nil {
		return err
	}
	lane, err := target.Lanes(kubeprobe.LBNew)
	if err != nil {
		return err
	}
	a.lane = lane[0]
	w, err := address.Start(ctx, a.topology.LoadBalancer, a.machines)
	a.watch = w
	return err
}

// wanting are the faults that were chosen and have too few rounds in a set-up.
func (a *addressing) wanting(w setUp) []addressFault {
	var out []addressFault
	for _, f := range addressFaults {
		rounds := a.options.rounds
		if f.load {
			rounds = 1
		}
		if a.options.match.MatchString(f.name) && len(addressOf(a.samples, f.name, w.name)) < rounds {
			out = append(out, f)
		}
	}
	return out
}

func (a *addressing) measureSetUp(ctx context.Context, w setUp) (err error) {
	faults := a.wanting(w)
	if len(faults) == 0 {
		return nil
	}
	if w.begin != nil {
		if err := w.begin(ctx, a); err != nil {
			return err
		}
	}
	holder, err := w.settled(ctx, a)
	if err != nil {
		return fmt.Errorf("wait for it: %w", err)
	}
	for ; len(faults) > 0; faults = a.wanting(w) {
		for _, f := range faults {
			var sample addressSample
			if sample, holder, err = a.measure(ctx, w, f, holder); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			fmt.Fprintln(os.Stderr, sample)
			a.samples = append(a.samples, sample)
			if err := lanes.Save(a.options.samples, a.samples); err != nil {
				return err
			}
		}
	}
	if w.end != nil {
		return w.end(ctx, a)
	}
	return nil
}

// measure has a fault happen once, where all is well, puts it right, and waits until nothing is left of it. It returns who has the address then.
func (a *addressing) measure(ctx context.Context, w setUp, f addressFault, holder address.Machine) (sample addressSample, now address.Machine, err error) {
	sample = addressSample{SetUp: w.name, Fault: f.name, Round: len(addressOf(a.samples, f.name, w.name)) + 1, Machine: holder.Name}
	if f.load {
		sample.Uses, err = a.load(ctx, holder)
		return sample, holder, err
	}
	a.watch.Forget()
	session, err := probe.Start(ctx, []probe.Lane{a.lane}, probe.Options{Rate: addressRate, Timeout: addressTimeout})
	if err != nil {
		return sample, holder, err
	}
	err = pause(ctx, addressBefore)
	var heal func(context.Context) error
	if err == nil {
		heal, err = a.happen(ctx, w, f, holder)
	}
	report := session.Stop()
	during, err2 := a.watch.Take(context.WithoutCancel(ctx)) // it ends: questions have little patience
	if heal != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleWait)
		defer cancel()
		err2 = errors.Join(err2, heal(ctx))
	}
	if err := errors.Join(err, err2); err != nil {
		return sample, holder, err
	}
	if now, err = w.settled(ctx, a); err != nil {
		return sample, holder, fmt.Errorf("wait until nothing is left of it: %w", err)
	}
	after, err := a.watch.Take(ctx)
	sample.see(measured(report), during, after)
	return sample, now, err
}

// happen injects a fault and waits until new connections are served again.
func (a *addressing) happen(ctx context.Context, w setUp, f addressFault, holder address.Machine) (heal func(context.Context) error, err error) {
	began, inject := time.Now(), f.inject
	if f.planned {
		inject = w.planned
	}
	if heal, err = inject(ctx, a, holder); err != nil {
		return heal, err
	}
	if f.lasts > 0 {
		return heal, pause(ctx, time.Until(began.Add(f.lasts)))
	}
	limited, cancel := context.WithTimeout(ctx, faultLimit)
	defer cancel()
	_ = a.watch.Served(limited, began, servedFor) // that it takes longer is in what was measured
	return heal, ctx.Err()
}

// load tells what the programs take while so many new connections a second come.
func (a *addressing) load(ctx context.Context, holder address.Machine) ([]programUse, error) {
	var voters []address.Machine
	for _, n := range a.topology.ControlPlane() {
		voters = append(voters, address.Machine{Cluster: a.Cluster, Name: n.Name, Address: n.Address})
	}
	look := func() ([]programUse, error) {
		var out []programUse
		for _, p := range []address.Program{address.HAProxy, address.Keepalived, address.Guard, address.Voter} {
			use := programUse{Program: strings.TrimSpace(p.Comm + " " + p.Word)}
			machines := a.machines
			if p == address.Voter {
				machines = voters
			}
			for _, m := range machines {
				used, err := m.Used(p)
				if err != nil {
					return nil, err
				}
				use.add(used, m.Name == holder.Name)
			}
			out = append(out, use)
		}
		return out, nil
	}
	if err := a.watch.Close(); err != nil { // its questions would be part of the load
		return nil, err
	}
	session, err := probe.Start(ctx, []probe.Lane{a.lane}, probe.Options{Rate: loadRate, Timeout: addressTimeout})
	if err != nil {
		return nil, err
	}
	defer session.Stop()
	before, err := look()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := pause(ctx, loadTime); err != nil {
		return nil, err
	}
	after, err := look()
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	w, err := address.Start(ctx, a.topology.LoadBalancer, a.machines)
	if err == nil {
		a.watch = w
	}
	return useBetween(before, after, took), err
}

// steady waits until one machine has had the address for a while, and serves.
func (a *addressing) steady(ctx context.Context, while time.Duration) (holder address.Machine, err error) {
	ctx, cancel := context.WithTimeout(ctx, settleWait)
	defer cancel()
	return a.watch.Steady(ctx, while)
}

// haplaneSettled waits until each machine could have the address, one has it, and the cluster is well.
func haplaneSettled(ctx context.Context, a *addressing) (address.Machine, error) {
	err := a.serves(ctx)
	for _, m := range a.machines {
		if err == nil {
			err = within(ctx, settleWait, m.CouldTake)
		}
	}
	if err != nil {
		return address.Machine{}, err
	}
	return a.steady(ctx, servedFor)
}

// serves waits until the API servers and etcd are well.
func (a *addressing) serves(ctx context.Context) error {
	return within(ctx, settleWait, func(ctx context.Context) error {
		s, err := a.Status(ctx)
		if err != nil {
			return err
		}
		return serving(s)
	})
}

func within(ctx context.Context, limit time.Duration, fn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return poll.Until(ctx, 500*time.Millisecond, fn)
}

// pause waits; there is something to be measured meanwhile.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// replaced is a planned move of haplane's: the machine that has the address is made anew, which hands the address over first.
func replaced(ctx context.Context, a *addressing, m address.Machine) (func(context.Context) error, error) {
	return nil, ok(a.Run(ctx, "node", "replace", m.Name, "--cluster", a.Name, "--yes", "--no-probe", "--quiet"))
}

// keepalivedStopped is one of the guide's: nothing else is said of it there.
func keepalivedStopped(ctx context.Context, a *addressing, m address.Machine) (func(context.Context) error, error) {
	heal := func(ctx context.Context) error { return ok(a.SSH(ctx, m.Name, "systemctl start keepalived")) }
	return heal, ok(a.SSH(ctx, m.Name, "systemctl stop keepalived"))
}
