package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/haplane/haplane/e2e/bench/lanes"
	"github.com/haplane/haplane/e2e/rig"
)

// changesFile has the flag that the changes of flags are about.
const changesFile = `apiVersion: haplane/v1alpha1
kind: Cluster
metadata: {name: hpc}
spec:
  identity: %s
  extraArgs:
    kube-apiserver: {max-requests-inflight: "400"}
  network: {machineCIDR: 10.78.0.0/24, nat: false}
  nodes:
  - {role: control-plane}
  - {role: control-plane}
  - {role: control-plane}
  - {role: worker}
  - {role: load-balancer}
`

// What is done to the cluster, in the words of the tables.
const (
	addOne    = "add a control-plane node"
	removeOne = "remove one"
	addTwo    = "add two at once"
	removeTwo = "remove two"
	replace   = "replace one, alive"
	flags     = "a flag of all API servers"
	moveOut   = "etcd to three machines of its own"
	moveBack  = "etcd back to the control-plane nodes"
	rollOut   = "perNode: add one, certificate rolled out"
	rollBack  = "perNode: remove one"
)

// leastRequests is how many each lane is to send over all rounds of a change.
const leastRequests = 10_000

// A planned change is a command, without what all of them have.
type planned struct {
	what string
	args []string
}

// sharedChanges are those of a round in the identity shared, perNodeChanges in perNode:
// in groups, each of which ends with the nodes that it began with.
func sharedChanges(round int) [][]planned {
	return [][]planned{
		{{addOne, []string{"node", "add", "--role", "control-plane", "cp-4"}}, {removeOne, []string{"node", "remove", "cp-4"}}},
		{{addTwo, []string{"node", "add", "--role", "control-plane", "cp-4", "cp-5"}}, {removeTwo, []string{"node", "remove", "cp-4", "cp-5"}}},
		{{replace, []string{"node", "replace", "cp-" + strconv.Itoa((round-1)%3+1)}}},
		{{flags, []string{"apply"}}},
		{{moveOut, []string{"node", "add", "--role", "etcd", "etcd-1", "etcd-2", "etcd-3"}}, {moveBack, []string{"node", "remove", "etcd-1", "etcd-2", "etcd-3"}}},
	}
}

func perNodeChanges(int) [][]planned {
	return [][]planned{{
		{rollOut, []string{"node", "add", "--role", "control-plane", "cp-4"}},
		{rollBack, []string{"node", "remove", "cp-4"}},
	}}
}

// A changing is what the rounds of changes share.
type changing struct {
	*rig.Cluster
	rate    float64
	file    string // of samples
	samples []lanes.Sample
}

// measureChanges measures planned changes by what haplane says of them.
func (b *bench) measureChanges(ctx context.Context, o roundOptions) error {
	samples, err := lanes.Load[lanes.Sample](o.samples)
	if err != nil {
		return err
	}
	c := &changing{rate: o.rate, file: o.samples, samples: samples,
		Cluster: &rig.Cluster{Rig: b.rig, Name: "hpc", Network: netip.MustParsePrefix("10.78.0.0/24")}}
	err = c.rounds(ctx, o, "shared", sharedChanges)
	if err == nil {
		err = c.rounds(ctx, o, "perNode", perNodeChanges)
	}
	return errors.Join(err, printChanges(c.samples))
}

func printChanges(samples []lanes.Sample) error {
	w := os.Stdout
	return errors.Join(
		lanes.Print(w, "planned change", samples),
		lanes.PrintCommands(w, "planned change, to its end", samples, map[string]string{replace: "at most 25 s"}),
		lanes.PrintRatio(w, samples, addTwo, addOne, "at most 1.3"),
		lanes.PrintFew(w, samples, leastRequests))
}

