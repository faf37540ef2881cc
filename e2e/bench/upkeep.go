package main

// What a cluster lives through beside nodes that come and go: versions, keys, identity, shape and data, each in rounds
// while requests of all kinds run, and beside it what kubeadm's documented way costs (upkeepkubeadm.go). By hand:
//
//	go run ./e2e/bench -only upkeep -samples upkeep.json                  everything; hours
//	go run ./e2e/bench -only upkeep -samples upkeep.json -match '^renew'  one change
//	go run ./e2e/bench -only upkeep -samples upkeep.json -match '^$'      the tables of what is in the file, nothing else
//
// Each change has -rounds rounds, and further ones until each of its lanes has sent -requests requests. What is in the
// file counts: interrupted (the cluster is then taken down), the same command goes on. Needs programs of both minors
// of Kubernetes for the changes of versions and for kubeadm: haplane image build --kubernetes v1.36.

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/e2e/bench/lanes"
	"github.com/haplane/haplane/e2e/rig"
	"github.com/haplane/haplane/internal/image"
	"github.com/haplane/haplane/internal/poll"
)

const (
	// upkeepRate is in each of ten lanes, as haplane measures by itself. On two CPUs that run the cluster as well, sending 20 a second in each took 4 % of
	// both, and all that follows from it in the cluster 30 %: machines that are made anew beside that are short of CPU, and
	// writes time out while who sends them is late himself.
	upkeepRate = 10
	// mostRounds bounds the rounds of a change whose lanes do not come to enough requests, in multiples of the rounds that are asked for.
	mostRounds = 20
)

// A task is one change to measure.
type task struct {
	what   string
	args   []string // of haplane, without what all changes have
	file   string   // the cluster file that is applied, where the change is one of it
	token  tokenOf  // whose token asks all the time
	before step     // not measured
	// between is for a rotation that has to wait for something: then the same command goes on.
	between step
	finish  []string // the command that finishes what went wrong; haplane apply where it is nil
	run     func(context.Context, *upkeep) (lanes.Sample, error)
	once    bool // it is no matter of requests
}

type step func(context.Context, *upkeep) error

// A scene is a cluster and the changes that it lives through: in groups, each of which ends with the cluster that it began with.
type scene struct {
	name   string
	file   string
	groups func(round int) [][]task
	begin  step // in place of haplane up; each round then has a cluster of its own
}

// An upkeep is what the scenes share.
type upkeep struct {
	*rig.Cluster
	bench   *bench
	options roundOptions
	samples []lanes.Sample
	kubeadm *upstream   // of the scene whose cluster is kubeadm's
	older   image.Image // with the older minor of Kubernetes
}

