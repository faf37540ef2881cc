package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/view"
)

func (a *app) certsRotate() *cobra.Command {
	var f *changeFlags
	var noWaitForPods, ignoreOutside bool
	cmd := &cobra.Command{
		Use:   "rotate " + strings.Join(cluster.Rotatable(), "|"),
		Short: "Put a new authority or key in the place of one, in three phases that are proved",
		Long: `Rotates an authority with all that it has signed, the key of service accounts, or the key
that encrypts Secrets. There are three phases, each of them a change with a plan of its own:

  trust    the next one is trusted everywhere, and signs nothing yet
  switch   the next one signs or writes; what the old one has signed is made anew. The old ca and
           etcd-ca vouch for the next one: who trusts the old one alone gets in as before
  drop     the old one is trusted no more, and gone. Copies of kubeconfigs end with it, those with
           a token and the old ca.crt too, of which nobody can tell who has them

Each ends with a proof: of every file and every program on every node, of what servers serve and
accept when they are asked by TLS, of bundles in the API and in pods, of what is stored in etcd. What
is in the way is named. Cut off, the same command goes on; between phases haplane status tells.

Programs in pods that began before the next ca was in all of them may have read the old one alone: they
keep it from being dropped until they are started anew. So do clients from outside of the cluster: who
came to an API server with a client certificate within ten minutes, and who is connected to etcd. All
of them are named.

With the old encryption key, the Secrets of snapshots go that have no keys in them: the plan
names these.

The old key of service accounts is needed as long as tokens that it has signed: the command
says until when, and drops it when it is run after that.`,
		Example: `  haplane certs rotate encryption
  haplane certs rotate ca --yes`,
		Args:      usage(cobra.ExactArgs(1)),
		ValidArgs: cluster.Rotatable(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(cluster.Rotatable(), args[0]) {
				return usageError{fmt.Errorf("%q cannot be rotated; choose one of %s", args[0], strings.Join(cluster.Rotatable(), ", "))}
			}
			if err := f.check(); err != nil {
				return err
			}
			r := rotation{Name: args[0], Phases: []rotationPhase{}}
			err := a.rotate(cmd, &r, *f, func(q *cluster.Request) { q.NoWaitForPods, q.IgnoreOutside = noWaitForPods, ignoreOutside })
			if f.output == "json" && len(r.Phases) > 0 {
				return errors.Join(err, view.JSON(a.Out, r))
			}
			return err
		},
	}
	f = a.addChangeFlags(cmd)
	cmd.Flags().BoolVar(&noWaitForPods, "no-wait-for-pods", false, "drop the old ca although programs in pods began before the next one was in all pods: those that do not read it again by themselves, within five minutes, do not reach the API until they are started anew")
	cmd.Flags().BoolVar(&ignoreOutside, "ignore-outside", false, "drop the old authority although clients from outside of the cluster use it, or the old key although they may have a token of it: these are locked out. Where the old authority cannot vouch for the next one, that is so from the switch on")
	return cmd
}

// A rotation is what one run has done of it.
type rotation struct {
	Name   string          `json:"name"`
	Phases []rotationPhase `json:"phases"` // that this run has carried out, or began with
	Done   bool            `json:"done"`   // the old one is gone
	// NeededUntil is until when the old one is needed; absent where nobody knows, or nobody needs it.
	NeededUntil time.Time `json:"neededUntil,omitempty,omitzero"`
}

type rotationPhase struct {
	Phase string `json:"phase"`
	*cluster.Outcome
}

// rotate carries out one phase after the other, as far as nothing is in the way.
func (a *app) rotate(cmd *cobra.Command, r *rotation, f changeFlags, flags func(*cluster.Request)) error {
	timeline := f.timeline
	for {
		h, err := a.find() // the plan tells of a change that was cut off
		if err != nil {
			return err
		}
		phase := nextPhase(h.Rotation())
		if timeline != "" {
			f.timeline = strings.TrimSuffix(timeline, filepath.Ext(timeline)) + "-" + phase + filepath.Ext(timeline)
		}
		q := h.RotateRequest(r.Name)
		flags(&q)
		outcome, err := a.carryOut(cmd, "certs-rotate", q, &f)
		if outcome == nil {
			return a.neededStill(r, err, f.output)
		}
		r.Phases = append(r.Phases, rotationPhase{phase, outcome})
		if f.output != "json" {
			view.Outcome(a.Out, outcome)
		}
		if err != nil {
			return err
		}
		if f.output != "json" {
			fmt.Fprintf(a.Out, "rotation of %s: %s is done: %d steps, %.1f s\n\n", r.Name, phase, len(outcome.Plan.Steps), outcome.Elapsed.Seconds())
		}
		if h, err = a.find(); err != nil {
			return err
		}
		if h.Rotation() == nil {
			r.Done = true
			if f.output != "json" {
				a.rotated(r.Name)
			}
			return nil
		}
	}
}

// nextPhase is the one that a run begins, or goes on with.
func nextPhase(now *cluster.RotationStatus) string {
	switch {
	case now == nil:
		return "trust"
	case now.Proved && now.Phase == "trust":
		return "switch"
	case now.Proved && now.Phase == "switch":
		return "drop"
	}
	return now.Phase
}

// neededStill is no failure of a run that has done what could be done, where the rest is a matter of time.
func (a *app) neededStill(r *rotation, err error, output string) error {
	until, is := cluster.NeededUntil(err)
	if !is || until.IsZero() || len(r.Phases) == 0 {
		return err
	}
	if r.NeededUntil = until; output != "json" {
		fmt.Fprintf(a.Out, "%v\nthe old one is needed until %s; haplane certs rotate %s drops it after that\n", err, until.UTC().Format("2006-01-02 15:04:05 MST"), r.Name)
	}
	return nil
}

// rotated tells what is somebody else's to do.
func (a *app) rotated(name string) {
	fmt.Fprintf(a.Out, "the old %s is gone\n", name)
	if name == "ca" {
		fmt.Fprintln(a.Out, "kubeconfigs that were copied from here or from a node, and others with the old ca.crt, have an end now: haplane kubeconfig writes new ones")
	}
	if name == "encryption" {
		fmt.Fprintf(a.Out, "snapshots of before that have no keys in them cannot be restored any more (haplane etcd snapshot list tells which): haplane etcd snapshot save --cluster %s takes one of now\n", a.cluster)
	}
}
