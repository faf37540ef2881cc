package cli

import (
	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/view"
)

func (a *app) status() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the nodes, API servers, etcd members, leaders and the load balancer",
		Long: `Shows what a cluster looks like right now, asking every part of it: nodes, each API
server's /readyz, etcd members, the holders of the leader leases, the endpoints of
default/kubernetes, and the load balancer's backends: of one of your own (kind external)
those that new connections lead to.`,
		Example: `  haplane status
  haplane status -o json | jq '.apiServers[] | select(.ready | not)'`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			h, err := a.find() // the status tells
			if err != nil {
				return err
			}
			status, err := h.Status(cmd.Context())
			if err != nil {
				return err
			}
			if output == "json" {
				return view.JSON(a.Out, status)
			}
			return view.Status(a.Out, status)
		},
	}
	a.addClusterFlag(cmd)
	addOutput(cmd, &output)
	return cmd
}
