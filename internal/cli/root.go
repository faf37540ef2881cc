// Package cli holds the commands: flags become options of one call, its result
// goes to a view.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/view"
	"github.com/haplane/haplane/spec"
)

// Exit codes.
const (
	exitOK      = 0
	exitFailed  = 1
	exitUsage   = 2 // usage, or a bad cluster file
	exitRefused = 4 // would take quorum or data, or another change was cut off; nothing was touched
)

// Streams are the standard streams. They are files, so that a terminal is seen as one.
type Streams struct{ In, Out, Err *os.File }

// An app is one run of the program.
type app struct {
	Streams
	cluster string   // --cluster
	file    string   // --file
	verbose bool     // --verbose
	quiet   bool     // --quiet
	log     string   // path of the log file, once there is one
	args    []string // of the program
}

// Run runs the command of the given arguments and returns its exit code.
func Run(ctx context.Context, args []string, s Streams) int {
	a := &app{Streams: s, args: args}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	strict(root)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	var exit exitError
	if errors.As(err, &exit) {
		return int(exit)
	}
	var hinted *cluster.HintedError
	if !errors.As(err, &hinted) {
		hinted = &cluster.HintedError{Hint: storeHint(err)}
	}
	if ctx.Err() != nil {
		err, hinted = errors.New("interrupted"), &cluster.HintedError{}
		if slices.Contains(resumed, cmd.Name()) {
			hinted.Hint = "run it again and it goes on from here"
		}
	}
	view.Error(s.Err, err, hinted.Log, hinted.Hint, a.log)
	return exitCode(err)
}

// storeHint says what helps where the store itself cannot be used.
func storeHint(err error) string {
	if errors.Is(err, store.ErrOtherUser) {
		return "another user made it; run haplane as for up, with sudo"
	}
	var damaged *store.DamagedError
	if errors.As(err, &damaged) {
		return "restore it from a backup; where the cluster was up and no change was under way, move it away: " +
			"haplane then begins with cluster.yaml beside it"
	}
	return ""
}

// resumed are the commands that go on from where they were interrupted.
var resumed = []string{"up", "apply", "upgrade", "add", "remove", "replace", "renew", "import", "rotate", "move-leader", "defrag", "disarm", "restore", "recover", "down", "start", "stop", "build"}

// exitError is a status to exit with where the user has seen why: that of a program
// that a command ran for them, or what a report comes to.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// usageError is a mistake in how a command was called.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func exitCode(err error) int {
	var fixed *spec.NotLiveError
	if errors.As(err, &fixed) && fixed.LosesData() {
		return exitRefused
	}
	var usage usageError
	var file *spec.FileError
	if errors.As(err, &usage) || errors.As(err, &file) || errors.Is(err, store.ErrBadName) {
		return exitUsage
	}
	var refused *change.Refused
	if errors.As(err, &refused) {
		return exitRefused
	}
	return exitFailed
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "haplane",
		Short: "Highly available Kubernetes control planes",
		Long: `haplane brings up Kubernetes clusters whose control plane has several API servers
behind a load balancer, and removes them again.`,
		Example: `  haplane up                     # three control-plane nodes, a worker, a load balancer
  haplane status
  haplane xray                   # what makes it highly available, and what does not
  haplane kubectl get nodes
  haplane down`,
		SilenceErrors: true, SilenceUsage: true,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())}
	})
	root.PersistentFlags().BoolVarP(&a.verbose, "verbose", "v", false, "show everything that goes to the log file as well")
	root.PersistentFlags().BoolVarP(&a.quiet, "quiet", "q", false, "show no progress, only results and errors")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if a.verbose && a.quiet {
			return usageError{errors.New("--verbose and --quiet exclude each other")}
		}
		if cmd.Name() == "xray" { // which says all its mistakes at once
			return nil
		}
		if err := errors.Join(emptyFlags(cmd.Flags())...); err != nil {
			return usageError{err}
		}
		return nil
	}
	root.AddCommand(a.up(), a.plan(), a.apply(), a.node(), a.upgrade(), a.certs(), a.etcd(), a.down(), a.stop(), a.start(), a.status(), a.xray(), a.initFile(), a.schema(), a.render(), a.kubeconfig(), a.kubectl(), a.probe(), a.ssh(), a.logs(), a.image(), a.agent(), a.version())
	return root
}

// emptyFlags are errors: what a script leaves empty by mistake must not be the default.
func emptyFlags(flags *pflag.FlagSet, but ...string) []error {
	var errs []error
	flags.Visit(func(f *pflag.Flag) {
		list, isList := f.Value.(pflag.SliceValue)
		switch {
		case slices.Contains(but, f.Name):
		case isList && blank(list.GetSlice()), f.Value.Type() == "string" && f.Value.String() == "":
			errs = append(errs, fmt.Errorf("--%s must not be empty", f.Name))
		}
	})
	return errs
}

// blank reports whether nothing is in a list but commas.
func blank(list []string) bool {
	return !slices.ContainsFunc(list, func(s string) bool { return s != "" })
}

// usage makes what cobra says of arguments an error of usage.
func usage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())}
		}
		return nil
	}
}

// addClusterFlag adds --cluster, which names the cluster to work on.
func (a *app) addClusterFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.cluster, "cluster", spec.DefaultName, "name of the cluster")
	_ = cmd.RegisterFlagCompletionFunc("cluster", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		names, _ := store.Names()
		return names, cobra.ShellCompDirectiveNoFileComp
	})
}

// tell tells of a change of a cluster that was cut off: whatever is done now meets what it left.
func (a *app) tell(h *cluster.Handle) {
	if !a.quiet {
		view.CutOff(a.Err, h.Change())
	}
}

// open returns the cluster that --cluster names, and tells of a change of it that was cut off.
func (a *app) open() (*cluster.Handle, error) {
	h, err := a.find()
	if err == nil {
		a.tell(h)
	}
	return h, err
}

// find is open without a word.
func (a *app) find() (*cluster.Handle, error) {
	h, err := cluster.Open(a.cluster)
	if errors.Is(err, store.ErrNoCluster) {
		names, _ := store.Names()
		return nil, &cluster.HintedError{Err: err, Hint: existing(names)}
	}
	return h, err
}

func existing(names []string) string {
	if len(names) == 0 {
		return "haplane up makes one"
	}
	return "there are: " + strings.Join(names, ", ") + "; choose with --cluster"
}

// completeNodes completes the first argument with the nodes of the cluster.
func (a *app) completeNodes(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	h, err := cluster.Open(a.cluster)
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return h.NodeNames(), cobra.ShellCompDirectiveNoFileComp
}

// completeUnits completes a node, and then one of its units.
func (a *app) completeUnits(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	h, err := cluster.Open(a.cluster)
	if err != nil || len(args) != 1 {
		return a.completeNodes(cmd, args, word)
	}
	return h.UnitNames(args[0]), cobra.ShellCompDirectiveNoFileComp
}
