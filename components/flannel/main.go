// Command flanneld gives pods their network: flannel's packages, run with the
// leases that Kubernetes assigns (Node.spec.podCIDR). Beside what upstream's
// flanneld does it writes the CNI configuration itself, as the plugins that
// flannel's CNI plugin would delegate to.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/flannel-io/flannel/pkg/version"
	log "k8s.io/klog/v2"
)

// retryDelay is the pause after a session that failed.
const retryDelay = 2 * time.Second

type options struct {
	kubeconfig, nodeName  string
	ifaceIP, ifaceIPv6    string
	netConfig, cniConf    string
	subnetFile, healthz   string
	version, forwardRules bool
}

func parseFlags(args []string) (options, error) {
	var o options
	fs := flag.NewFlagSet("flanneld", flag.ContinueOnError)
	fs.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig `file`; may get, list and watch nodes and patch nodes/status")
	fs.StringVar(&o.nodeName, "node-name", "", "`name` of this machine's Node")
	fs.StringVar(&o.ifaceIP, "iface-ip", "", "this machine's `address`; its interface carries the traffic between nodes")
	fs.StringVar(&o.ifaceIPv6, "iface-ipv6", "", "this machine's IPv6 `address`, if the network has IPv6")
	fs.StringVar(&o.netConfig, "net-config", "/etc/kube-flannel/net-conf.json", "flannel's network configuration `file`")
	fs.StringVar(&o.cniConf, "cni-conf", "/etc/cni/net.d/10-flannel.conflist", "CNI configuration `file` to write")
	fs.StringVar(&o.subnetFile, "subnet-file", "/run/flannel/subnet.env", "`file` to write the lease to")
	fs.StringVar(&o.healthz, "healthz-addr", "", "`address` to serve /healthz and /readyz on; none if empty")
	fs.BoolVar(&o.forwardRules, "forward-rules", true, "accept forwarded pod traffic")
	fs.BoolVar(&o.version, "version", false, "print the version and exit")
	log.InitFlags(fs)
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	return o, o.validate()
}

func (o options) validate() error {
	if o.version {
		return nil
	}
	var errs []error
	if o.kubeconfig == "" {
		errs = append(errs, errors.New("--kubeconfig is required"))
	}
	if o.nodeName == "" {
		errs = append(errs, errors.New("--node-name is required"))
	}
	if o.ifaceIP == "" && o.ifaceIPv6 == "" {
		errs = append(errs, errors.New("--iface-ip or --iface-ipv6 is required"))
	}
	for flag, ip := range map[string]string{"--iface-ip": o.ifaceIP, "--iface-ipv6": o.ifaceIPv6} {
		if ip != "" && net.ParseIP(ip) == nil {
			errs = append(errs, fmt.Errorf("%s: %q is not an IP address", flag, ip))
		}
	}
	return errors.Join(errs...)
}

func main() {
	o, err := parseFlags(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(2)
	case o.version:
		fmt.Println(version.Version)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		log.ErrorS(err, "flanneld stops")
		os.Exit(1)
	}
}

// run keeps a session going until ctx ends. What ends a session (an API server
// that is not there, a lease that changed) is never a reason to exit: the
// network of the pods that run stays as it is.
func run(ctx context.Context, o options) error {
	health := &health{}
	if err := health.serve(ctx, o.healthz); err != nil {
		return err
	}
	// The only way to tell flannel's subnet manager which node it is on.
	if err := os.Setenv("NODE_NAME", o.nodeName); err != nil {
		return err
	}
	for ctx.Err() == nil {
		err := runSession(ctx, o, health)
		health.ready.Store(false)
		if ctx.Err() != nil {
			break
		}
		log.ErrorS(err, "session ended, starting another", "in", retryDelay)
		select {
		case <-ctx.Done():
		case <-time.After(retryDelay):
		}
	}
	return nil
}