// measureUpkeep measures every scene. What goes wrong in one leaves the others.
func (b *bench) measureUpkeep(ctx context.Context, o roundOptions) error {
	samples, err := lanes.Load[lanes.Sample](o.samples)
	if err != nil {
		return err
	}
	u := &upkeep{bench: b, options: o, samples: samples, Cluster: &rig.Cluster{Rig: b.rig, Name: upkeepName, Network: netip.MustParsePrefix(upkeepNetwork)}}
	var errs []error
	for _, s := range scenes {
		if err := u.play(ctx, s); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(append(errs, printUpkeep(u.samples))...)
}

func printUpkeep(samples []lanes.Sample) error {
	w := os.Stdout
	theirs := slices.DeleteFunc(slices.Clone(samples), func(s lanes.Sample) bool { return !strings.HasPrefix(s.What, kubeadmPrefix) })
	ours := slices.DeleteFunc(slices.Clone(samples), func(s lanes.Sample) bool {
		return strings.HasPrefix(s.What, kubeadmPrefix) || s.Restored != nil
	})
	return errors.Join(
		lanes.Markdown(w, "change", ours),
		lanes.MarkdownLanes(w, "change", ours),
		lanes.MarkdownPhases(w, ours),
		lanes.MarkdownRestored(w, samples),
		lanes.Markdown(w, "kubeadm's documented way", theirs),
		lanes.MarkdownLanes(w, "kubeadm's documented way", theirs),
		lanes.PrintCommands(w, "change, to its end", ours, map[string]string{upgradeAnew: "at most 150 s"}),
		lanes.PrintFew(w, slices.Concat(ours, theirs), leastRequests))
}

// play brings a cluster up and takes it through its changes until none of them wants another round.
func (u *upkeep) play(ctx context.Context, s scene) (err error) {
	groups := u.wanting(s)
	if len(groups) == 0 {
		return nil
	}
	defer func() {
		u.endKubeadm()
		err = errors.Join(err, cleanUp(u.Cluster))
	}()
	if err := u.begin(ctx, s); err != nil {
		return err
	}
	for {
		for _, t := range slices.Concat(groups...) {
			if err := u.measure(ctx, t); err != nil {
				return fmt.Errorf("%s: %w", t.what, err)
			}
		}
		if groups = u.wanting(s); len(groups) == 0 {
			return nil
		}
		if s.begin != nil {
			if err := u.begin(ctx, s); err != nil {
				return err
			}
		}
	}
}

func (u *upkeep) begin(ctx context.Context, s scene) error {
	u.endKubeadm()
	if err := errors.Join(cleanUp(u.Cluster), os.WriteFile(u.File(), []byte(s.file), 0o644)); err != nil {
		return err
	}
	if s.begin != nil {
		return s.begin(ctx, u)
	}
	if err := ok(u.Up(ctx)); err != nil {
		return err
	}
	return u.mayRead(ctx)
}

// wanting are the groups of a scene with a change that was chosen and has too few rounds or requests.
func (u *upkeep) wanting(s scene) [][]task {
	var out [][]task
	for i, group := range s.groups(1) {
		matches := func(t task) bool { return u.options.match.MatchString(t.what) }
		if slices.ContainsFunc(group, matches) && slices.ContainsFunc(group, u.few) {
			out = append(out, s.groups(nextRound(u.samples, group[0].what))[i])
		}
	}
	return out
}

func (u *upkeep) few(t task) bool {
	rounds := 0
	for _, s := range u.samples {
		if s.What == t.what {
			rounds++
		}
	}
	return rounds < u.options.rounds || !t.once && rounds < mostRounds*u.options.rounds && lanes.Fewest(u.samples, t.what) < u.options.requests
}

// measure makes one change of a cluster that is well. One that goes wrong counts, and is finished as a user would.
func (u *upkeep) measure(ctx context.Context, t task) error {
	for _, first := range []step{settled, t.before} {
		if first == nil {
			continue
		}
		if err := first(ctx, u); err != nil {
			return err
		}
	}
	run := t.run
	if run == nil {
		run = t.change
	}
	sample, err := run(ctx, u)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	sample.What, sample.Round = t.what, nextRound(u.samples, t.what)
	fmt.Fprintln(os.Stderr, sample)
	u.samples = append(u.samples, sample)
	if err := lanes.Save(u.options.samples, u.samples); err != nil || sample.Error == "" {
		return err
	}
	if u.kubeadm != nil {
		return errors.New(sample.Error) // its cluster may be anything
	}
	finish := t.finish
	if finish == nil {
		finish = []string{"apply"}
	}
	if err := ok(u.Run(ctx, append(slices.Clone(finish), "--cluster", u.Name, "--yes")...)); err != nil {
		return fmt.Errorf("finish: %w", err)
	}
	return nil
}

// settled waits until nothing is left of what was before.
func settled(ctx context.Context, u *upkeep) error {
	if u.kubeadm != nil {
		return nil // it waits by itself
	}
	ctx, cancel := context.WithTimeout(ctx, settleWait)
	defer cancel()
	return poll.Until(ctx, time.Second, func(ctx context.Context) error {
		s, err := u.Status(ctx)
		if err != nil {
			return err
		}
		for _, n := range s.Nodes {
			if n.Ready != nil && !*n.Ready {
				return fmt.Errorf("node %s is not ready", n.Name)
			}
		}
		return healthy(s)
	})
}

// change runs haplane, and beside it asks with a token all the time.
func (t task) change(ctx context.Context, u *upkeep) (lanes.Sample, error) {
	sum, seconds := lanes.Rotation{}, 0.0
	for {
		result, seen, err := t.command(ctx, u)
		if err != nil {
			return lanes.Sample{}, err
		}
		seconds += result.Elapsed.Seconds()
		one, problem := t.read(result)
		one.Measured = one.Measured.And(seen)
		sum = sum.And(one)
		if problem == "" && len(one.Phases) > 0 && !sum.Done && t.between == nil {
			problem = "it has not come to its end"
		}
		sample := lanes.Sample{Measured: sum.Measured, Seconds: seconds, Changing: sum.Seconds, Certificates: sum.Certificates, NewFailures: sum.NewFailures, Phases: sum.Phases, Error: problem}
		if problem != "" || sum.Done || t.between == nil {
			return sample, nil
		}
		if err := t.between(ctx, u); err != nil {
			return sample, err
		}
	}
}

// command makes a token, and runs haplane once while that asks.
func (t task) command(ctx context.Context, u *upkeep) (rig.Result, lanes.Measured, error) {
	args := slices.Clone(t.args)
	if t.file != "" {
		file := filepath.Join(u.Temp(), "upkeep.yaml")
		if err := os.WriteFile(file, []byte(t.file), 0o644); err != nil {
			return rig.Result{}, lanes.Measured{}, err
		}
		args = []string{"apply", "--file", file}
	}
	args = append(args, "--cluster", u.Name, "--yes", "--quiet", "--output", "json", "--probe-rate", fmt.Sprint(u.options.rate))
	end, err := u.askWithToken(ctx, t.token)
	if err != nil {
		return rig.Result{}, lanes.Measured{}, err
	}
	result := u.Run(ctx, args...)
	return result, end(), ctx.Err()
}

// read tells what haplane says of itself, and what is wrong with that.
func (t task) read(result rig.Result) (lanes.Rotation, string) {
	var out lanes.Rotation
	var err error
	if isRotation(t.args) {
		out, err = lanes.ReadRotation([]byte(result.Stdout))
	} else {
		out.Done = true
		out.Outcome, err = lanes.ReadOutcome([]byte(result.Stdout))
	}
	switch {
	case result.Code != 0:
		return out, fmt.Sprintf("exit code %d: %s", result.Code, strings.TrimSpace(result.Stderr))
	case err != nil:
		return out, err.Error()
	}
	return out, ""
}

func isRotation(args []string) bool {
	return len(args) > 1 && args[0] == "certs" && args[1] == "rotate"
}
