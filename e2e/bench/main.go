// Command bench measures how fast haplane is on this machine with everything in
// the cache, and beside it, in the same runs, how fast anybody could be (package
// floor) and how fast upstream's way is (package kubeadm). It prints the figures
// beside their targets. It judges nothing: it exits with 0 whatever the times are.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/haplane/haplane/e2e/bench/kubeadm"
	"github.com/haplane/haplane/e2e/rig"
	"github.com/haplane/haplane/internal/image"
)

// cleanupTime is for taking a cluster down after an interruption.
const cleanupTime = time.Minute

// subjects are what can be measured, in the order within a run.
var subjects = []string{"up", "floor", "kubeadm", "memory"}

// A mode is measured after the runs, in rounds and on clusters of its own.
type mode struct {
	name     string
	measure  func(*bench, context.Context, roundOptions) error
	rounds   int // where -rounds, -requests and -rate say nothing
	requests int
	rate     float64
}

var modes = []mode{
	{"changes", (*bench).measureChanges, 10, 0, 100},
	{"identities", (*bench).measureIdentities, 10, 0, 100},
	{"balancers", (*bench).measureBalancers, 10, 0, 100},
	{"address", (*bench).measureAddress, 10, 0, addressRate},
	{"upkeep", (*bench).measureUpkeep, 5, leastRequests, upkeepRate},
}

// with are the options, and of what they do not say, the mode's own.
func (m mode) with(o roundOptions) roundOptions {
	o.rounds, o.rate = cmp.Or(o.rounds, m.rounds), cmp.Or(o.rate, m.rate)
	if o.requests < 0 {
		o.requests = m.requests
	}
	return o
}

// roundOptions are what modes are told.
type roundOptions struct {
	rounds, faultRounds int
	requests            int            // in each lane of a change, before its rounds end
	match               *regexp.Regexp // the names of the changes to make
	rate                float64        // requests a second in each lane
	samples             string         // a file for all numbers; those that are in it count too
}

func main() {
	all := slices.Clone(subjects)
	for _, m := range modes {
		all = append(all, m.name)
	}
	var o roundOptions
	runs := flag.Int("runs", 5, "how often to measure")
	measure := flag.String("measure", strings.Join(all, ","), "what to measure; memory is looked at once, in the last run's up")
	only := flag.String("only", "", "the same, for one")
	flag.IntVar(&o.rounds, "rounds", 0, "how often each planned change is made, and each fault happens before the load balancers and to them; 0 is 10, of upkeep 5")
	flag.IntVar(&o.requests, "requests", -1, "a change has further rounds until each of its lanes has sent so many; -1 is 0, of upkeep 10000")
	match := flag.String("match", "", "a regular expression: of the changes, make only those whose name matches, and what takes them back; of the faults of address, those")
	flag.IntVar(&o.faultRounds, "fault-rounds", 3, "how often each fault happens in each identity")
	flag.Float64Var(&o.rate, "rate", 0, fmt.Sprintf("requests a second in each lane; 0 is 100, of upkeep %d", upkeepRate))
	flag.StringVar(&o.samples, "samples", "", "with -only: a file for all numbers, in JSON; the rounds that are in it already count too")
	flag.Parse()
	wanted := strings.Split(*measure, ",")
	if *only != "" {
		wanted = []string{*only}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	var err error
	o.match, err = regexp.Compile(*match)
	if err == nil {
		err = check(*runs, wanted, all, o)
	}
	if err == nil {
		err = measureAll(ctx, *runs, wanted, o)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

// A bench is what the runs share. Its clusters are in networks of their own, and
// never there at the same time.
type bench struct {
	rig              *rig.Rig
	cluster, kubeadm *rig.Cluster
	image            image.Image
	wanted           []string
	results          *results
}

func (b *bench) wants(subject string) bool { return slices.Contains(b.wanted, subject) }

func check(runs int, wanted, all []string, o roundOptions) error {
	if runs < 1 || o.rounds < 0 || o.faultRounds < 1 || o.rate < 0 {
		return errors.New("-runs and -fault-rounds must be at least 1, -rounds and -rate not negative")
	}
	if o.samples != "" && len(wanted) > 1 {
		return errors.New("-samples is a file for one of the modes: choose it with -only")
	}
	for _, w := range wanted {
		if !slices.Contains(all, w) {
			return fmt.Errorf("%q cannot be measured; there are %s", w, strings.Join(all, ", "))
		}
	}
	return nil
}

func measureAll(ctx context.Context, runs int, wanted []string, o roundOptions) (err error) {
	b := &bench{wanted: wanted, results: newResults()}
	if b.rig, err = rig.New(ctx, "haplane-bench"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.rig.Close()) }()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanUp(b.cluster)) }()
	if slices.ContainsFunc(subjects, b.wants) {
		if err := b.runs(ctx, runs); err != nil {
			return err
		}
	}
	for _, m := range modes {
		if b.wants(m.name) {
			if err := m.measure(b, ctx, m.with(o)); err != nil {
				return fmt.Errorf("measure %s: %w", m.name, err)
			}
		}
	}
	return nil
}

// runs measures each subject so many times, and prints.
func (b *bench) runs(ctx context.Context, runs int) error {
	for i := range runs {
		fmt.Fprintf(os.Stderr, "run %d of %d\n", i+1, runs)
		if err := b.once(ctx, i == runs-1); err != nil {
			return err
		}
	}
	return b.results.print(os.Stdout, runs)
}

// prepare makes everything that is in the cache before the runs.
func (b *bench) prepare(ctx context.Context) (err error) {
	if b.cluster, err = b.rig.Cluster("bench", 9); err != nil {
		return err
	}
	if b.kubeadm, err = b.rig.Cluster("bench-kubeadm", 19); err != nil {
		return err
	}
	if err := errors.Join(cleanUp(b.cluster), cleanUp(b.kubeadm)); err != nil { // what a run that was killed has left
		return err
	}
	if err := b.openImage(ctx); err != nil {
		return err
	}
	if b.wants("kubeadm") {
		return kubeadm.WriteImages(b.image, b.archive())
	}
	return nil
}

// once measures everything one time.
func (b *bench) once(ctx context.Context, last bool) (err error) {
	var one run
	if b.wants("up") {
		if one, err = b.measureUp(ctx, last && b.wants("memory")); err != nil {
			return err
		}
	}
	if b.wants("floor") {
		if one.floor, err = b.measureFloor(ctx); err != nil {
			return err
		}
	}
	if b.wants("kubeadm") {
		if one.kubeadm, err = b.measureKubeadm(ctx); err != nil {
			return err
		}
	}
	b.results.add(one)
	return nil
}

// cleanUp takes a cluster down. An interruption reaches haplane as well as this program, so that it may be cut off: once more, then.
func cleanUp(c *rig.Cluster) error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTime)
	defer cancel()
	if c.Down(ctx).Code == 0 {
		return nil
	}
	return ok(c.Down(ctx))
}
