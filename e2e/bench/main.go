// Command bench measures how fast haplane is on this machine with everything in
// the cache, and beside it, in the same runs, how fast anybody could be (package
// floor) and how fast upstream's way is (package kubeadm). It prints the figures
// beside their targets. It judges nothing: it exits with 0 whatever the times are.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
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

func main() {
	runs := flag.Int("runs", 5, "how often to measure")
	measure := flag.String("measure", strings.Join(subjects, ","), "what to measure; memory is looked at once, in the last run's up")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := measureAll(ctx, *runs, strings.Split(*measure, ","))
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

func measureAll(ctx context.Context, runs int, wanted []string) (err error) {
	b := &bench{wanted: wanted, results: newResults()}
	if runs < 1 {
		return errors.New("-runs must be at least 1")
	}
	for _, w := range wanted {
		if !slices.Contains(subjects, w) {
			return fmt.Errorf("-measure: %q is none of %s", w, strings.Join(subjects, ", "))
		}
	}
	if b.rig, err = rig.New(ctx, "haplane-bench"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.rig.Close()) }()
	if err := b.prepare(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanUp(b.cluster)) }()
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

func cleanUp(c *rig.Cluster) error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTime)
	defer cancel()
	return ok(c.Down(ctx))
}
