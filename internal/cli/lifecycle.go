package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/cluster"
)

func (a *app) stop() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "Shut the machines of a cluster down; their data stays",
		Example: `  haplane stop
  haplane start`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.change(cmd, "stop", "stopped", cluster.Stop)
		},
	}
	a.addClusterFlag(cmd)
	return cmd
}

func (a *app) start() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Start the machines of a cluster again and wait until it is as it was",
		Long: `Starts the machines of a cluster that was stopped, or that went down with this host,
in any order, and waits until API servers, nodes and DNS are ready. On a host that runs
systemd the machines start with it by themselves, unless they were stopped.`,
		Example: `  haplane start --cluster blue`,
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.change(cmd, "start", "up", cluster.Start)
		},
	}
	a.addClusterFlag(cmd)
	return cmd
}

// change runs a workflow on the cluster that --cluster names.
func (a *app) change(cmd *cobra.Command, command, state string, run func(context.Context, cluster.Options) ([]string, error)) error {
	if _, err := a.open(); err != nil {
		return err
	}
	o, done, err := a.options(a.cluster, command)
	if err != nil {
		return err
	}
	changes, err := run(cmd.Context(), o)
	done()
	if err != nil {
		return err
	}
	note := ""
	if len(changes) == 0 {
		note = "; nothing changed"
	}
	fmt.Fprintf(a.Out, "cluster %s is %s%s\n", a.cluster, state, note)
	return nil
}
