package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/kubeconfig"
)

func (a *app) kubeconfig() *cobra.Command {
	var raw bool
	var node string
	cmd := &cobra.Command{
		Use:   "kubeconfig",
		Short: "Add a cluster's context to your kubeconfig, or print it",
		Long: `Adds the cluster, an administrator and a context named haplane-CLUSTER to the kubeconfig
that kubectl reads ($KUBECONFIG, else ~/.kube/config), and makes the context the current one.

With --node the kubeconfig goes straight to one API server. Its certificate need not have
the node's address, so the kubeconfig says under which name it is verified.`,
		Example: `  haplane kubeconfig
  haplane kubeconfig --cluster blue --raw > blue.conf
  haplane kubeconfig --raw --node cp-2 > cp-2.conf && kubectl --kubeconfig cp-2.conf get --raw /readyz`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := a.open()
			if err != nil {
				return err
			}
			config, err := h.Kubeconfig(node)
			if err != nil {
				return err
			}
			if !raw {
				return a.merge(cmd.Context(), config)
			}
			data, err := config.Bytes()
			if err != nil {
				return err
			}
			_, err = a.Out.Write(data)
			return err
		},
	}
	a.addClusterFlag(cmd)
	cmd.Flags().BoolVar(&raw, "raw", false, "print the kubeconfig instead")
	cmd.Flags().StringVar(&node, "node", "", "go straight to the API server of this node")
	_ = cmd.RegisterFlagCompletionFunc("node", a.completeNodes)
	return cmd
}

func (a *app) mergeKubeconfig(ctx context.Context, name string) error {
	config, err := administrator(name)
	if err != nil {
		return err
	}
	return a.merge(ctx, config)
}

// administrator is the kubeconfig of a cluster's administrator, through the load balancer.
func administrator(name string) (kubeconfig.Config, error) {
	h, err := cluster.Open(name)
	if err != nil {
		return kubeconfig.Config{}, err
	}
	return h.Kubeconfig("")
}

// refreshKubeconfig renews what the user has of a cluster whose administrator has another certificate now. The
// change has arrived: what goes wrong here is a warning.
func (a *app) refreshKubeconfig(ctx context.Context, name string) {
	file := ""
	config, err := administrator(name)
	if err == nil {
		file, err = kubeconfig.UserFiles().Refresh(ctx, config)
	}
	switch {
	case err != nil:
		fmt.Fprintf(a.Err, "warning: the kubeconfig is as it was: %v\n", err)
	case file != "" && !a.quiet:
		fmt.Fprintf(a.Err, "context %s in %s has the new certificate\n", kubeconfig.Entry(name), file)
	}
}

// moveKubeconfig has what the user has of a cluster lead to where its load balancer is now.
func (a *app) moveKubeconfig(ctx context.Context, name string, before []string) error {
	config, err := administrator(name)
	if err != nil {
		return err
	}
	file, err := kubeconfig.UserFiles().Move(ctx, config, before)
	if file != "" && !a.quiet {
		fmt.Fprintf(a.Err, "context %s in %s leads to %s\n", kubeconfig.Entry(name), file, config.Server)
	}
	return err
}

func (a *app) merge(ctx context.Context, config kubeconfig.Config) error {
	file, err := kubeconfig.UserFiles().Merge(ctx, config)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Err, "context %s is in %s\n", kubeconfig.Entry(config.Cluster), file)
	return nil
}
