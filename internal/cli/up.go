package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/kubeconfig"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/view"
	"github.com/haplane/haplane/spec"
)

func (a *app) up() *cobra.Command {
	var merge, dryRun bool
	var f *changeFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Bring a cluster up on this machine, or to what its file says",
		Long: `Brings a cluster up, or what is missing of it: run again, it changes nothing;
after an interruption, it goes on. Without a cluster file it takes the one that the cluster
was made from; where there is no cluster yet, it makes three control-plane
nodes, one worker node and a load balancer in the shared identity. Where the load balancer is
your own (kind external), it first prints what to set there, and checks that before a kubelet
relies on it.

A cluster that is there is changed as haplane apply does it, measured and proved. It asks
where nodes would leave, and where it would go on with an upgrade that stopped, and only there;
flags about measuring, draining and the lock are for such a cluster.`,
		Example: `  haplane up
  haplane up --cluster blue -f blue.yaml
  haplane up -f blue.yaml --dry-run`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := a.readRequest(cmd.Context(), cmd.Flags().Changed("cluster"))
			if err != nil {
				return err
			}
			if err := f.check(); err != nil {
				return err
			}
			if dryRun {
				return a.showPlan(cmd.Context(), q, f.output)
			}
			return a.runUp(cmd, q, f, merge)
		},
	}
	f = a.addChangeFlags(cmd)
	a.addFileFlag(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print the steps, the keys and the file diff, and change nothing")
	cmd.Flags().BoolVar(&merge, "merge-kubeconfig", true, "add a context for the cluster to your kubeconfig")
	return cmd
}

func (a *app) addFileFlag(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&a.file, "file", "f", "", "cluster file, - for standard input (default: the defaults)")
	_ = cmd.MarkFlagFilename("file", "yaml", "yml")
}

// warn tells of what is allowed and still not wise.
func (a *app) warn(c *spec.Cluster) {
	for _, warning := range spec.Warnings(c) {
		fmt.Fprintln(a.Err, "warning:", warning)
	}
}

func (a *app) runUp(cmd *cobra.Command, q cluster.Request, f *changeFlags, merge bool) error {
	name := q.Wanted.Metadata.Name
	if h, err := cluster.Open(name); err != nil || !h.Whole() { // of one that is there the plan has them
		a.warn(q.Wanted)
	}
	a.complete(&q, cmd, f)
	q.Confirm = a.agree(func(p *cluster.Plan) bool { return f.yes || !p.Removes() && !p.Upgrades() })
	o, done, err := a.options(name, "up")
	if err != nil {
		return err
	}
	outcome, err := cluster.Up(cmd.Context(), q, o)
	done()
	if outcome != nil {
		err = errors.Join(err, a.writeTimeline(f.timeline, outcome))
	}
	if outcome != nil && f.output == "text" {
		view.Outcome(a.Out, outcome)
	}
	if outcome != nil && outcome.Arrived && merge {
		err = errors.Join(err, a.mergeKubeconfig(cmd.Context(), name))
	}
	if outcome != nil && f.output == "json" {
		return errors.Join(err, view.JSON(a.Out, outcome))
	}
	if err != nil {
		return err
	}
	if outcome.Nothing() {
		fmt.Fprintf(a.Out, "cluster %s is up; nothing changed\n", name)
		return nil
	}
	fmt.Fprintf(a.Out, "cluster %s is up; kubectl context: %s\n", name, kubeconfig.Entry(name))
	return nil
}

// readRequest reads the cluster file, else takes the one that the cluster was made
// from, else the defaults. --cluster names the cluster where there is no file, and must not
// contradict one.
func (a *app) readRequest(ctx context.Context, named bool) (cluster.Request, error) {
	if a.file == "" {
		if made, err := madeFrom(a.cluster); made != nil || err != nil {
			return cluster.Request{Wanted: made}, err
		}
		c := spec.Default(a.cluster)
		if errs := spec.Validate(c); len(errs) > 0 {
			return cluster.Request{}, usageError{fmt.Errorf("--cluster: %w", errs.ToAggregate())}
		}
		return cluster.Request{Wanted: c}, nil
	}
	name, data, err := a.readFile(ctx)
	if err != nil {
		return cluster.Request{}, usageError{err}
	}
	return a.request(name, data, named)
}

// madeFrom returns the cluster as it was made, or nil where there is none.
func madeFrom(name string) (*spec.Cluster, error) {
	s, err := store.Open(name)
	if err != nil {
		return nil, err
	}
	c, err := s.Cluster()
	if errors.Is(err, store.ErrNoCluster) {
		return nil, nil
	}
	return c, err
}

func parseCluster(file string, data []byte, cluster string, named bool) (*spec.Cluster, error) {
	c, err := spec.Parse(file, data)
	if err != nil {
		return nil, err
	}
	if named && c.Metadata.Name != cluster {
		return nil, usageError{fmt.Errorf("%s: metadata.name is %q, but --cluster is %q; write the same to both, or leave --cluster out", file, c.Metadata.Name, cluster)}
	}
	return c, nil
}
