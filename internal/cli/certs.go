package cli

import (
	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/view"
)

func (a *app) certs() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "certs",
		Short: "List, renew, import and rotate the certificates and keys of a cluster",
		Example: `  haplane certs list
  haplane certs renew
  haplane certs renew apiserver etcd/server
  haplane certs rotate ca`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.certsList(), a.certsRenew(), a.certsCSR(), a.certsImport(), a.certsRotate())
	return cmd
}

func (a *app) certsList() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List every certificate and kubeconfig of the record and of all nodes",
		Long: `Lists certificates with the node that they are on (record: the cluster's folder of this
host), their serial, when they end, who signed them, and what each program that reads them
takes to read another: nothing, a reload or a restart. A node that cannot be looked at is named.`,
		Example: `  haplane certs list
  haplane certs list -o json | jq -r 'sort_by(.notAfter)[0] | .name, .notAfter'`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			h, err := a.open()
			if err != nil {
				return err
			}
			list, err := h.Certificates(cmd.Context())
			if err != nil {
				return err
			}
			if output == "json" {
				return view.JSON(a.Out, list)
			}
			return view.Certificates(a.Out, list)
		},
	}
	a.addClusterFlag(cmd)
	addOutput(cmd, &output)
	addYes(cmd)
	return cmd
}

func (a *app) certsRenew() *cobra.Command {
	var f *changeFlags
	cmd := &cobra.Command{
		Use:   "renew [NAME...]",
		Short: "Renew certificates, all but the authorities' or the named ones, node by node",
		Long: `Makes certificates anew, with new keys, and brings them to the nodes, one node after the
other. Programs that read theirs again by themselves go on running; what has to be restarted
is in the plan. NAME is as in haplane certs list; one of a node (etcd/server@cp-1) may be
given without it, and is then that of all nodes. It works as well where certificates have
ended and nobody answers any more: machines are reached over SSH. An authority that has ended
is made anew with its key then, and with it all that it signed.`,
		Example: `  haplane certs renew
  haplane certs renew apiserver etcd/server
  haplane certs renew kubelet-client@worker-1 --yes`,
		ValidArgsFunction: a.completeLeaves,
		RunE: func(cmd *cobra.Command, given []string) error {
			if err := f.check(); err != nil {
				return err
			}
			h, err := a.find() // the plan tells of a change that was cut off
			if err != nil {
				return err
			}
			names, err := h.LeafNames(given)
			if err != nil {
				return usageError{err}
			}
			q, err := h.RenewCertificates(names)
			if err != nil {
				return err
			}
			return a.runChange(cmd, "certs-renew", q, f)
		},
	}
	f = a.addChangeFlags(cmd)
	return cmd
}

// completeLeaves completes every argument with the names of certificates that are renewed.
func (a *app) completeLeaves(_ *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	h, err := cluster.Open(a.cluster)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, _ := h.LeafNames(nil)
	return names, cobra.ShellCompDirectiveNoFileComp
}
