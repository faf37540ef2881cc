package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/view"
)

func (a *app) etcd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "etcd",
		Short: "Look after etcd: members, leader, room, snapshots, restore",
		Example: `  haplane etcd members
  haplane etcd defrag
  haplane etcd snapshot save
  haplane etcd restore FILE`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.etcdMembers(), a.etcdMoveLeader(), a.etcdDefrag(), a.etcdAlarm(), a.etcdSnapshot(), a.etcdRestore(), a.etcdRecover())
	return cmd
}

func (a *app) etcdMembers() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "members",
		Short: "Show the members, each as it sees itself: health, leader, size of its data, alarms",
		Example: `  haplane etcd members
  haplane etcd members -o json | jq '.[] | select(.healthy | not)'`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			h, err := a.open()
			if err != nil {
				return err
			}
			members, err := h.EtcdMembers(cmd.Context())
			if err != nil {
				return err
			}
			if output == "json" {
				return view.JSON(a.Out, members)
			}
			return view.EtcdMembers(a.Out, members)
		},
	}
	a.addClusterFlag(cmd)
	addOutput(cmd, &output)
	addYes(cmd)
	return cmd
}

func (a *app) etcdMoveLeader() *cobra.Command {
	var f *changeFlags
	cmd := &cobra.Command{
		Use:   "move-leader [NODE]",
		Short: "Let another member lead: that of a node, or any that is healthy",
		Example: `  haplane etcd move-leader
  haplane etcd move-leader cp-2 --yes`,
		Args:              usage(cobra.MaximumNArgs(1)),
		ValidArgsFunction: a.completeNodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.editNodes(cmd, "etcd-move-leader", f, func(h *cluster.Handle) (cluster.Request, error) {
				if len(args) == 0 {
					return h.MoveLeader("")
				}
				return h.MoveLeader(args[0])
			})
		},
	}
	f = a.addChangeFlags(cmd)
	return cmd
}

func (a *app) etcdDefrag() *cobra.Command {
	var f *changeFlags
	cmd := &cobra.Command{
		Use:   "defrag",
		Short: "Give back the room that deleted data had: one member after another, the leader last",
		Long: `Has each member copy its database into a new file, one after another, the leader last and
after it has handed over. A member answers nobody while it copies: meanwhile the load
balancers send no new connections to the API server beside it, and where there is more than
64 MiB of data that API server is stopped in good order before. It is refused where the
others would be no quorum.`,
		Example: `  haplane etcd defrag --yes`,
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.editNodes(cmd, "etcd-defrag", f, func(h *cluster.Handle) (cluster.Request, error) { return h.Defragment(), nil })
		},
	}
	f = a.addChangeFlags(cmd)
	return cmd
}

func (a *app) etcdAlarm() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "alarm",
		Short:   "Show etcd's alarms, and make room where it has none",
		Example: `  haplane etcd alarm list`,
		Args:    usage(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.etcdAlarmList(), a.etcdAlarmDisarm())
	return cmd
}

func (a *app) etcdAlarmList() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the alarms that are raised: NOSPACE, CORRUPT",
		Example: `  haplane etcd alarm list -o json`,
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			h, err := a.open()
			if err != nil {
				return err
			}
			alarms, err := h.EtcdAlarms(cmd.Context())
			if err != nil {
				return err
			}
			if output == "json" {
				return view.JSON(a.Out, alarms)
			}
			for _, alarm := range alarms {
				fmt.Fprintf(a.Out, "%s\t%s\n", alarm.Kind, alarm.Member)
			}
			if len(alarms) == 0 {
				fmt.Fprintln(a.Out, "no alarm is raised")
			}
			return nil
		},
	}
	a.addClusterFlag(cmd)
	addOutput(cmd, &output)
	addYes(cmd)
	return cmd
}

func (a *app) etcdAlarmDisarm() *cobra.Command {
	var f *changeFlags
	cmd := &cobra.Command{
		Use:   "disarm",
		Short: "Clear NOSPACE: old revisions dropped, members defragmented, and a write tried",
		Long: `Where etcd's data has reached its quota, it takes no writes until there is room and somebody
clears the alarm. This drops all old revisions, defragments the members one after another,
clears the alarm if there is room on each, and sees that a write through the API is taken.
What is not needed can be deleted with kubectl before: that is allowed meanwhile.`,
		Example: `  haplane etcd alarm disarm --yes`,
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.editNodes(cmd, "etcd-alarm-disarm", f, func(h *cluster.Handle) (cluster.Request, error) { return h.MakeRoom(), nil })
		},
	}
	f = a.addChangeFlags(cmd)
	return cmd
}
