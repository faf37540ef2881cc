package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/store"
)

func (a *app) kubectl() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kubectl [--cluster NAME] [ARGS...]",
		Short: "Run the kubectl that belongs to a cluster",
		Long: `Runs the kubectl that was built with the cluster's components, as the cluster's
administrator. Your own kubectl works as well, with the context haplane-CLUSTER.

Everything is kubectl's but --cluster NAME, where it comes first: --help, too, is answered
by kubectl. This text is that of haplane help kubectl.`,
		Example: `  haplane kubectl get nodes -o wide
  haplane kubectl -n kube-system get pods
  haplane kubectl --cluster blue get pods -A`,
		DisableFlagParsing: true,
		ValidArgsFunction:  a.completeKubectl,
		RunE: func(cmd *cobra.Command, _ []string) error {
			args, err := a.kubectlArgs(cmd)
			if err != nil {
				return usageError{err}
			}
			program, env, err := a.kubectlOf(cmd.Context())
			if errors.Is(err, store.ErrNoCluster) && slices.ContainsFunc(args, asksForHelp) {
				return cmd.Help()
			}
			if err != nil {
				return err
			}
			return a.hand(cmd, program, args, env)
		},
	}
	a.addClusterFlag(cmd)
	return cmd
}

func asksForHelp(arg string) bool { return arg == "--help" || arg == "-h" || arg == "help" }

// kubectlOf is the kubectl of the cluster, and the environment that makes it the administrator's.
func (a *app) kubectlOf(ctx context.Context) (program string, env []string, err error) {
	h, err := a.open()
	if err != nil {
		return "", nil, err
	}
	config, err := h.KubeconfigFile()
	if err != nil {
		return "", nil, err
	}
	cache, err := cluster.CacheDir()
	if err != nil {
		return "", nil, err
	}
	program, err = h.Kubectl(ctx, cache)
	return program, []string{"KUBECONFIG=" + config}, err
}

// kubectlArgs are what stands behind the command; what stands before it is haplane's.
func (a *app) kubectlArgs(cmd *cobra.Command) ([]string, error) {
	i := slices.Index(a.args, cmd.Name())
	before := pflag.NewFlagSet(cmd.Name(), pflag.ContinueOnError)
	before.AddFlagSet(cmd.Root().PersistentFlags())
	before.AddFlag(cmd.Flags().Lookup("cluster"))
	if err := before.Parse(a.args[:i]); err != nil {
		return nil, err
	}
	return a.takeCluster(a.args[i+1:])
}

// takeCluster takes a leading --cluster out. A -- that ends haplane's own flags may follow.
func (a *app) takeCluster(args []string) ([]string, error) {
	const flag = "--cluster"
	if len(args) > 0 && args[0] == flag {
		if len(args) == 1 {
			return nil, fmt.Errorf("%s needs the name of a cluster", flag)
		}
		a.cluster, args = args[1], args[2:]
	} else if len(args) > 0 && strings.HasPrefix(args[0], flag+"=") {
		a.cluster, args = strings.TrimPrefix(args[0], flag+"="), args[1:]
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	return args, nil
}
