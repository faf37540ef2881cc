package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/view"
)

// Version is haplane's own; make build sets it.
var Version = "v0.1.0-dev"

func (a *app) version() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Show the version of haplane",
		Example: `  haplane version -o json`,
		Args:    usage(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			switch output {
			case "json":
				return view.JSON(a.Out, map[string]string{"version": Version, "go": runtime.Version()})
			case "text":
				_, err := fmt.Fprintf(a.Out, "haplane %s (%s %s/%s)\n", Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
				return err
			}
			return usageError{fmt.Errorf("--output must be text or json, not %q", output)}
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}
