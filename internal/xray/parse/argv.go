// Package parse turns text that machines show into evidence: units, manifests,
// configurations, command lines, certificates, answers of etcd. It is pure, and
// takes any text without a panic: what it cannot read is an error or left out.
package parse

import (
	"path"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// programs are those that an x-ray wants to see: the cluster's, and those that move
// an address from one machine to another.
var programs = []string{
	evidence.APIServer, evidence.ControllerManager, evidence.Scheduler, evidence.Kubelet, evidence.KubeProxy, evidence.EtcdServer,
	evidence.HAProxy, evidence.Nginx, evidence.HaplaneAgent, evidence.K3s, evidence.K0s,
	"keepalived", "kube-vip", "ucarp", "pacemakerd",
}

// subcommands are those of programs that do other things as well.
var subcommands = map[string][]string{
	evidence.HaplaneAgent: {"agent"},
	evidence.K3s:          {"server", "agent"},
	evidence.K0s:          {"controller", "worker"},
}

// Process recognises a program by its argument vector, and returns its name with
// the arguments from the program on, without secrets. The name is "" for any other.
func Process(argv []string) (string, []string) {
	argv = title(argv)
	if len(argv) == 0 {
		return "", nil
	}
	if name := known(argv); name != "" {
		return name, RedactArgv(argv)
	}
	return wrapped(argv, maxWrapped)
}

// title splits what a program calls itself: all of it is in the first argument, and
// what is left of the place for the others is empty.
func title(argv []string) []string {
	if len(argv) == 0 || !strings.Contains(argv[0], " ") || slices.ContainsFunc(argv[1:], func(a string) bool { return a != "" }) {
		return argv
	}
	return strings.Fields(strings.TrimPrefix(argv[0], "nginx: master process "))
}

// known is the name of the program that starts an argument vector.
func known(argv []string) string {
	if strings.HasPrefix(argv[0], "-") || strings.Contains(argv[0], "=") { // --data-dir=/var/lib/etcd
		return ""
	}
	name := path.Base(argv[0])
	if name == "k3s-server" || name == "k3s-agent" {
		return evidence.K3s
	}
	if name == "haproxy-systemd-wrapper" { // of HAProxy before 1.8
		return evidence.HAProxy
	}
	if !slices.Contains(programs, name) {
		return ""
	}
	sub := subcommands[name]
	if len(sub) == 0 {
		return name
	}
	i := slices.IndexFunc(argv[1:], func(a string) bool { return !strings.HasPrefix(a, "-") })
	if i < 0 || !slices.Contains(sub, argv[1+i]) {
		return ""
	}
	if name == evidence.HaplaneAgent {
		return agent(argv[2+i:])
	}
	return name
}

// agent is the name of haplane agent by what follows that word: the one that keeps the endpoints has flags alone. The others of its
// subcommands, as balancer, are no programs that an x-ray wants to see, and run beside it.
func agent(argv []string) string {
	switch {
	case len(argv) == 0 || strings.HasPrefix(argv[0], "-"):
		return evidence.HaplaneAgent
	case argv[0] == "snapshots":
		return evidence.HaplaneSnapshots
	}
	return ""
}

// CommandLine splits what /proc/PID/cmdline has: arguments that end in NUL.
func CommandLine(text string) []string {
	text = strings.TrimSuffix(text, "\x00")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\x00")
}
