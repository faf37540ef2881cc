package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/spec"
)

func (a *app) render() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "render",
		Short: "Write every file of every machine to a folder, without touching a machine",
		Long: `Writes what up would put on the machines: units, configurations, kubeconfigs,
certificates and keys, as DIR/NODE/PATH with their modes, and the manifests. Run twice, only
keys and certificates differ; for a cluster that exists its own are written.`,
		Example: `  haplane render -o files
  haplane render -f blue.yaml -o blue && diff -r files/cp-1 blue/cp-1`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return usageError{fmt.Errorf("--output is required; see '%s --help'", cmd.CommandPath())}
			}
			q, err := a.readRequest(cmd.Context(), cmd.Flags().Changed("cluster"))
			if err != nil {
				return err
			}
			s, err := store.Open(q.Wanted.Metadata.Name)
			if err != nil {
				return err
			}
			count, err := cluster.Render(q.Wanted, cluster.Options{Store: s}, dir)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.Out, "wrote %d files to %s\n", count, dir)
			return nil
		},
	}
	a.addClusterFlag(cmd)
	a.addFileFlag(cmd)
	cmd.Flags().StringVarP(&dir, "output", "o", "", "folder to write to; it must be empty or missing (required)")
	_ = cmd.MarkFlagDirname("output")
	return cmd
}

func (a *app) initFile() *cobra.Command {
	return &cobra.Command{
		Use:     "init",
		Short:   "Print a cluster file with all defaults and comments",
		Example: `  haplane init > cluster.yaml`,
		Args:    usage(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(a.Out, spec.DefaultFile)
			return err
		},
	}
}

func (a *app) schema() *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON Schema of the cluster file",
		Example: `  haplane schema > haplane.schema.json`,
		Args:    usage(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(a.Out, spec.Schema)
			return err
		},
	}
}
