package cli

import (
	"context"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/view"
)

func (a *app) plan() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what makes a cluster match its file, step by step, and change nothing",
		Long: `Looks at a cluster and shows what haplane apply would do to make it match the cluster
file: the steps in their order with the reason for each, differences of files (secrets are
named, never shown), certificates that are reissued, programs that are reloaded or
restarted and, for etcd, how many failures are tolerated before and after each step.`,
		Example: `  haplane plan -f blue.yaml
  haplane plan --cluster blue -o json`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := a.readRequest(cmd.Context(), cmd.Flags().Changed("cluster"))
			if err != nil {
				return err
			}
			return a.showPlan(cmd.Context(), q, output)
		},
	}
	a.addClusterFlag(cmd)
	a.addFileFlag(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	addYes(cmd)
	return cmd
}

// showPlan writes what a run would do.
func (a *app) showPlan(ctx context.Context, q cluster.Request, output string) error {
	if err := checkOutput(output); err != nil {
		return err
	}
	o, err := a.quietOptions(q.Wanted.Metadata.Name)
	if err != nil {
		return err
	}
	plan, err := cluster.PlanFor(ctx, q, o)
	if err != nil {
		return err
	}
	if output == "json" {
		return view.JSON(a.Out, plan)
	}
	view.Plan(a.Out, plan)
	return nil
}

// quietOptions are those of a run that changes nothing, and so writes no log.
func (a *app) quietOptions(name string) (cluster.Options, error) {
	s, err := store.Open(name)
	if err != nil {
		return cluster.Options{}, err
	}
	cache, err := cluster.CacheDir()
	return cluster.Options{Store: s, Cache: cache, Log: slog.New(slog.DiscardHandler)}, err
}
