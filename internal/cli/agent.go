package cli

import (
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/haplane/haplane/internal/agent"
	"github.com/haplane/haplane/internal/program"
)

func (a *app) agent() *cobra.Command {
	var o agent.Options
	var endpoint string
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Approve what kubelets serve, and keep endpoints (runs on control-plane nodes)",
		Long: `Runs on every control-plane node. The agent that holds the Lease kube-system/haplane-agent
approves the certificates that kubelets ask for to serve, as far as they ask for names and addresses that
the ConfigMap kube-system/haplane-kubelets has of their node, and for nothing else.

With --endpoint, in the shared identity, where no API server writes the endpoints of the kubernetes Service, it
keeps the Endpoints and the EndpointSlice default/kubernetes right: the load balancer and nothing else.`,
		Example: `  haplane agent --kubeconfig /etc/kubernetes/haplane-agent.conf --node-name cp-1 --endpoint 10.10.10.3:6443`,
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.Endpoint, err = netip.ParseAddrPort(endpoint); err != nil && endpoint != "" {
				return usageError{fmt.Errorf("--endpoint must be an address and a port such as 10.10.10.3:6443, not %q", endpoint)}
			}
			if _, err := readKubeconfig(cmd.Context(), o.Kubeconfig, ""); err != nil {
				return usageError{err}
			}
			o.Log = slog.New(slog.NewTextHandler(a.Err, nil))
			return agent.Run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Kubeconfig, "kubeconfig", "", "how to reach the API server of this node (required)")
	f.StringVar(&o.NodeName, "node-name", "", "name of this node (required)")
	f.StringVar(&endpoint, "endpoint", "", "address and port of the load balancer; without it API servers write the endpoints")
	f.StringVar(&o.Listen, "listen", "127.0.0.1:10271", "address and port for /healthz and /metrics")
	cmd.AddCommand(a.agentSnapshots(), a.agentBalancer(), a.agentVoter())
	return cmd
}

func (a *app) agentSnapshots() *cobra.Command {
	var o agent.SnapshotOptions
	cmd := &cobra.Command{
		Use:   "snapshots",
		Short: "Take snapshots of etcd on a schedule (runs on machines with an etcd member)",
		Long: `Runs on every machine with an etcd member where spec.etcd.snapshots has a schedule. When one is
due it takes etcd's data from a member that follows, one machine after another, verifies it as
haplane etcd snapshot save does, keeps it in /var/lib/haplane/snapshots, and then removes the
oldest beyond as many as are retained.`,
		Example: `  haplane agent snapshots --config /etc/kubernetes/haplane-snapshots.json --endpoint https://127.0.0.1:2379 --cacert ca.crt --cert client.crt --key client.key`,
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := given(map[string]string{"config": o.Config, "endpoint": o.Endpoint, "cacert": o.CA, "cert": o.Cert, "key": o.Key}); err != nil {
				return err
			}
			o.Log = slog.New(slog.NewTextHandler(a.Err, nil))
			return agent.RunSnapshots(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Config, "config", "", "schedule, how many are retained, and whose they are; read again each time (required)")
	f.StringVar(&o.Endpoint, "endpoint", "", "URL of the etcd member on this machine (required)")
	f.StringVar(&o.CA, "cacert", "", "certificate of etcd's CA (required)")
	f.StringVar(&o.Cert, "cert", "", "certificate of a client of etcd (required)")
	f.StringVar(&o.Key, "key", "", "its key (required)")
	f.StringVar(&o.Listen, "listen", "127.0.0.1:10272", "address and port for /healthz and /metrics")
	return cmd
}

func (a *app) agentBalancer() *cobra.Command {
	var o agent.BalancerOptions
	var address string
	var moves []string
	cmd := &cobra.Command{
		Use:   "balancer",
		Short: "Let keepalived have the address that moves (runs on load balancers that share one)",
		Long: `Runs on every load balancer where several move an address between them. keepalived has the address only
as long as this program says so: while a majority of the load balancers and the control-plane
machines has promised it to this one, for half a second at a time, and the HAProxy beside it takes
connections, which it asks ten times a second. It never asks whether the API is well: an overloaded
API must not move the address. The kernel keeps the address for a second, and is told to go on.`,
		Example: `  haplane agent balancer --socket /run/haproxy/admin.sock --track-file /run/haplane/track --address 10.10.10.4 --moves 10.10.10.3 --electorate /etc/haplane/electorate.json --key /var/lib/haplane/lease.key`,
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := given(map[string]string{"socket": o.Socket, "track-file": o.TrackFile, "address": address, "moves": strings.Join(moves, ""), "electorate": o.Electorate, "key": o.Key})
			if err != nil {
				return err
			}
			if o.Address, err = netip.ParseAddr(address); err != nil {
				return usageError{fmt.Errorf("--address must be an address such as 10.10.10.4, not %q", address)}
			}
			for _, m := range moves {
				a, err := netip.ParseAddr(m)
				if err != nil {
					return usageError{fmt.Errorf("--moves must be an address such as 10.10.10.3, or two of different families with a comma between them, not %q", m)}
				}
				o.Moves = append(o.Moves, a)
			}
			o.Log, o.Loaded = slog.New(slog.NewTextHandler(a.Err, nil)), program.LoadedFile(program.LoadedDir, "haproxy")
			return agent.RunBalancer(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Socket, "socket", "", "HAProxy's Runtime API (required)")
	f.StringVar(&o.TrackFile, "track-file", "", "the file that keepalived watches (required)")
	f.StringVar(&address, "address", "", "this machine's own address (required)")
	f.StringSliceVar(&moves, "moves", nil, "the address that moves; two of different families with a comma between them (required)")
	f.StringVar(&o.Electorate, "electorate", "", "who votes: read again when it changes (required)")
	f.StringVar(&o.Key, "key", "", "keys in hexadecimal, one a line, the first one signs: read again when they change (required)")
	return cmd
}

func (a *app) agentVoter() *cobra.Command {
	var o agent.VoterOptions
	var listen string
	cmd := &cobra.Command{
		Use:   "voter",
		Short: "Vote on which load balancer has the address that moves (runs on control-plane nodes)",
		Long: `Runs on every control-plane node where load balancers on machines of their own move an address
between them. It promises its vote to one of them at a time, for half a second, over UDP. It is the
vote of the machine: it asks neither etcd nor the API server. On a control-plane node that is a load
balancer itself, haplane agent balancer is that vote.`,
		Example: `  haplane agent voter --listen 10.10.10.11:7444 --key /var/lib/haplane/lease.key`,
		Args:    usage(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			err := given(map[string]string{"listen": listen, "key": o.Key})
			if err != nil {
				return err
			}
			if o.Listen, err = netip.ParseAddrPort(listen); err != nil {
				return usageError{fmt.Errorf("--listen must be an address and a port such as 10.10.10.11:7444, not %q", listen)}
			}
			o.Log = slog.New(slog.NewTextHandler(a.Err, nil))
			return agent.RunVoter(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&listen, "listen", "", "address and UDP port under which load balancers ask (required)")
	f.StringVar(&o.Key, "key", "", "keys in hexadecimal, one a line, the first one signs: read again when they change (required)")
	return cmd
}

// given wants a value of each flag.
func given(values map[string]string) error {
	var lacking []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if values[name] == "" {
			lacking = append(lacking, "--"+name)
		}
	}
	if len(lacking) > 0 {
		return usageError{fmt.Errorf("required: %s", strings.Join(lacking, ", "))}
	}
	return nil
}
