package cli

import (
	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/snapshot"
)

func (a *app) etcdRestore() *cobra.Command {
	var f *changeFlags
	var identities []string
	var older bool
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Give the whole control plane the data of a snapshot",
		Long: `Verifies the snapshot, makes the data of every member of it beside what is there, and only
then stops the API servers and etcd, puts the new data in place, and starts them again. The
revision leaps ahead and all history counts as compacted, so that watches and controllers
begin anew. The data of before is kept until a write was acknowledged; until then
haplane apply --abort goes back to it.

A snapshot of another cluster, or one that is damaged, is refused, and so is one that is
older than the cluster's data, unless --discard-newer is given. The plan says which revisions
are lost before it asks. Control-plane nodes whose machines are gone are made anew afterwards.`,
		Example: `  haplane etcd restore ~/.haplane/demo/snapshots/20261128T131502Z.tar --discard-newer
  haplane etcd restore /backup/demo.tar.age --identity key.txt --discard-newer --yes`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			keys, err := snapshot.Identities(identities)
			if err != nil {
				return usageError{err}
			}
			return badSnapshot(a.editNodes(cmd, "etcd-restore", f, func(h *cluster.Handle) (cluster.Request, error) {
				return h.RestoreSnapshot(cmd.Context(), args[0], keys, older)
			}))
		},
	}
	f = a.addChangeFlags(cmd)
	addIdentities(cmd, &identities)
	cmd.Flags().BoolVar(&older, "discard-newer", false, "restore a snapshot that is older than the cluster's data; what is newer is lost")
	return cmd
}

func (a *app) etcdRecover() *cobra.Command {
	var f *changeFlags
	cmd := &cobra.Command{
		Use:   "recover",
		Short: "Go on with what is left, where the machines of most etcd members are gone for good",
		Long: `Where most machines with etcd members are gone with their disks, there is no quorum, and never
will be. This takes the data of the member that is left (of several, of the one that has most),
makes a cluster of those that are left with it, and then makes the others anew as
haplane node replace does. What others acknowledged without that member is lost: the plan says
when that member wrote its last entry before it asks. Where a quorum is there, or only
machines are off, it is refused.`,
		Example: `  haplane etcd recover`,
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.editNodes(cmd, "etcd-recover", f, func(h *cluster.Handle) (cluster.Request, error) { return h.Recover(cmd.Context()) })
		},
	}
	f = a.addChangeFlags(cmd)
	return cmd
}
