package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/spec"
)

func (a *app) node() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "node",
		Short: "Add, remove and replace nodes of a live cluster",
		Example: `  haplane node add --role control-plane cp-4 cp-5
  haplane node remove cp-1
  haplane node replace cp-2`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.nodeAdd(), a.nodeRemove(), a.nodeReplace())
	return cmd
}

func (a *app) nodeAdd() *cobra.Command {
	var f *changeFlags
	var role string
	cmd := &cobra.Command{
		Use:   "add [NAME...]",
		Short: "Add nodes: machines side by side, etcd members one after another",
		Long: `Adds nodes to the cluster's file, whose comments stay, and to the cluster. Without a name
it adds one, and names it. In the identities shared and sharedCertificate nothing changes on
other nodes but the backends of the load balancer. Give one of your own (kind external) a new
control-plane node before, or within a minute of its being ready. The first nodes of role etcd
take etcd, with its data, over from the control-plane nodes: the plan says so. A second load
balancer shares the address of the first, which gets another one for itself.`,
		Example: `  haplane node add                                # a worker
  haplane node add --role control-plane cp-4 cp-5
  haplane node add --role etcd etcd-1 etcd-2 etcd-3
  haplane node add --role load-balancer           # a second one: they move the address between them`,
		RunE: func(cmd *cobra.Command, names []string) error {
			if !slices.Contains(roles, role) {
				return usageError{fmt.Errorf("--role %q: must be one of %s", role, strings.Join(roles, ", "))}
			}
			return a.editNodes(cmd, "node-add", f, func(h *cluster.Handle) (cluster.Request, error) {
				return h.AddNodes(spec.Role(role), names)
			})
		},
	}
	f = a.addChangeFlags(cmd)
	cmd.Flags().StringVar(&role, "role", string(spec.RoleWorker), "control-plane, worker, etcd or load-balancer")
	_ = cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions(roles, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

var roles = []string{string(spec.RoleControlPlane), string(spec.RoleWorker), string(spec.RoleEtcd), string(spec.RoleLoadBalancer)}

func (a *app) nodeRemove() *cobra.Command {
	var f *changeFlags
	cmd := &cobra.Command{
		Use:   "remove NAME...",
		Short: "Remove nodes, any of them: drained, taken out of etcd, and their machines with them",
		Long: `Removes nodes from the cluster's file and from the cluster. Without the last nodes of role etcd,
etcd moves, with its data, to the control-plane nodes: the plan says so. With a machine goes what
pods keep on it (emptyDir, hostPath, local PersistentVolumes): the plan names what there is.`,
		Example: `  haplane node remove cp-1
  haplane node remove worker-2 worker-3 --drain-timeout 10m --yes`,
		Args:              usage(cobra.MinimumNArgs(1)),
		ValidArgsFunction: a.completeAllNodes,
		RunE: func(cmd *cobra.Command, names []string) error {
			return a.editNodes(cmd, "node-remove", f, func(h *cluster.Handle) (cluster.Request, error) { return h.RemoveNodes(names) })
		},
	}
	f = a.addChangeFlags(cmd)
	return cmd
}

func (a *app) nodeReplace() *cobra.Command {
	var f *changeFlags
	var surge bool
	var with string
	cmd := &cobra.Command{
		Use:   "replace NAME...",
		Short: "Replace a node, alive or dead, under its name and address or by a new one",
		Long: `Makes a node anew. Without further flags it leaves first and comes back under its name and
address: meanwhile fewer failures are tolerated, and the plan says how many. With --surge, or
--with NEW to name it, a new node joins before the old one leaves. The new machine begins empty:
what pods keep on the old one is lost, and the plan names what there is.`,
		Example: `  haplane node replace cp-2                # its machine is gone, or is to be made anew
  haplane node replace cp-2 --surge
  haplane node replace cp-2 --with cp-7`,
		Args:              usage(cobra.MinimumNArgs(1)),
		ValidArgsFunction: a.completeAllNodes,
		RunE: func(cmd *cobra.Command, names []string) error {
			if surge && with != "" {
				return usageError{errors.New("--surge and --with exclude each other: --with names the node that --surge would name itself")}
			}
			if len(names) > 1 && (surge || with != "") {
				return usageError{errors.New("--surge and --with are for one node")}
			}
			return a.editNodes(cmd, "node-replace", f, func(h *cluster.Handle) (cluster.Request, error) {
				if surge || with != "" {
					return h.ReplaceNodeWith(names[0], with)
				}
				return h.ReplaceNodes(names)
			})
		},
	}
	f = a.addChangeFlags(cmd)
	cmd.Flags().BoolVar(&surge, "surge", false, "let a new node join before the old one leaves")
	cmd.Flags().StringVar(&with, "with", "", "name of the new node that joins before the old one leaves")
	return cmd
}

// editNodes changes the cluster to what edit makes of its file.
func (a *app) editNodes(cmd *cobra.Command, command string, f *changeFlags, edit func(*cluster.Handle) (cluster.Request, error)) error {
	if err := f.check(); err != nil {
		return err
	}
	h, err := a.find() // the plan tells of a change that was cut off
	if err != nil {
		return err
	}
	q, err := edit(h)
	var wrong *cluster.NodeNameError
	if errors.As(err, &wrong) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	return a.runChange(cmd, command, q, f)
}

// completeAllNodes completes every argument with the nodes that are not named yet.
func (a *app) completeAllNodes(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	h, err := cluster.Open(a.cluster)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return slices.DeleteFunc(h.NodeNames(), func(n string) bool { return slices.Contains(args, n) }), cobra.ShellCompDirectiveNoFileComp
}
