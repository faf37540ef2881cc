package cli

import (
	"bytes"
	"context"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/store"
)

// completionTime is how long somebody waits who has pressed the tab key.
const completionTime = 5 * time.Second

// completeKubectl asks kubectl, but for the cluster that it is to be of.
func (a *app) completeKubectl(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	names := len(args) == 1 && args[0] == "--cluster"
	prefix, equals := "--cluster=", len(args) == 0 && strings.HasPrefix(word, "--cluster=")
	if names || equals {
		out, _ := store.Names()
		for i := range out {
			if equals {
				out[i] = prefix + out[i]
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
	rest, err := a.takeCluster(args)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	a.quiet = true // nothing but completions is to be seen
	program, env, err := a.kubectlOf(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	c := exec.CommandContext(ctx, program, append(append([]string{"__complete"}, rest...), word)...)
	c.Env = append(c.Environ(), env...)
	said, err := c.Output()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return completions(said)
}

// completions reads what kubectl's __complete writes: one to a line, and a directive behind a colon at the end.
func completions(said []byte) ([]string, cobra.ShellCompDirective) {
	lines := strings.Split(string(bytes.TrimRight(said, "\n")), "\n")
	last := len(lines) - 1
	directive, err := strconv.Atoi(strings.TrimPrefix(lines[last], ":"))
	if err != nil || !strings.HasPrefix(lines[last], ":") {
		return nil, cobra.ShellCompDirectiveError
	}
	return lines[:last], cobra.ShellCompDirective(directive)
}
