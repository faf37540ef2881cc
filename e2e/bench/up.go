package main

import (
	"context"
	"fmt"
	"time"

	"github.com/haplane/haplane/e2e/rig"
)

// measureUp measures the life of one cluster; idle says to let it settle, and to
// look at its memory, before it goes.
func (b *bench) measureUp(ctx context.Context, idle bool) (run, error) {
	c, commands := b.cluster, &b.results.commands
	start := time.Now()
	up := c.Up(ctx)
	if err := ok(up); err != nil {
		return run{}, err
	}
	phases, err := readLog(c.Store(), start)
	if err != nil {
		return run{}, err
	}
	commands.addTime("up: API servers ready through the load balancer", "18 s", phases.end(apiPhase))
	commands.addTime("up: nodes Ready, CoreDNS available", "", phases.end("dns-ready"))
	commands.addTime("up: to its end", "35 s", up.Elapsed)
	version, err := askFromPod(ctx, c)
	if err != nil {
		return run{}, err
	}
	commands.addTime("up: a pod reaches the API", "40 s", time.Since(start))
	looking := func(command string) func(context.Context) rig.Result {
		return func(ctx context.Context) rig.Result { return c.Run(ctx, command, "--cluster", c.Name) }
	}
	again := []command{{"second up", "3 s", c.Up}, {"status", "", looking("status")}, {"xray", "1.5 s", looking("xray")}}
	if err := b.time(ctx, again); err != nil {
		return run{}, err
	}
	own := c.Run(ctx, "version")
	if err := ok(own); err != nil {
		return run{}, err
	}
	b.results.versions = version + ", " + versionLines(own.Stdout)
	if idle {
		if b.results.memory, err = measureMemory(ctx, c); err != nil {
			return run{}, fmt.Errorf("measure memory: %w", err)
		}
	}
	return run{phases: phases, up: up.Elapsed}, b.time(ctx, []command{{"down", "5 s", c.Down}})
}

// A command is a run of haplane that is timed as a whole.
type command struct {
	name, target string
	run          func(context.Context) rig.Result
}

func (b *bench) time(ctx context.Context, commands []command) error {
	for _, one := range commands {
		result := one.run(ctx)
		if err := ok(result); err != nil {
			return err
		}
		b.results.commands.addTime(one.name, one.target, result.Elapsed)
	}
	return nil
}

// ok is an error for a run of haplane that did not exit with 0.
func ok(r rig.Result) error {
	if r.Code != 0 {
		return fmt.Errorf("haplane went wrong:\n%s", r)
	}
	return nil
}
