package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/xray"
	"github.com/haplane/haplane/internal/xray/collect"
	"github.com/haplane/haplane/spec"
)

// exitFindings is the exit code of an x-ray that found something wrong.
const exitFindings = 3

// An xrayRun is one x-ray, as its flags have it.
type xrayRun struct {
	*app
	machines   []string
	sshConfig  string
	kubeconfig string
	context    string
	dirs       []string

	expect  string
	only    []string
	skip    []string
	list    bool
	explain string
	failOn  string
	timeout time.Duration

	output string
	to     string
	color  string

	api      *collect.Kubeconfig // that of --kubeconfig
	expected *spec.Cluster       // the cluster file
	own      bool                // the cluster is named, with --cluster or by nothing else
}

func (a *app) xray() *cobra.Command { return (&xrayRun{app: a}).command() }

func (x *xrayRun) command() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "xray",
		Short:   "See what makes a control plane highly available, and what does not",
		Long:    xrayLong,
		Example: xrayExample,
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := x.check(cmd.Context(), cmd.Flags()); err != nil {
				return usageError{err}
			}
			if x.list || x.explain != "" {
				return x.describe()
			}
			report, err := x.look(cmd.Context())
			if err != nil {
				return err
			}
			if err := x.show(report); err != nil {
				return err
			}
			return x.verdict(report)
		},
	}
	x.addClusterFlag(cmd)
	cmd.Flags().StringVarP(&x.file, "file", "f", "", "cluster file that says what is expected, - for standard input")
	_ = cmd.MarkFlagFilename("file", "yaml", "yml")
	x.addWays(cmd)
	x.addChoice(cmd)
	x.addOutputs(cmd)
	return cmd
}

const xrayLong = `Looks into a running cluster, whoever made it, and says with evidence whether its control
plane is as available as it looks: how many failures it tolerates now, and what is wrong.
It changes nothing, uploads nothing, and no private key leaves its machine.

Ways in; those that are given are taken together:
  --cluster       a cluster that haplane made: its machines and its API (without any flag: demo)
  -f, --file      a cluster file: what is expected, and its machines; of a cluster that haplane
                  did not make, by their addresses. With --dir or --machines only what is expected.
  --machines      hosts that your ssh reaches, as root or with sudo that asks for no password
  --kubeconfig    what the API shows
  --dir           copies of files, DIR/NODE/etc/kubernetes/...; on its own nothing is asked live.
                  Given several times, the machines of all are one cluster's
What no way in shows is skipped, and never passes. With -v the report has what was seen of
passes and skips as well.

A copy may have of each machine: /etc/kubernetes (manifests, pki, kubeconfigs), /var/lib/kubelet
(config.yaml, kubeadm-flags.env), /etc/systemd/system with its links, /usr/lib/systemd/system
or /lib/systemd/system, /etc/default or /etc/sysconfig, of etcd /etc/etcd or /etc/etcd.env, of a
load balancer /etc/haproxy, /etc/nginx and /etc/keepalived, and what flags name elsewhere. Of
/etc/kubernetes alone, manifests, certificates and kubeconfigs are judged. What files name and
the copy lacks, evidence-complete names. Private keys may stay away: they are not read.

Exit status: 0 nothing failed, 3 something failed (with --fail-on warn: or is a warning),
1 nothing failed but something could not be looked at, 2 a mistake in the call.`

const xrayExample = `  haplane xray
  haplane xray --machines cp-1,cp-2,admin@cp-3 --kubeconfig admin.conf
  haplane xray --dir copies --expect perNode
  haplane xray --only serving-cert-names,etcd-quorum --fail-on warn
  haplane xray -o html --to report.html
  haplane xray -o json | jq '.findings[] | select(.status == "fail")'
  haplane xray --list
  haplane xray --explain etcd-quorum`

func (x *xrayRun) addWays(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringSliceVar(&x.machines, "machines", nil, "hosts to look into over SSH: HOST or USER@HOST, separated by commas")
	f.StringVar(&x.sshConfig, "ssh-config", "", "ssh_config file for these hosts (default: your own)")
	f.StringVar(&x.kubeconfig, "kubeconfig", "", "kubeconfig to ask the API with")
	f.StringVar(&x.context, "context", "", "context of the kubeconfig (default: its current one)")
	f.StringArrayVar(&x.dirs, "dir", nil, "folder with copies of files of the machines; may be given several times")
	f.DurationVar(&x.timeout, "timeout", xrayTimeout, "how long each source may take")
	_ = cmd.MarkFlagDirname("dir")
	x.complete(cmd, "context", x.contexts)
}

func (x *xrayRun) addChoice(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&x.expect, "expect", "", "identity that is expected: shared, perNode or sharedCertificate (default: the cluster file's, or what most API servers are)")
	f.StringSliceVar(&x.only, "only", nil, "IDs of checks: these alone, separated by commas")
	f.StringSliceVar(&x.skip, "skip", nil, "IDs of checks: all but these")
	f.BoolVar(&x.list, "list", false, "list the checks, and look at nothing")
	f.StringVar(&x.explain, "explain", "", "explain the check of an ID, and look at nothing")
	f.StringVar(&x.failOn, "fail-on", string(xray.Fail), "what makes the exit status 3: fail or warn")
	x.complete(cmd, "expect", words(identities()...))
	x.complete(cmd, "only", completeChecks(true))
	x.complete(cmd, "skip", completeChecks(true))
	x.complete(cmd, "explain", completeChecks(false))
	x.complete(cmd, "fail-on", words(string(xray.Fail), string(xray.Warn)))
}

func (x *xrayRun) addOutputs(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVarP(&x.output, "output", "o", "text", "text, json, junit, sarif or html")
	f.StringVar(&x.to, "to", "", "file to write the report to, instead of standard output")
	f.StringVar(&x.color, "color", "auto", "colours of text: auto (on a terminal, without NO_COLOR), always or never")
	x.complete(cmd, "output", words(outputs...))
	x.complete(cmd, "color", words(colors...))
}

// xrayTimeout is how long each source of an x-ray may take by default.
const xrayTimeout = 10 * time.Second
