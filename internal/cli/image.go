package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/image"
	"github.com/haplane/haplane/internal/store"
)

func (a *app) image() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: "Build, show and remove the golden images that machines are made from",
		Example: `  haplane image build
  haplane image list
  haplane image show
  haplane image prune --dry-run`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.imageBuild(), a.imageList(), a.imageShow(), a.imageRemove(), a.imagePrune())
	return cmd
}

func (a *app) imageBuild() *cobra.Command {
	kubernetes := ""
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Build the components from source, and the image, as far as they are not in the cache",
		Long: `Builds Kubernetes, etcd, containerd and the other components from their Go modules, and
a Debian root filesystem with all of them. Both are kept in the cache by the digest of
what they are made of; haplane up does the same when it needs to.`,
		Example: `  haplane image build
  haplane image build --kubernetes v1.36`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			home, err := store.Home()
			if err != nil {
				return err
			}
			o, done, err := a.logged(cluster.Options{}, filepath.Join(home, "logs"), "image-build")
			if err != nil {
				return err
			}
			built, err := cluster.BuildImage(cmd.Context(), kubernetes, o)
			done()
			if err != nil {
				return err
			}
			fmt.Fprintf(a.Out, "image %s in %s\n", built.Digest, built.Dir)
			return nil
		},
	}
	cmd.Flags().StringVar(&kubernetes, "kubernetes", "", "version of Kubernetes, in full or by its minor (default: the newest)")
	return cmd
}

// images tells where the images are, and how to ask which clusters use them.
func images() (cache string, users image.UsersFunc, err error) {
	if cache, err = cluster.CacheDir(); err != nil {
		return "", nil, err
	}
	home, err := store.Home()
	if err != nil {
		return "", nil, err
	}
	return cache, func() (map[string][]string, error) { return image.Users(cache, home) }, nil
}

// imagesInUse is for who only looks: a machine of which nobody can tell what it is
// made from is no reason to show nothing.
func (a *app) imagesInUse() (cache string, inUse map[string][]string, err error) {
	cache, users, err := images()
	if err != nil {
		return "", nil, err
	}
	inUse, err = users()
	if err != nil && inUse != nil {
		fmt.Fprintf(a.Err, "warning: %v\n", err)
		err = nil
	}
	return cache, inUse, err
}

// digests checks arguments that are digests or beginnings of them.
func digests(check cobra.PositionalArgs) cobra.PositionalArgs {
	return usage(func(cmd *cobra.Command, args []string) error {
		for _, arg := range args {
			if !image.IsDigest(arg) {
				return fmt.Errorf("%q is not the digest of an image, or the beginning of one: hexadecimal digits", arg)
			}
		}
		return check(cmd, args)
	})
}

// completeDigests completes up to max arguments with the images there are.
func completeDigests(max int) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		cache, _, err := images()
		if err != nil || len(args) >= max {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		list, _ := image.Summaries(cache, nil)
		var out []string
		for _, s := range list {
			if short := s.Digest[:min(12, len(s.Digest))]; !slices.Contains(args, short) {
				out = append(out, cobra.CompletionWithDesc(short, strings.TrimSpace("Kubernetes "+s.Kubernetes)))
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// hintImages says what helps where an image is missing, or in use.
func hintImages(err error) error {
	switch {
	case errors.Is(err, image.ErrNone):
		return &cluster.HintedError{Err: err, Hint: "haplane image list shows those there are, haplane image build makes one"}
	case errors.Is(err, image.ErrUnknown):
		return &cluster.HintedError{Err: err, Hint: "haplane up or haplane down of that cluster mends it"}
	case errors.Is(err, image.ErrInUse):
		return &cluster.HintedError{Err: err, Hint: "haplane down removes a cluster with its machines"}
	}
	return err
}
