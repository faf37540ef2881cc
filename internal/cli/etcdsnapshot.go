package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/snapshot"
	"github.com/haplane/haplane/internal/view"
)

func (a *app) etcdSnapshot() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "snapshot",
		Short: "Save, list and verify snapshots of etcd with what a restore needs",
		Example: `  haplane etcd snapshot save
  haplane etcd snapshot verify FILE`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.etcdSnapshotSave(), a.etcdSnapshotList(), a.etcdSnapshotCopy(), a.etcdSnapshotVerify())
	return cmd
}

func (a *app) etcdSnapshotCopy() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "copy NODE:NAME",
		Short:   "Copy a snapshot that a machine keeps into haplane's folder, and print its file",
		Example: `  haplane etcd snapshot copy cp-1:20261128T180000Z-r683.tar`,
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := a.open()
			if err != nil {
				return err
			}
			file, err := h.FetchSnapshot(cmd.Context(), args[0])
			if err != nil {
				return badSnapshot(err)
			}
			if file == args[0] {
				return usageError{fmt.Errorf("%q names no snapshot of a machine: haplane etcd snapshot list has them as NODE:NAME", args[0])}
			}
			_, err = fmt.Fprintln(a.Out, file)
			return err
		},
	}
	a.addClusterFlag(cmd)
	addYes(cmd)
	return cmd
}

func (a *app) etcdSnapshotSave() *cobra.Command {
	var recipients []string
	var yes, force bool
	var retain int
	var output string
	cmd := &cobra.Command{
		Use:   "save [FILE]",
		Short: "Take etcd's data from a member, verify it, and keep it with the record and the keys",
		Long: `Takes etcd's data from a healthy member over mutual TLS, sees that it is whole (the hash that
etcd appends, etcdutl's look at all of it, a test restore), and writes it to one file with the
record, the cluster file, and all keys of the cluster. Without FILE that is one in haplane's
own folder. A file elsewhere should be encrypted: --recipient takes a public key of age, or a
file that has some. Without one it asks.`,
		Example: `  haplane etcd snapshot save
  haplane etcd snapshot save --retain 7           # from a timer of systemd, say
  haplane etcd snapshot save /backup/demo.tar.age --recipient age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg`,
		Args: usage(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			if cmd.Flags().Changed("retain") && (retain < 1 || len(args) > 0) {
				return usageError{errors.New("--retain keeps at least 1 snapshot, of those in haplane's folder: it goes without FILE")}
			}
			to, err := snapshot.Recipients(recipients)
			if err != nil {
				return usageError{err}
			}
			h, err := a.open()
			if err != nil {
				return err
			}
			file := h.SnapshotFile(len(to) > 0)
			if len(args) > 0 {
				file = args[0]
			}
			if _, err := os.Lstat(file); err == nil && !force {
				return usageError{fmt.Errorf("%s is there already; --force writes over it", file)}
			}
			if len(to) == 0 && h.Leaves(file) {
				if err := a.agreeToPlain(file, yes); err != nil {
					return err
				}
			}
			saved, err := h.SaveSnapshot(cmd.Context(), file, to)
			if err != nil {
				return err
			}
			if retain > 0 {
				if _, err := h.RetainSnapshots(retain); err != nil {
					return err
				}
			}
			if output == "json" {
				return view.JSON(a.Out, saved)
			}
			return view.Snapshot(a.Out, saved)
		},
	}
	a.addClusterFlag(cmd)
	addOutput(cmd, &output)
	cmd.Flags().IntVar(&retain, "retain", 0, "keep so many snapshots in haplane's folder, and remove the older ones; 0 keeps all")
	cmd.Flags().StringArrayVar(&recipients, "recipient", nil, "a public key of age (age1...), or a file that has some; the file is encrypted for all")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask, also where keys are written unencrypted")
	cmd.Flags().BoolVar(&force, "force", false, "write over a file that is there")
	return cmd
}

// agreeToPlain says what a file would have that is not encrypted, and asks.
func (a *app) agreeToPlain(file string, yes bool) error {
	fmt.Fprintf(a.Err, "warning: %s will have, UNENCRYPTED, all keys of the cluster and all its Secrets' keys: whoever reads it is its administrator; --recipient encrypts it\n", file)
	if yes {
		return nil
	}
	if !term.IsTerminal(int(a.In.Fd())) {
		return usageError{errors.New("nothing was written: --recipient KEY encrypts the file, --yes writes it as it is")}
	}
	if a.confirm("\nwrite it like that?") {
		return nil
	}
	return errors.New("declined; nothing was written")
}

func (a *app) etcdSnapshotList() *cobra.Command {
	var identities []string
	var output string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the snapshots in haplane's folder of the cluster, and those that its machines keep",
		Long: `Lists the snapshots in haplane's folder and, as NODE:NAME, those that machines with an etcd
member took on the schedule of spec.etcd.snapshots and keep. What is listed of these is what
their names tell; haplane etcd snapshot copy, verify and restore take them by that name. It notes
what was rotated since one was taken, and where its Secrets cannot be read any more.`,
		Example: `  haplane etcd snapshot list
  haplane etcd snapshot list -o json | jq -r 'map(select(.node)) | last.file'`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			keys, err := snapshot.Identities(identities)
			if err != nil {
				return usageError{err}
			}
			h, err := a.open()
			if err != nil {
				return err
			}
			list, err := h.Snapshots(keys)
			if err != nil {
				return err
			}
			kept, err := h.KeptSnapshots(cmd.Context())
			if err != nil { // machines that do not answer take nothing from the others
				fmt.Fprintln(a.Err, "warning: not all machines were seen:", err)
			}
			list = append(list, kept...)
			if output == "json" {
				return view.JSON(a.Out, list)
			}
			return view.Snapshots(a.Out, list)
		},
	}
	a.addClusterFlag(cmd)
	addOutput(cmd, &output)
	addIdentities(cmd, &identities)
	addYes(cmd)
	return cmd
}

func addIdentities(cmd *cobra.Command, to *[]string) {
	cmd.Flags().StringArrayVarP(to, "identity", "i", nil, "a file with a private key of age, for files that are encrypted")
}

func (a *app) etcdSnapshotVerify() *cobra.Command {
	var identities []string
	var output string
	cmd := &cobra.Command{
		Use:   "verify FILE|NODE:NAME",
		Short: "Read all of a snapshot and restore its data once, into a folder that is removed again",
		Example: `  haplane etcd snapshot verify /backup/demo.tar
  haplane etcd snapshot verify /backup/demo.tar.age --identity key.txt`,
		Args: usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			keys, err := snapshot.Identities(identities)
			if err != nil {
				return usageError{err}
			}
			h, err := a.open()
			if err != nil {
				return err
			}
			file, err := h.FetchSnapshot(cmd.Context(), args[0])
			if err != nil {
				return badSnapshot(err)
			}
			seen, err := h.VerifySnapshot(cmd.Context(), file, keys)
			if err != nil {
				return badSnapshot(err)
			}
			if output == "json" {
				return view.JSON(a.Out, seen)
			}
			return view.Snapshot(a.Out, seen)
		},
	}
	a.addClusterFlag(cmd)
	addOutput(cmd, &output)
	addIdentities(cmd, &identities)
	addYes(cmd)
	return cmd
}

// badSnapshot makes of a file that cannot be used a mistake in the call.
func badSnapshot(err error) error {
	var bad *cluster.SnapshotError
	if errors.As(err, &bad) {
		return usageError{err}
	}
	return err
}
