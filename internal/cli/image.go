package cli

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/cluster"
)

func (a *app) image() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "image",
		Short:   "Build the golden image that machines are made from",
		Example: `  haplane image build`,
		Args:    usage(cobra.NoArgs),
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.imageBuild())
	return cmd
}

func (a *app) imageBuild() *cobra.Command {
	return &cobra.Command{
		Use:   "build",
		Short: "Build the components from source, and the image, as far as they are not in the cache",
		Long: `Builds Kubernetes, etcd, containerd and the other components from their Go modules, and
a Debian root filesystem with all of them. Both are kept in the cache by the digest of
what they are made of; haplane up does the same when it needs to.`,
		Example: `  haplane image build`,
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			home, err := cluster.Home()
			if err != nil {
				return err
			}
			o, done, err := a.logged(cluster.Options{}, filepath.Join(home, "logs"), "image-build")
			if err != nil {
				return err
			}
			built, err := cluster.BuildImage(cmd.Context(), o)
			done()
			if err != nil {
				return err
			}
			fmt.Fprintf(a.Out, "image %s in %s\n", built.Digest, built.Dir)
			return nil
		},
	}
}
