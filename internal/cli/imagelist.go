package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/image"
	"github.com/haplane/haplane/internal/view"
)

func (a *app) imageList() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "list", Aliases: []string{"ls"},
		Short: "List the images, and the clusters whose machines are made from them",
		Example: `  haplane image list
  haplane image list -o json | jq -r '.[] | select(.inUseBy == []).digest'`,
		Args: usage(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			cache, inUse, err := a.imagesInUse()
			if err != nil {
				return err
			}
			list, err := image.Summaries(cache, inUse)
			if err != nil {
				return err
			}
			if output == "json" {
				return view.JSON(a.Out, list)
			}
			if len(list) == 0 {
				fmt.Fprintln(a.Err, "hint:  there are no images; haplane image build makes one")
			}
			return view.Images(a.Out, list)
		},
	}
	addOutput(cmd, &output)
	return cmd
}

func (a *app) imageShow() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "show [DIGEST]",
		Short: "Show every program, Go module, package and container image in an image",
		Long: `Shows what is in an image, with versions and checksums: the programs, the Go modules that
they were built from (by their own account), the packages of the distribution, and the
container images. Without a digest it shows the newest image.`,
		Example: `  haplane image show
  haplane image show a15931759a51
  haplane image show -o json | jq -r '.packages[] | .name + " " + .version'`,
		Args:              digests(cobra.MaximumNArgs(1)),
		ValidArgsFunction: completeDigests(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			details, err := a.imageDetails(args)
			if err != nil {
				return hintImages(err)
			}
			if output == "json" {
				return view.JSON(a.Out, details)
			}
			return view.Image(a.Out, details)
		},
	}
	addOutput(cmd, &output)
	return cmd
}

func (a *app) imageDetails(args []string) (image.Details, error) {
	cache, inUse, err := a.imagesInUse()
	if err != nil {
		return image.Details{}, err
	}
	var img image.Image
	if len(args) == 0 {
		img, err = image.Newest(cache)
	} else {
		img, err = image.Open(cache, args[0])
	}
	if err != nil {
		return image.Details{}, err
	}
	return img.Details(inUse)
}
