package evidence

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFlags(t *testing.T) {
	flags := func(pairs ...string) []Flag {
		var out []Flag
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, Flag{pairs[i], pairs[i+1]})
		}
		return out
	}
	for _, tt := range []struct {
		name, program, line string
		want                []Flag
	}{
		{"underscores of Kubernetes", APIServer, "kube-apiserver --etcd_servers=https://a_b:2379 --tls_cert-file /x_y", flags("etcd-servers", "https://a_b:2379", "tls-cert-file", "/x_y")},
		{"underscores of etcd", EtcdServer, "etcd --data_dir=/x", flags("data_dir", "/x")},
		{"one dash of etcd", EtcdServer, "etcd -name a -data-dir=/x", flags("name", "a", "data-dir", "/x")},
		{"one dash of Kubernetes", Kubelet, "kubelet -v 2 -v=3 -v4", flags("v", "2", "v", "3", "v", "4")},
		{"booleans take no argument", Scheduler, "kube-scheduler --leader-elect false --profiling true --v 2", flags("leader-elect", "true", "profiling", "true", "v", "2")},
		{"booleans of etcd", EtcdServer, "etcd --pre-vote --client-cert-auth false -name a", flags("pre-vote", "true", "client-cert-auth", "true", "name", "a")},
		{"booleans with values", ControllerManager, "kube-controller-manager --leader-elect=false --profiling", flags("leader-elect", "false", "profiling", "true")},
		{"the end of flags", APIServer, "kube-apiserver --v=2 -- --v=3", flags("v", "2")},
		{"HAProxy's --", HAProxy, "haproxy -f a.cfg -- b.cfg", flags("f", "a.cfg", "-", "b.cfg")},
		{"HAProxy's -Ws", HAProxy, "haproxy -Ws -f a.cfg", flags("Ws", "true", "f", "a.cfg")},
		{"only dashes", Kubelet, "kubelet - x", nil},
		{"no arguments", Kubelet, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := Program{Name: tt.program, Argv: strings.Fields(tt.line)}
			if diff := cmp.Diff(tt.want, p.Flags()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestValuesOfFlags(t *testing.T) {
	api := Program{Name: APIServer, Argv: []string{"kube-apiserver", "--etcd-servers=https://a:2379", `--etcd_servers="https://b:2379","https://c:2379"`,
		"--service-cluster-ip-range=10.0.0.0/16", "--service_cluster_ip_range=10.1.0.0/16,fd00::/112", "--feature-gates=A=true"}}
	for name, want := range map[string][]string{
		"etcd-servers":             {"https://a:2379", "https://b:2379", "https://c:2379"},
		"service-cluster-ip-range": {"10.1.0.0/16", "fd00::/112"}, "feature-gates": {"A=true"}, "v": {},
	} {
		if diff := cmp.Diff(want, append([]string{}, api.List(name)...)); diff != "" {
			t.Errorf("--%s: %s", name, diff)
		}
	}
	member := Program{Name: EtcdServer, Argv: []string{"etcd", "-listen-client-urls", "https://a", "-listen-client-urls=https://b,https://c"},
		Variables: map[string]string{"name": "x", "listen-client-urls": "https://d"}}
	if diff := cmp.Diff([]string{"https://b", "https://c"}, member.List("listen-client-urls")); diff != "" {
		t.Errorf("of etcd the last counts: %s", diff)
	}
	if v, ok := member.Flag("name"); v != "x" || !ok {
		t.Errorf("a variable: %q, %t", v, ok)
	}
}
