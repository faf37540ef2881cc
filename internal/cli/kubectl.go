package cli

import (
	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/cluster"
)

func (a *app) kubectl() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kubectl [ARGS...]",
		Short: "Run the kubectl that belongs to a cluster",
		Long: `Runs the kubectl that was built with the cluster's components, as the cluster's
administrator. Your own kubectl works as well, with the context haplane-CLUSTER.`,
		Example: `  haplane kubectl get nodes -o wide
  haplane kubectl --cluster blue -- get pods -A`,
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := a.open()
			if err != nil {
				return err
			}
			config, err := h.KubeconfigFile()
			if err != nil {
				return err
			}
			cache, err := cluster.CacheDir()
			if err != nil {
				return err
			}
			program, err := h.Kubectl(cmd.Context(), cache)
			if err != nil {
				return err
			}
			return a.hand(cmd, program, args, []string{"KUBECONFIG=" + config})
		},
	}
	a.addClusterFlag(cmd)
	cmd.Flags().SetInterspersed(false)
	return cmd
}
