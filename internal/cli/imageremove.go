package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/component"
	"github.com/haplane/haplane/internal/image"
	"github.com/haplane/haplane/internal/view"
)

func (a *app) imageRemove() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "rm DIGEST...", Aliases: []string{"remove"},
		Short: "Remove images that no machine is made from",
		Long: `Removes images. A digest may be cut short as long as it means one image. If one of them is
not there, or a cluster has machines made from it, none is removed. Components and bases
stay: haplane image prune removes those that nothing needs.`,
		Example:           `  haplane image rm 06f6ba041167 50a099`,
		Args:              digests(cobra.MinimumNArgs(1)),
		ValidArgsFunction: completeDigests(math.MaxInt),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			cache, users, err := images()
			if err != nil {
				return err
			}
			list, err := image.Remove(cache, args, users)
			return a.showRemoved(view.NewRemoved(list, false), output, hintImages(err))
		},
	}
	addOutput(cmd, &output)
	return cmd
}

func (a *app) imagePrune() *cobra.Command {
	var output string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove images and components that nothing needs",
		Long: `Removes the images that no machine is made from and no cluster names, as that of its next
machine or the one that haplane upgrade --back returns to, and what neither an image that is left
nor the next build needs: bases (the distribution without the components), components that
were built from other sources than the present, ready-made programs that were fetched, and
what interrupted builds left behind. What the present sources are built into stays, because
building it takes long. While another haplane builds, nothing is removed.`,
		Example: `  haplane image prune --dry-run
  haplane image prune`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			list, err := a.prune(cmd.Context(), dryRun)
			return a.showRemoved(view.NewRemoved(list, dryRun), output, hintImages(err))
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only show what would be removed")
	addOutput(cmd, &output)
	return cmd
}

func (a *app) prune(ctx context.Context, dryRun bool) ([]image.Removal, error) {
	cache, users, err := images()
	if err != nil {
		return nil, err
	}
	return image.Prune(image.PruneOptions{Cache: cache, InUse: users, Keep: a.keptEntries(ctx), DryRun: dryRun})
}

// keptEntries are the components that the next build would take. Where that
// cannot be told, it is all of them.
func (a *app) keptEntries(ctx context.Context) func(component.Entry) bool {
	source, err := component.SourceDir()
	var current []string
	if err == nil {
		current, err = component.Current(ctx, source)
	}
	if err != nil {
		fmt.Fprintf(a.Err, "hint:  all components are kept: %v\n", err)
	}
	return func(e component.Entry) bool {
		return !e.Unfinished() && (err != nil || slices.Contains(current, e.Name))
	}
}

// showRemoved shows what was removed, also when err ended it half-way.
func (a *app) showRemoved(r view.Removed, output string, err error) error {
	switch {
	case err != nil && len(r.Removed) == 0:
		return err
	case output == "json":
		return errors.Join(err, view.JSON(a.Out, r))
	}
	return errors.Join(err, r.Text(a.Out))
}
