// Command bench measures how fast haplane is on this machine with everything in
// the cache, and prints the figures beside their targets. It judges nothing: it
// exits with 0 whatever the times are.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/haplane/haplane/e2e/rig"
)

// cleanupTime is for taking the cluster down after an interruption.
const cleanupTime = time.Minute

func main() {
	runs := flag.Int("runs", 5, "how often to measure")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := bench(ctx, *runs)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, runs int) (err error) {
	if runs < 1 {
		return errors.New("-runs must be at least 1")
	}
	r, err := rig.New(ctx, "haplane-bench")
	if err != nil {
		return err
	}
	c, err := r.Cluster("bench", 9)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanUp(c), r.Close()) }()
	if err := ok(c.Run(ctx, "image", "build")); err != nil {
		return err
	}
	if err := cleanUp(c); err != nil { // what a run that was killed has left
		return err
	}
	f := &figures{}
	var versions string
	for i := range runs {
		fmt.Fprintf(os.Stderr, "run %d of %d\n", i+1, runs)
		if versions, err = once(ctx, c, f); err != nil {
			return err
		}
	}
	return f.print(os.Stdout, runs, versions)
}

func cleanUp(c *rig.Cluster) error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTime)
	defer cancel()
	return ok(c.Down(ctx))
}

// ok is an error for a run of haplane that did not exit with 0.
func ok(r rig.Result) error {
	if r.Code != 0 {
		return fmt.Errorf("haplane went wrong:\n%s", r)
	}
	return nil
}

// once measures the life of one cluster, and returns the versions in it.
func once(ctx context.Context, c *rig.Cluster, f *figures) (string, error) {
	start := time.Now()
	up := c.Up(ctx)
	if err := ok(up); err != nil {
		return "", err
	}
	phases, err := readLog(c.Store(), start)
	if err != nil {
		return "", err
	}
	f.addPhases(phases)
	f.add(apiReady, phases.end("wait-for-api-servers"))
	f.add(nodesReady, phases.end("wait-for-dns"))
	f.add(firstUp, up.Elapsed)
	version, err := askFromPod(ctx, c)
	if err != nil {
		return "", err
	}
	f.add(podReaches, time.Since(start))
	for _, step := range []struct {
		row *row
		run func(context.Context) rig.Result
	}{
		{secondUp, c.Up},
		{status, func(ctx context.Context) rig.Result { return c.Run(ctx, "status", "--cluster", c.Name) }},
		{down, c.Down},
	} {
		result := step.run(ctx)
		if err := ok(result); err != nil {
			return "", err
		}
		f.add(step.row, result.Elapsed)
	}
	own := c.Run(ctx, "version")
	return version + ", " + own.Stdout, ok(own)
}
