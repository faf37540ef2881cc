package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/view"
	"github.com/haplane/haplane/internal/view/probehtml"
	"github.com/haplane/haplane/internal/xray"
	"github.com/haplane/haplane/spec"
)

// changeFlags are those of every command that changes a live cluster.
type changeFlags struct {
	yes, takeOver, noProbe, force bool
	drainTimeout                  time.Duration
	probeRate                     float64
	output, timeline              string
}

func (a *app) addChangeFlags(cmd *cobra.Command) *changeFlags {
	f := &changeFlags{}
	a.addClusterFlag(cmd)
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	cmd.Flags().BoolVar(&f.takeOver, "take-over", false, "take the lock on the machines from another haplane that holds it")
	cmd.Flags().BoolVar(&f.noProbe, "no-probe", false, "do not measure the cluster while it changes")
	cmd.Flags().Float64Var(&f.probeRate, "probe-rate", cluster.ProbeRate, "requests a second in each lane while the cluster changes")
	cmd.Flags().DurationVar(&f.drainTimeout, "drain-timeout", 5*time.Minute, "how long the pods of a node that leaves may take to go")
	cmd.Flags().BoolVar(&f.force, "force", false, "let pods of a node that leaves go although nothing would make them anew")
	cmd.Flags().StringVarP(&f.output, "output", "o", "text", "text or json")
	cmd.Flags().StringVar(&f.timeline, "timeline", "", "a file for what was measured, as a time line with the steps in HTML")
	return f
}

// check finds mistakes before anything is looked at.
func (f *changeFlags) check() error {
	switch {
	case f.drainTimeout <= 0:
		return usageError{errors.New("--drain-timeout must be more than 0")}
	case !(f.probeRate > 0 && f.probeRate <= maxRate):
		return usageError{fmt.Errorf("--probe-rate must be more than 0 and at most %d", maxRate)}
	case f.timeline != "" && f.noProbe:
		return usageError{errors.New("--timeline and --no-probe exclude each other: nothing would be measured")}
	case f.timeline != "":
		if err := checkTarget("--timeline", f.timeline); err != nil {
			return usageError{err}
		}
	}
	return checkOutput(f.output)
}

func (a *app) apply() *cobra.Command {
	var f *changeFlags
	var abort bool
	cmd := &cobra.Command{
		Use:   "apply",
		Short: "Make a live cluster match its file, measured while it changes",
		Long: `Shows the plan, asks, and walks through its steps while requests of all kinds measure
the cluster. It stops at the first step that fails, with the cluster serving; run again, it
goes on from there. It ends with what changed, what the requests saw, and which certificates
changed.`,
		Example: `  haplane apply -f blue.yaml
  haplane apply --yes                # finish a change that was cut off
  haplane apply --abort              # go back instead, as far as that is possible`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			q, err := a.wanted(cmd.Context(), cmd.Flags().Changed("cluster"))
			if err != nil {
				return err
			}
			if abort {
				if q, err = cluster.AbortRequest(q.Wanted.Metadata.Name); err != nil {
					return err
				}
			}
			return a.runChange(cmd, "apply", q, f)
		},
	}
	f = a.addChangeFlags(cmd)
	a.addFileFlag(cmd)
	cmd.Flags().BoolVar(&abort, "abort", false, "go back to what the cluster was before the change that was cut off")
	return cmd
}

// wanted is readRequest of a cluster that exists.
func (a *app) wanted(ctx context.Context, named bool) (cluster.Request, error) {
	if a.file != "" {
		return a.readRequest(ctx, named)
	}
	h, err := a.find() // the plan tells of a change that was cut off
	if err != nil {
		return cluster.Request{}, err
	}
	return h.Request(), nil
}

// request is what a cluster file asks for, of a cluster that may exist.
func (a *app) request(file string, data []byte, named bool) (cluster.Request, error) {
	c, err := parseCluster(file, data, a.cluster, named)
	if err != nil {
		return cluster.Request{}, err
	}
	known, err := cluster.Known(c.Metadata.Name)
	if err != nil {
		return cluster.Request{}, err
	}
	if c, err = spec.ParseFor(file, data, known); err != nil {
		return cluster.Request{}, err
	}
	return cluster.Request{Wanted: c, Text: data}, nil
}

// carryOut shows the plan, asks, and changes the cluster. There is no outcome where it has not begun.
func (a *app) carryOut(cmd *cobra.Command, command string, q cluster.Request, f *changeFlags) (*cluster.Outcome, error) {
	if err := a.exists(q.Wanted.Metadata.Name); err != nil {
		return nil, err
	}
	o, done, err := a.options(q.Wanted.Metadata.Name, command)
	if err != nil {
		return nil, err
	}
	a.complete(&q, cmd, f)
	q.Confirm = a.agree(func(*cluster.Plan) bool { return f.yes })
	outcome, err := cluster.Apply(cmd.Context(), q, o)
	done()
	if outcome == nil {
		return nil, err
	}
	err = errors.Join(err, a.writeTimeline(f.timeline, outcome))
	if outcome.Arrived {
		a.refreshKubeconfig(cmd.Context(), q.Wanted.Metadata.Name)
	}
	return outcome, err
}

