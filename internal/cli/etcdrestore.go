package cli

import (
	"errors"
	"fmt"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/snapshot"
	"github.com/haplane/haplane/internal/store"
)

func (a *app) etcdRestore() *cobra.Command {
	var f *changeFlags
	var identities []string
	var older bool
	cmd := &cobra.Command{
		Use:   "restore FILE|NODE:NAME",
		Short: "Give the whole control plane the data of a snapshot",
		Long: `Verifies the snapshot, makes the data of every member of it beside what is there, and only
then stops the API servers and etcd, puts the new data in place, and starts them again. The
revision leaps ahead and all history counts as compacted, so that watches and controllers
begin anew. The data of before is kept until a write was acknowledged; until then
haplane apply --abort goes back to it.

A snapshot of another cluster, or one that is damaged, is refused, and so is one that is
older than the cluster's data, unless --discard-newer is given. The plan says which revisions
are lost before it asks. Control-plane nodes whose machines are gone are made anew afterwards;
where no etcd member or no API server is left, they are made anew first, with the names, the
keys and the authorities that they had. Where the cluster is not on record here, because the
record was lost or this is another host, record and keys come out of the snapshot too.

Where the encryption key was rotated since, a snapshot that has its own key in it is restored
with that: API servers read with both until all Secrets are written anew, and restart without
it afterwards, one after another. One without keys is refused then.

NODE:NAME is a snapshot that a machine took by itself, as haplane etcd snapshot list has it: it
is copied into haplane's folder first, and stays there.`,
		Example: `  haplane etcd restore ~/.haplane/demo/snapshots/20261128T131502Z.tar --discard-newer
  haplane etcd restore /backup/demo.tar.age --identity key.txt --discard-newer --yes
  haplane etcd restore cp-1:20261128T180000Z-r683.tar --discard-newer
  haplane etcd restore /backup/demo.tar.age --identity key.txt   # on another host: all is made anew`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			keys, err := snapshot.Identities(identities)
			if err != nil {
				return usageError{err}
			}
			if err := f.check(); err != nil {
				return err
			}
			imported, undo, err := a.recordFrom(cmd, args[0], keys)
			if err != nil {
				return badSnapshot(err)
			}
			err = badSnapshot(a.editNodes(cmd, "etcd-restore", f, func(h *cluster.Handle) (cluster.Request, error) {
				file, err := h.FetchSnapshot(cmd.Context(), args[0])
				if err != nil {
					return cluster.Request{}, err
				}
				return h.RestoreSnapshot(cmd.Context(), file, keys, older)
			}))
			switch {
			case imported && err != nil:
				return errors.Join(err, undo())
			case imported:
				return a.mergeKubeconfig(cmd.Context(), a.cluster)
			}
			return err
		},
	}
	f = a.addChangeFlags(cmd)
	addIdentities(cmd, &identities)
	cmd.Flags().BoolVar(&older, "discard-newer", false, "restore a snapshot that is older than the cluster's data; what is newer is lost")
	return cmd
}

// recordFrom takes the record and the keys of a cluster that is not on record here out of a snapshot. undo removes them
// again, unless anything was begun with them.
func (a *app) recordFrom(cmd *cobra.Command, file string, keys []age.Identity) (imported bool, undo func() error, err error) {
	if _, err := cluster.Open(a.cluster); !errors.Is(err, store.ErrNoCluster) {
		return false, nil, nil // what is wrong with it is found next
	}
	name := ""
	if cmd.Flags().Changed("cluster") {
		name = a.cluster
	}
	h, undo, err := cluster.ImportSnapshot(file, name, keys)
	if err != nil {
		return false, nil, err
	}
	a.cluster = h.Request().Wanted.Metadata.Name
	if !a.quiet {
		fmt.Fprintf(a.Err, "cluster %s is not on record here: its record and its keys come from the snapshot\n", a.cluster)
	}
	return true, undo, nil
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
machines are off, it is refused.

A restore that was cut off goes on first, unless a write was acknowledged since and the quorum
was lost then: those that are left have what was written, and this goes on with that.`,
		Example: `  haplane etcd recover`,
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.editNodes(cmd, "etcd-recover", f, func(h *cluster.Handle) (cluster.Request, error) { return h.Recover(cmd.Context()) })
		},
	}
	f = a.addChangeFlags(cmd)
	return cmd
}
