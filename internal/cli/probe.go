package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/kubeprobe"
	"github.com/haplane/haplane/internal/probe"
	"github.com/haplane/haplane/internal/view"
	"github.com/haplane/haplane/internal/view/probehtml"
	"github.com/haplane/haplane/internal/xray/collect"
)

// A probeRun is one measurement, as its flags have it.
type probeRun struct {
	*app
	kubeconfig string
	context    string
	api        *collect.Kubeconfig // that of --kubeconfig
	lasts      time.Duration
	kinds      []string
	options    probe.Options
	output     string
	to         string
}

func (a *app) probe() *cobra.Command { return (&probeRun{app: a}).command() }

func (p *probeRun) command() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "probe [-- COMMAND [ARGS...]]",
		Short:   "Measure how a control plane answers, for a time or while a command runs",
		Long:    probeLong,
		Example: probeExample,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.check(cmd, args); err != nil {
				return usageError{err}
			}
			return p.run(cmd.Context(), args)
		},
	}
	p.addClusterFlag(cmd)
	f := cmd.Flags()
	f.StringVar(&p.kubeconfig, "kubeconfig", "", "kubeconfig of a cluster that haplane did not make")
	f.StringVar(&p.context, "context", "", "context of the kubeconfig (default: its current one)")
	f.DurationVar(&p.lasts, "for", time.Minute, "how long to measure, without a COMMAND")
	f.Float64Var(&p.options.Rate, "rate", probe.DefaultRate, "requests a second in each lane")
	f.DurationVar(&p.options.Timeout, "timeout", probe.DefaultTimeout, "when a request has failed, from when it is due")
	f.StringSliceVar(&p.kinds, "lanes", nil, "lanes, separated by commas (default: all, of another cluster those that need no machine of haplane's)")
	f.StringVarP(&p.output, "output", "o", "text", "text, json or html")
	f.StringVar(&p.to, "to", "", "file to write the report to, instead of standard output")
	_ = cmd.MarkFlagFilename("kubeconfig")
	for name, choice := range map[string][]string{"lanes": kubeprobe.Kinds, "output": probeOutputs} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(choice, cobra.ShellCompDirectiveNoFileComp))
	}
	return cmd
}

// maxRate is the most requests a second in a lane: beyond, this side is the bottleneck.
const maxRate = 1000

var probeOutputs = []string{"text", "json", "html"}

const probeLong = `Sends requests to a cluster in several lanes, each on a fixed schedule that does not wait
for answers, and reports of each lane: requests, how many failed, the longest time without a
success, and latencies from when a request was due. With a COMMAND it measures while that runs;
the command has the terminal, and the report comes after what it prints.

Lanes:
  lb-new       reads through the load balancer, each on a new connection
  lb-reused    reads through the load balancer, on one HTTP/2 connection
  direct       reads straight from each API server
  write        writes through the load balancer; the acknowledged ones are looked for afterwards
  watch        a watch of these writes: when it was cut or silent
  in-cluster   from a pod on a worker node, through the kubernetes Service
  worker       from that worker machine itself, through the kubernetes Service
It writes ConfigMaps and two pods in kube-system, named haplane-probe-..., and removes them.
Told to come again later (429 with Retry-After), it does so, as clients of Kubernetes do.

Exit status: 0 nothing failed, 3 a request failed, an acknowledged write was lost or the watch was
blind for more than 1 s, 1 it could not be measured, 2 a mistake in the call. With a COMMAND
its own, where that is not 0.`

const probeExample = `  haplane probe --for 5m
  haplane probe -- haplane ssh cp-2 systemctl restart kube-apiserver
  haplane probe --lanes lb-new,write -o json | jq '.lanes[] | select(.failed > 0)'
  haplane probe -o html --to restart.html -- ./restart.sh
  haplane probe --kubeconfig admin.conf --rate 10`

func (p *probeRun) check(cmd *cobra.Command, args []string) error {
	changed := cmd.Flags().Changed
	switch {
	case len(args) > 0 && cmd.ArgsLenAtDash() != 0:
		return fmt.Errorf("unknown argument %q; a command comes after --", args[0])
	case cmd.ArgsLenAtDash() == 0 && len(args) == 0:
		return errors.New("there is no command after --")
	case len(args) > 0 && changed("for"):
		return errors.New("--for is for a measurement without a command")
	case changed("cluster") && p.kubeconfig != "":
		return errors.New("--cluster and --kubeconfig exclude each other")
	case p.lasts <= 0 || p.options.Timeout <= 0:
		return errors.New("--for and --timeout must be more than 0")
	case !(p.options.Rate > 0 && p.options.Rate <= maxRate):
		return fmt.Errorf("--rate must be more than 0 and at most %d", maxRate)
	case !slices.Contains(probeOutputs, p.output):
		return fmt.Errorf("--output must be %s, not %q", strings.Join(probeOutputs, ", "), p.output)
	case changed("context") && p.kubeconfig == "":
		return errors.New("--context needs --kubeconfig")
	case changed("to"):
		if err := checkTarget("--to", p.to); err != nil {
			return err
		}
	}
	for _, kind := range p.kinds {
		if !slices.Contains(kubeprobe.Kinds, kind) {
			return fmt.Errorf("--lanes: there is no lane %q; there are %s", kind, strings.Join(kubeprobe.Kinds, ", "))
		}
	}
	if p.kubeconfig != "" && slices.Contains(p.kinds, kubeprobe.Direct) {
		return errors.New("--lanes: direct needs a cluster that haplane made, whose API servers it knows")
	}
	if p.kubeconfig != "" {
		var err error
		p.api, err = readKubeconfig(cmd.Context(), p.kubeconfig, p.context)
		return err
	}
	return nil
}

func (p *probeRun) run(ctx context.Context, command []string) error {
	lanes, err := p.lanes()
	if err != nil {
		return err
	}
	report, ran, err := p.measure(ctx, lanes, command)
	if err != nil {
		return err
	}
	if err := p.write(report); err != nil {
		return err
	}
	switch {
	case ran != nil:
		return ran
	case len(report.Errors) > 0:
		return exitError(exitFailed) // the report has them
	case report.Failed():
		return exitError(exitFindings)
	}
	return nil
}

func (p *probeRun) write(r probe.Report) error {
	err := p.writeTo(p.to, func(w io.Writer) error {
		switch p.output {
		case "json":
			return view.JSON(w, r)
		case "html":
			return probehtml.Write(w, r)
		}
		return view.Probe(w, r)
	})
	if err == nil && p.to != "" && !p.quiet {
		fmt.Fprintf(p.Err, "wrote %s\n", p.to)
	}
	return err
}
