package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/kubeconfig"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/view"
	"github.com/haplane/haplane/spec"
)

func (a *app) up() *cobra.Command {
	var merge, dryRun bool
	var output string
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Bring a cluster up on this machine",
		Long: `Brings a cluster up, or what is missing of it: run again, it changes nothing;
after an interruption, it goes on. Without a cluster file it takes the one that the cluster
was made from; where there is no cluster yet, it makes three control-plane
nodes, one worker node and a load balancer in the shared identity.`,
		Example: `  haplane up
  haplane up --cluster blue -f blue.yaml
  haplane up -f blue.yaml --dry-run`,
		Args: usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.readCluster(cmd.Flags().Changed("cluster"))
			if err != nil {
				return err
			}
			for _, warning := range spec.Warnings(c) {
				fmt.Fprintln(a.Err, "warning:", warning)
			}
			if dryRun {
				return a.dryRun(cmd.Context(), c, output)
			}
			return a.runUp(cmd, c, merge)
		},
	}
	a.addClusterFlag(cmd)
	a.addFileFlag(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print the phases, the keys and the file diff, and change nothing")
	cmd.Flags().StringVarP(&output, "output", "o", "text", "of --dry-run: text or json")
	cmd.Flags().BoolVar(&merge, "merge-kubeconfig", true, "add a context for the cluster to your kubeconfig")
	cmd.Flags().Bool("yes", false, "ask nothing (up never asks)")
	return cmd
}

func (a *app) addFileFlag(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&a.file, "file", "f", "", "cluster file, - for standard input (default: the defaults)")
	_ = cmd.MarkFlagFilename("file", "yaml", "yml")
}

func (a *app) dryRun(ctx context.Context, c *spec.Cluster, output string) error {
	if err := checkOutput(output); err != nil {
		return err
	}
	s, err := store.Open(c.Metadata.Name)
	if err != nil {
		return err
	}
	cache, err := cluster.CacheDir()
	if err != nil {
		return err
	}
	plan, err := cluster.DryRun(ctx, c, cluster.Options{Store: s, Cache: cache, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	if output == "json" {
		return view.JSON(a.Out, plan)
	}
	view.Plan(a.Out, plan)
	return nil
}

func (a *app) runUp(cmd *cobra.Command, c *spec.Cluster, merge bool) error {
	o, done, err := a.options(c.Metadata.Name, "up")
	if err != nil {
		return err
	}
	changes, err := cluster.Up(cmd.Context(), c, o)
	done()
	if err != nil {
		return err
	}
	if merge {
		if err := a.mergeKubeconfig(cmd.Context(), c.Metadata.Name); err != nil {
			return err
		}
	}
	if len(changes) == 0 {
		fmt.Fprintf(a.Out, "cluster %s is up; nothing changed\n", c.Metadata.Name)
		return nil
	}
	fmt.Fprintf(a.Out, "cluster %s is up; kubectl context: %s\n", c.Metadata.Name, kubeconfig.Entry(c.Metadata.Name))
	return nil
}

// readCluster reads the cluster file, or takes the defaults. --cluster names the
// cluster where the file does not, and must not contradict it.
func (a *app) readCluster(named bool) (*spec.Cluster, error) {
	if a.file == "" {
		if made, err := madeFrom(a.cluster); made != nil || err != nil {
			return made, err
		}
		c := spec.Default(a.cluster)
		if errs := spec.Validate(c); len(errs) > 0 {
			return nil, usageError{fmt.Errorf("--cluster: %w", errs.ToAggregate())}
		}
		return c, nil
	}
	name, data, err := a.readFile()
	if err != nil {
		return nil, usageError{err}
	}
	return parseCluster(name, data, a.cluster, named)
}

// madeFrom returns the cluster as it was made, or nil where there is none.
func madeFrom(name string) (*spec.Cluster, error) {
	s, err := store.Open(name)
	if err != nil {
		return nil, err
	}
	c, err := s.Cluster()
	if errors.Is(err, store.ErrNoCluster) {
		return nil, nil
	}
	return c, err
}

func parseCluster(file string, data []byte, cluster string, named bool) (*spec.Cluster, error) {
	c, err := spec.Parse(file, data)
	if err != nil {
		return nil, err
	}
	if named && c.Metadata.Name != cluster {
		return nil, usageError{fmt.Errorf("%s: metadata.name is %q, but --cluster is %q", file, c.Metadata.Name, cluster)}
	}
	return c, nil
}

func (a *app) readFile() (string, []byte, error) {
	if a.file == "-" {
		data, err := io.ReadAll(a.In)
		return "standard input", data, err
	}
	data, err := os.ReadFile(a.file)
	if err != nil {
		return "", nil, fmt.Errorf("read cluster file: %w", err)
	}
	return a.file, data, nil
}
