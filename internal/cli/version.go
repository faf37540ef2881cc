package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/component"
	"github.com/haplane/haplane/internal/view"
)

// Version is haplane's own; make build sets it.
var Version = "v0.1.0-dev"

func (a *app) version() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show the version of haplane, and of the components that it builds",
		Long: `Shows the version of haplane, and those of the components as their Go modules pin them.
It needs the modules for that (the folder components of the source), but no cache.`,
		Example: `  haplane version
  haplane version -o json | jq -r '.components[] | select(.name == "kube").version'`,
		Args: usage(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			v := view.Version{Version: Version, Go: runtime.Version(), Components: []component.Pinned{}}
			source, err := component.SourceDir()
			if err == nil {
				v.Components, err = component.Versions(source)
			}
			if err != nil {
				fmt.Fprintf(a.Err, "hint:  no versions of components: %v\n", err)
			}
			if output == "json" {
				return view.JSON(a.Out, v)
			}
			return v.Text(a.Out)
		},
	}
	addOutput(cmd, &output)
	return cmd
}

// addOutput adds --output, as all commands have it that report.
// addYes takes --yes where nothing is asked: a script may give it to every verb of certs and etcd.
func addYes(cmd *cobra.Command) {
	cmd.Flags().BoolP("yes", "y", false, fmt.Sprintf("ask nothing (%s never asks)", cmd.Name()))
}

func addOutput(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVarP(output, "output", "o", "text", "text or json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

func checkOutput(output string) error {
	if output != "text" && output != "json" {
		return usageError{fmt.Errorf("--output must be text or json, not %q", output)}
	}
	return nil
}