// runChange carries a change out and tells how that went.
func (a *app) runChange(cmd *cobra.Command, command string, q cluster.Request, f *changeFlags) error {
	outcome, err := a.carryOut(cmd, command, q, f)
	if outcome == nil {
		return err
	}
	name := q.Wanted.Metadata.Name
	if f.output == "json" {
		return errors.Join(err, view.JSON(a.Out, outcome))
	}
	view.Outcome(a.Out, outcome)
	if err == nil && outcome.Nothing() {
		fmt.Fprintf(a.Out, "cluster %s is as its file says; nothing to do\n", name)
	} else if err == nil {
		fmt.Fprintf(a.Out, "cluster %s is as its file says: %d steps, %.1f s\n", name, len(outcome.Plan.Steps), outcome.Elapsed.Seconds())
	}
	return err
}

// complete adds to a request what the flags of a change say.
func (a *app) complete(q *cluster.Request, cmd *cobra.Command, f *changeFlags) {
	q.Command, q.DrainTimeout, q.TakeOver = commandLine(cmd), f.drainTimeout, f.takeOver
	q.Measure, q.ProbeRate, q.Force = !f.noProbe, f.probeRate, f.force
	name := q.Wanted.Metadata.Name
	q.ConfirmTurn = a.confirmTurn
	q.MoveKubeconfig = func(ctx context.Context, before []string) error { return a.moveKubeconfig(ctx, name, before) }
	q.Judge = func(ctx context.Context) ([]string, error) { return a.failing(ctx, name) }
}

// writeTimeline writes what was measured, where that is wanted and anything was.
func (a *app) writeTimeline(file string, o *cluster.Outcome) error {
	if file == "" {
		return nil
	}
	if o.Report == nil || len(o.Report.Lanes) == 0 {
		fmt.Fprintf(a.Err, "warning: nothing was measured, so there is no %s\n", file)
		return nil
	}
	err := a.writeTo(file, func(w io.Writer) error { return probehtml.Write(w, *o.Report) })
	if err == nil && !a.quiet {
		fmt.Fprintf(a.Err, "wrote %s\n", file)
	}
	return err
}

// exists tells where to begin with a cluster that there is not, before anything is made for it.
func (a *app) exists(name string) error {
	_, err := cluster.Open(name)
	if errors.Is(err, store.ErrNoCluster) && a.file != "" {
		return &cluster.HintedError{Err: err, Hint: "haplane up -f " + a.file + " makes it"}
	}
	return err
}

// judgeTimeout is how long each source of an x-ray may take that looks at a change.
const judgeTimeout = 5 * time.Second

// failing x-rays a cluster and returns what fails, in words.
func (a *app) failing(ctx context.Context, name string) ([]string, error) {
	quiet := *a
	quiet.quiet, quiet.cluster = true, name
	report, err := (&xrayRun{app: &quiet, own: true, timeout: judgeTimeout}).look(ctx)
	if err != nil {
		return nil, fmt.Errorf("x-ray: %w", err)
	}
	var out []string
	for _, f := range report.Findings {
		if f.Status == xray.Fail {
			out = append(out, fmt.Sprintf("%s on %s: expected %s, observed %s", f.Check, f.Node, f.Expected, f.Observed))
		}
	}
	return out, nil
}

// commandLine is the command as the user gave it, for the record of the change.
func commandLine(cmd *cobra.Command) string {
	return strings.TrimSpace(cmd.CommandPath() + " " + strings.Join(cmd.Flags().Args(), " "))
}

// agree shows a plan and asks for a yes, unless that is said already; without a terminal there
// is nobody to ask. That a key may be lost for good was never said already.
func (a *app) agree(said func(*cluster.Plan) bool) func(*cluster.Plan) (bool, error) {
	return func(p *cluster.Plan) (bool, error) {
		yes := said(p) && !p.LastCopies
		if !yes || !a.quiet {
			view.Asked(a.Err, p)
		}
		if yes {
			return true, nil
		}
		if !term.IsTerminal(int(a.In.Fd())) && p.LastCopies {
			return false, &cluster.HintedError{Err: errors.New("the last copies of a key that haplane knows of would be removed (see the warning): there is no terminal to ask on, and --yes is no answer to that"),
				Hint: "put the key where it says first; when the change is done, move it from there to where it is kept"}
		}
		if !term.IsTerminal(int(a.In.Fd())) {
			return false, usageError{fmt.Errorf("there is no terminal to ask on; --yes does not ask")}
		}
		fmt.Fprint(a.Err, "\ncarry this out? [y/N] ")
		answer, err := bufio.NewReader(a.In).ReadString('\n')
		if err != nil {
			return false, nil
		}
		answer = strings.ToLower(strings.TrimSpace(answer))
		return answer == "y" || answer == "yes", nil
	}
}
