package apply

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/runtime/systemd"
	"github.com/haplane/haplane/internal/runtime/systemd/systemdtest"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A balancingNode is a node with a load balancer, which has the address and sends requests to some servers.
type balancingNode struct {
	*systemdtest.Host
	servers  []string
	draining string
	told     []string // to HAProxy
}

func (n *balancingNode) Run(ctx context.Context, cmd machine.Command) (machine.Result, error) {
	if cmd.Argv[0] != "socat" {
		return n.Host.Run(ctx, cmd)
	}
	in, err := io.ReadAll(cmd.Stdin)
	switch text := strings.TrimSpace(string(in)); {
	case err != nil:
		return machine.Result{}, err
	case text == "show stat":
		out := "# pxname,svname,status\n"
		for _, s := range n.servers {
			out += topology.HAProxyBackend + "," + s + ",UP\n"
		}
		return machine.Result{Stdout: out}, nil
	case strings.HasPrefix(text, "show servers state"):
		out := "1\n# be_name srv_name srv_addr srv_port srv_op_state srv_admin_state\n"
		for _, s := range n.servers {
			for _, backend := range []string{topology.HAProxyBackend, topology.HAProxyLastResort} {
				out += backend + " " + s + " 10.10.10.11 6443 2 " + map[bool]string{true: "8", false: "0"}[s == n.draining] + "\n"
			}
		}
		return machine.Result{Stdout: out}, nil
	default:
		n.told, n.draining = append(n.told, text), ""
		return machine.Result{}, nil
	}
}

// Of a control-plane node that is a load balancer, the step that tells it writes, starts and loads that alone: what else
// differs there has steps of its own, and what is not wanted there any more is somebody else's business.
func TestLoadBalancerOfAControlPlaneNodeIsToldByItself(t *testing.T) {
	c, err := spec.Parse("f.yaml", []byte("apiVersion: haplane/v1alpha1\nkind: Cluster\nspec:\n  loadBalancer: {kind: controlPlane}\n"))
	if err != nil {
		t.Fatal(err)
	}
	file := func(path, text string) fileset.File {
		return fileset.File{Path: path, Mode: 0o644, Data: []byte(text)}
	}
	wanted := render.Machine{Files: fileset.New(file("/etc/haproxy/haproxy.cfg", "cp-1 cp-2"), file("/etc/keepalived/keepalived.conf", "cp-1 cp-2"), file("/etc/kubelet.yaml", "new")),
		Units: []render.Unit{{Name: "kube-apiserver", Config: "new"}, {Name: "haproxy", Config: "new", Load: "new"}, {Name: "haplane-balancer", Config: "new"}, {Name: "keepalived", Config: "new", Load: "new"}}}
	wanted.Files.AddManifest(render.ManifestPath)
	runs := systemd.State{Active: true, Config: "new", Loaded: "new"}
	api := systemd.State{Active: true, Config: "old"}
	for name, test := range map[string]struct {
		running  map[string]systemd.State
		draining string
		did      []string
		told     []string
	}{
		"others come or go": {map[string]systemd.State{"kube-apiserver": api, "haproxy": {Active: true, Config: "new", Loaded: "old"},
			"haplane-balancer": runs, "keepalived": {Active: true, Config: "new", Loaded: "old"}}, "",
			[]string{"reload haproxy", "reload keepalived"}, nil},
		"it joins": {map[string]systemd.State{"kube-apiserver": api}, "",
			[]string{"start haproxy", "start haplane-balancer", "start keepalived"}, nil},
		"a reload is not enough": {map[string]systemd.State{"kube-apiserver": api, "haproxy": runs, "haplane-balancer": runs, "keepalived": api}, "",
			[]string{"restart keepalived"}, nil},
		"a server drains since a run that was cut off": {map[string]systemd.State{"kube-apiserver": api, "haproxy": runs, "haplane-balancer": runs, "keepalived": runs}, "cp-2",
			nil, []string{"set server kube-apiserver/cp-2 state ready", "set server kube-apiserver-last-resort/cp-2 state ready"}},
	} {
		t.Run(name, func(t *testing.T) {
			node := &balancingNode{Host: systemdtest.New("cp-1"), servers: []string{"cp-1", "cp-2"}, draining: test.draining}
			node.Running, node.Next = test.running, runs
			answer := node.Answer
			node.Answer = func(argv []string) (string, error) {
				switch {
				case strings.Contains(strings.Join(argv, " "), "ip -oneline"):
					return "told 0\n2: eth0    inet 10.10.10.3/32 scope global eth0\n", nil
				case argv[len(argv)-1] == render.ManifestPath:
					return "/etc/gone\n/etc/kubelet.yaml\n", nil
				}
				return answer(argv)
			}
			topo := topology.New(c)
			r := &Runner{Nodes: map[string]topology.Node{}, Waiting: func(string, string) {}, Log: slog.New(slog.DiscardHandler),
				Cluster: &access.Cluster{Topology: topo, Machine: func(string) machine.Machine { return node }},
				Render:  func(change.Step) map[string]render.Machine { return map[string]render.Machine{"cp-1": wanted} }}
			for _, n := range topo.Nodes {
				r.Nodes[n.Name] = n
			}
			both := []string{"cp-1", "cp-2"}
			if err := setBackends(t.Context(), r, change.Step{Verb: change.SetBackends, Node: "cp-1", Backends: both, Balancers: both}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.did, node.Did()); diff != "" {
				t.Errorf("units:\n%s", diff)
			}
			if diff := cmp.Diff([][]string{{"/etc/haproxy/haproxy.cfg", "/etc/keepalived/keepalived.conf"}}, node.Uploads()); diff != "" {
				t.Errorf("files:\n%s", diff)
			}
			if diff := cmp.Diff(test.told, node.told); diff != "" {
				t.Errorf("told HAProxy:\n%s", diff)
			}
			for _, line := range node.Commands() {
				if strings.HasPrefix(line, "rm ") {
					t.Errorf("removes: %s", line)
				}
			}
			if !strings.Contains(strings.Join(node.Commands(), "\n"), "echo 0 > "+topology.StandBy) {
				t.Error("it stands by still")
			}
		})
	}
}