// rounds brings a cluster up in an identity and changes it again and again, in the changes that were chosen.
func (c *changing) rounds(ctx context.Context, o roundOptions, identity string, changes func(int) [][]planned) (err error) {
	groups := func(round int) [][]planned { return chosen(changes(round), o.match) }
	if len(groups(1)) == 0 {
		return nil
	}
	if err := os.WriteFile(c.File(), fmt.Appendf(nil, changesFile, identity), 0o644); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanUp(c.Cluster)) }()
	if err := errors.Join(cleanUp(c.Cluster), ok(c.Up(ctx))); err != nil {
		return err
	}
	first := nextRound(c.samples, groups(1)[0][0].what)
	for round := first; ; round++ {
		todo := groups(round)
		if round >= first+o.rounds {
			todo = wanting(c.samples, todo, o.requests)
		}
		if len(todo) == 0 {
			return nil
		}
		for _, one := range slices.Concat(todo...) {
			if err := c.measure(ctx, round, one); err != nil {
				return err
			}
		}
	}
}

// chosen are the groups with a change whose name matches.
func chosen(groups [][]planned, match *regexp.Regexp) [][]planned {
	matches := func(one planned) bool { return match.MatchString(one.what) }
	return slices.DeleteFunc(groups, func(group []planned) bool { return !slices.ContainsFunc(group, matches) })
}

// wanting are the groups with a change that a lane has not yet sent so many requests in.
func wanting(samples []lanes.Sample, groups [][]planned, requests int) [][]planned {
	few := func(one planned) bool { return lanes.Fewest(samples, one.what) < requests }
	return slices.DeleteFunc(groups, func(group []planned) bool { return !slices.ContainsFunc(group, few) })
}

// nextRound is the one after those that the samples of a subject have.
func nextRound(samples []lanes.Sample, what string) int {
	last := 0
	for _, s := range samples {
		if s.What == what {
			last = max(last, s.Round)
		}
	}
	return last + 1
}

// measure makes one change. One that goes wrong counts, and is finished as a user would.
func (c *changing) measure(ctx context.Context, round int, one planned) error {
	args, err := c.args(round, one.args)
	if err != nil {
		return err
	}
	result := c.Run(ctx, args...)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	sample := sampleOf(one.what, round, result)
	fmt.Fprintln(os.Stderr, sample)
	c.samples = append(c.samples, sample)
	if err := lanes.Save(c.file, c.samples); err != nil || result.Code == 0 {
		return err
	}
	if err := ok(c.Run(ctx, "apply", "--cluster", c.Name, "--yes")); err != nil {
		return fmt.Errorf("finish %s: %w", one.what, err)
	}
	return nil
}

func (c *changing) args(round int, args []string) ([]string, error) {
	args = append(args, "--cluster", c.Name, "--yes", "--quiet", "--output", "json", "--probe-rate", fmt.Sprint(c.rate))
	if args[0] != "apply" {
		return args, nil
	}
	text, err := os.ReadFile(filepath.Join(c.Store(), "cluster.yaml"))
	if err != nil {
		return nil, err
	}
	edited, err := otherFlag(string(text), 400+round)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(c.Temp(), "changes.yaml")
	return append(args, "--file", file), os.WriteFile(file, []byte(edited), 0o644)
}

var inflight = regexp.MustCompile(`max-requests-inflight: "\d+"`)

// otherFlag gives the flag of all API servers another value.
func otherFlag(text string, value int) (string, error) {
	if len(inflight.FindAllString(text, -1)) != 1 {
		return "", fmt.Errorf("find max-requests-inflight in the cluster file:\n%s", text)
	}
	return inflight.ReplaceAllString(text, fmt.Sprintf(`max-requests-inflight: "%d"`, value)), nil
}

func sampleOf(what string, round int, result rig.Result) lanes.Sample {
	s := lanes.Sample{What: what, Round: round, Seconds: result.Elapsed.Seconds()}
	outcome, err := lanes.ReadOutcome([]byte(result.Stdout))
	s.Measured, s.Changing, s.Certificates, s.NewFailures = outcome.Measured, outcome.Seconds, outcome.Certificates, outcome.NewFailures
	switch {
	case result.Code != 0:
		s.Error = fmt.Sprintf("exit code %d: %s", result.Code, strings.TrimSpace(result.Stderr))
	case err != nil:
		s.Error = err.Error()
	}
	return s
}
