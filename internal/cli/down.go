package cli

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/kubeconfig"
)

func (a *app) down() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Remove a cluster from this machine, with its data",
		Long: `Removes the machines of a cluster with all their data, its network, its keys and its
kubeconfig context, and says what it removed. Components and images stay in the cache.
On a terminal it asks first.`,
		Example: `  haplane down
  haplane down --cluster blue --yes`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes && term.IsTerminal(int(a.In.Fd())) && !a.confirm(fmt.Sprintf("Remove cluster %s with all its data?", a.cluster)) {
				return fmt.Errorf("remove cluster %s: not confirmed", a.cluster)
			}
			return a.runDown(cmd)
		},
	}
	a.addClusterFlag(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func (a *app) runDown(cmd *cobra.Command) error {
	if h, err := a.find(); err == nil {
		a.tell(h)
	}
	o, done, err := a.options(a.cluster, "down")
	if err != nil {
		return err
	}
	removed, err := cluster.Down(cmd.Context(), o)
	done()
	if err != nil {
		return err
	}
	files, err := kubeconfig.UserFiles().Remove(cmd.Context(), a.cluster)
	for _, f := range files {
		removed = append(removed, fmt.Sprintf("context %s in %s", kubeconfig.Entry(a.cluster), f))
	}
	if len(removed) == 0 {
		fmt.Fprintf(a.Out, "nothing to remove: there is no cluster %s\n", a.cluster)
	}
	for _, r := range removed {
		fmt.Fprintln(a.Out, "removed", r)
	}
	return err
}

func (a *app) confirm(question string) bool {
	fmt.Fprintf(a.Err, "%s [y/N] ", question)
	answer, _ := bufio.NewReader(a.In).ReadString('\n')
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}
