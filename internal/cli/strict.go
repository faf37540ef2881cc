package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// strict has what cobra adds by itself take mistakes as such: it would show help, and exit 0.
func strict(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "completion":
			cmd.Args, cmd.RunE = usage(cobra.NoArgs), func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
			for _, shell := range cmd.Commands() {
				shell.Args = usage(cobra.NoArgs)
			}
		case "help":
			cmd.Args = helpTopic
		}
	}
}

// helpTopic wants a command that there is.
func helpTopic(cmd *cobra.Command, args []string) error {
	if _, rest, err := cmd.Root().Find(args); err != nil || len(rest) > 0 {
		return usageError{fmt.Errorf("there is no command %q; see 'haplane --help'", strings.Join(args, " "))}
	}
	return nil
}
