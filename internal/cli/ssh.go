package cli

import (
	"errors"
	"fmt"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/machine"
)

func (a *app) ssh() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ssh NODE [COMMAND...]",
		Short: "Open a shell on a node, or run a command there",
		Example: `  haplane ssh cp-1
  haplane ssh cp-1 kubectl get nodes
  haplane ssh cp-2 systemctl stop kube-apiserver`,
		Args:              usage(cobra.MinimumNArgs(1)),
		ValidArgsFunction: a.completeNodes,
		RunE: func(cmd *cobra.Command, args []string) error {
			command := args[1:]
			if len(command) > 0 && command[0] == "--" { // as ssh and kubectl exec take it
				command = command[1:]
			}
			return a.onNode(cmd, args[0], command...)
		},
	}
	a.addClusterFlag(cmd)
	cmd.Flags().SetInterspersed(false) // what follows the node is the command's
	return cmd
}

func (a *app) logs() *cobra.Command {
	var follow bool
	var lines string
	cmd := &cobra.Command{
		Use:   "logs NODE [UNIT]",
		Short: "Show the journal of a node, or of one of its units",
		Example: `  haplane logs cp-1
  haplane logs cp-2 kube-apiserver -f`,
		Args:              usage(cobra.RangeArgs(1, 2)),
		ValidArgsFunction: a.completeUnits,
		RunE: func(cmd *cobra.Command, args []string) error {
			argv := []string{"journalctl", "--no-pager", "--output=short-iso"}
			if follow {
				argv = append(argv, "--follow")
			}
			if lines != "" {
				argv = append(argv, "--lines="+lines)
			}
			if len(args) == 2 {
				argv = append(argv, "--unit="+args[1])
			}
			return a.onNode(cmd, args[0], machine.Quote(argv))
		},
	}
	a.addClusterFlag(cmd)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what is written from now on")
	cmd.Flags().StringVarP(&lines, "lines", "n", "", "only the last lines: a number")
	return cmd
}

// onNode runs ssh with the user's terminal. Words are joined by spaces and read
// by the shell at the other end, as ssh does.
func (a *app) onNode(cmd *cobra.Command, node string, words ...string) error {
	h, err := a.open()
	if err != nil {
		return err
	}
	if err := h.CheckNode(node); err != nil {
		return usageError{err}
	}
	return a.hand(cmd, "ssh", append([]string{"-F", h.SSHConfig(), "--", node}, words...), nil)
}

// hand gives the terminal to another program and returns its exit status.
func (a *app) hand(cmd *cobra.Command, program string, args, env []string) error {
	c := exec.CommandContext(cmd.Context(), program, args...)
	c.Stdin, c.Stdout, c.Stderr = a.In, a.Out, a.Err
	c.Env = append(c.Environ(), env...)
	err := c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exitError(exit.ExitCode())
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", program, err)
	}
	return nil
}
