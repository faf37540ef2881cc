package render

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// A unit's digest changes with what takes a restart, and with nothing else.
func TestConfigDigest(t *testing.T) {
	pair := pki.Pair{Cert: []byte("c"), Key: []byte("k")}
	set := func(row string) func(*Input) { return func(in *Input) { in.Keys.Pairs[row] = pair } }
	tests := map[string]struct {
		change func(*Input)
		want   []string
	}{
		"nothing":               {func(*Input) {}, nil},
		"serving pair":          {set(pki.APIServer), nil}, // read again by itself, as are the next ones
		"etcd peer of cp-1":     {set(pki.EtcdPeer("cp-1")), nil},
		"etcd's client":         {set(pki.APIServerEtcdClient), nil},
		"kubelets' client":      {set(pki.APIServerKubeletClient), nil},
		"kubelet's server":      {set(pki.Kubelet("cp-1")), []string{"kubelet"}}, // which begins with it, and then has its own
		"front proxy's client":  {set(pki.FrontProxyClient), nil},
		"front proxy's CA":      {set(pki.FrontProxyCA), nil},
		"health check's client": {set(pki.EtcdHealthcheckClient), nil}, // etcd does not read it
		"etcd's CA":             {set(pki.EtcdCA), []string{"etcd", "kube-apiserver"}},
		// The CA is in all kubeconfigs.
		"CA": {set(pki.CA), []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "haplane-agent",
			"kubelet", "kube-proxy", "flanneld"}},
		"service account key": {func(in *Input) { in.Keys.ServiceAccountKey = []byte("x") }, []string{"kube-apiserver", "kube-controller-manager"}},
		"encryption key":      {func(in *Input) { in.Keys.EncryptionKey = []byte("x") }, []string{"kube-apiserver"}},
		"pause image":         {func(in *Input) { in.Images.Pause = "x" }, []string{"containerd"}},
		"kubelet's client":    {set(pki.KubeletClient("cp-1")), []string{"kubelet"}},
		"haplane":             {func(in *Input) { in.Programs = map[string]string{AgentBinary: "x"} }, []string{"haplane-agent"}},
		"join":                {func(in *Input) { in.Join = map[string]Join{"cp-1": {"cp-1=x", true}} }, nil},
	}
	before := Render(input(spec.Default("demo"), Platform{}))["cp-1"].Units
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := input(spec.Default("demo"), Platform{})
			test.change(&in)
			var changed []string
			for i, u := range Render(in)["cp-1"].Units {
				if u.Load != "" {
					t.Errorf("%s is reloaded", u.Name)
				}
				if before[i].Config != u.Config {
					changed = append(changed, u.Name)
				}
			}
			if diff := cmp.Diff(test.want, changed); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFilesOfUnits(t *testing.T) {
	want := map[string][]string{
		"etcd": {"/etc/kubernetes/pki/etcd/ca.crt", "/etc/kubernetes/pki/etcd/peer.crt", "/etc/kubernetes/pki/etcd/peer.key",
			"/etc/kubernetes/pki/etcd/server.crt", "/etc/kubernetes/pki/etcd/server.key"},
		"kube-apiserver": {"/etc/kubernetes/audit-policy.yaml", "/etc/kubernetes/authentication.yaml", "/etc/kubernetes/encryption.yaml",
			"/etc/kubernetes/pki/apiserver-etcd-client.crt", "/etc/kubernetes/pki/apiserver-etcd-client.key",
			"/etc/kubernetes/pki/apiserver-kubelet-client.crt", "/etc/kubernetes/pki/apiserver-kubelet-client.key",
			"/etc/kubernetes/pki/apiserver.crt", "/etc/kubernetes/pki/apiserver.key", "/etc/kubernetes/pki/ca.crt",
			"/etc/kubernetes/pki/etcd/ca.crt", "/etc/kubernetes/pki/front-proxy-ca.crt", "/etc/kubernetes/pki/front-proxy-client.crt",
			"/etc/kubernetes/pki/front-proxy-client.key", "/etc/kubernetes/pki/sa.key", "/etc/kubernetes/pki/sa.pub"},
		"kube-controller-manager": {"/etc/kubernetes/controller-manager.conf", "/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/pki/ca.key",
			"/etc/kubernetes/pki/front-proxy-ca.crt", "/etc/kubernetes/pki/sa.key"},
		"kube-scheduler": {"/etc/kubernetes/scheduler.conf"},
		"haplane-agent":  {"/etc/kubernetes/haplane-agent.conf"},
		"containerd":     {"/etc/containerd/config.toml", "/usr/local/lib/haplane/import-images"},
		"kubelet": {"/etc/kubernetes/kubelet.conf", "/etc/kubernetes/pki/ca.crt", "/var/lib/kubelet/config.yaml",
			"/var/lib/kubelet/pki/kubelet.crt", "/var/lib/kubelet/pki/kubelet.key"},
		"kube-proxy":    {"/etc/kubernetes/kube-proxy.conf", "/var/lib/kube-proxy/config.conf"},
		"flanneld":      {"/etc/kube-flannel/net-conf.json", "/etc/kubernetes/flannel.conf", "/etc/sysctl.d/90-kubernetes.conf"},
		"haplane-fence": {"/usr/local/lib/haplane/fence"},
		"haproxy":       {"/etc/haproxy/haproxy.cfg", "/etc/haproxy/kubernetes-ca.crt", "/etc/haproxy/loadbalancer.lua"},
	}
	got := map[string][]string{}
	machines := Render(input(spec.Default("demo"), Platform{}))
	for _, u := range append(machines["cp-1"].Units, machines["lb-1"].Units...) {
		got[u.Name] = u.Files
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// HAProxy goes on when its configuration or its CA changes.
func TestHAProxyIsReloaded(t *testing.T) {
	haproxy := func(change func(*Input)) Unit {
		in := input(spec.Default("demo"), Platform{})
		change(&in)
		return Render(in)["lb-1"].Units[0]
	}
	before := haproxy(func(*Input) {})
	for name, change := range map[string]func(*Input){
		"CA": func(in *Input) { in.Keys.Pairs[pki.CA] = pki.Pair{Cert: []byte("c")} },
		"backend": func(in *Input) {
			in.Topology = topology.New(withControlPlane(spec.Default("demo"), 2))
		},
	} {
		t.Run(name, func(t *testing.T) {
			if after := haproxy(change); after.Config != before.Config || after.Load == before.Load || after.Load == "" {
				t.Errorf("before %+v, after %+v", before, after)
			}
		})
	}
}

func TestEtcdJoin(t *testing.T) {
	c := spec.Default("demo")
	tests := map[string]struct {
		join  Join
		extra map[string]string
		want  string
	}{
		"new": {Join{}, nil, "ETCD_INITIAL_CLUSTER=\"cp-1=https://10.10.10.11:2380,cp-2=https://10.10.10.12:2380,cp-3=https://10.10.10.13:2380\"\n" +
			"ETCD_INITIAL_CLUSTER_STATE=\"new\"\nETCD_INITIAL_CLUSTER_TOKEN=\"demo\"\n"},
		"existing": {Join{"cp-1=a,cp-4=b", true}, nil,
			"ETCD_INITIAL_CLUSTER=\"cp-1=a,cp-4=b\"\nETCD_INITIAL_CLUSTER_STATE=\"existing\"\nETCD_INITIAL_CLUSTER_TOKEN=\"demo\"\n"},
		"of the cluster file": {Join{"cp-1=a", false}, map[string]string{"initial-cluster-token": `a "b" $c`},
			"ETCD_INITIAL_CLUSTER=\"cp-1=a\"\nETCD_INITIAL_CLUSTER_STATE=\"new\"\nETCD_INITIAL_CLUSTER_TOKEN=\"a \\\"b\\\" \\$c\"\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c.Spec.ExtraArgs = map[string]map[string]string{"etcd": test.extra}
			in := input(c, Platform{})
			in.Join = map[string]Join{"cp-1": test.join}
			files := Render(in)["cp-1"].Files
			if diff := cmp.Diff(test.want, string(files[EtcdJoinPath].Data)); diff != "" || !files[EtcdJoinPath].Keep {
				t.Error(diff, files[EtcdJoinPath].Keep)
			}
			if unit := string(files["/etc/systemd/system/etcd.service"].Data); strings.Contains(unit, "--initial-cluster") {
				t.Errorf("etcd refuses a setting that is in both places:\n%s", unit)
			}
		})
	}
}

// withControlPlane changes the number of control-plane nodes; the others stay what they are.
func withControlPlane(c *spec.Cluster, count int) *spec.Cluster {
	var others []spec.Node
	for _, n := range c.Spec.Nodes {
		if n.Role != spec.RoleControlPlane {
			others = append(others, n)
		}
	}
	c.Spec.Nodes = others
	for range count {
		c.Spec.Nodes = append(c.Spec.Nodes, spec.Node{Role: spec.RoleControlPlane})
	}
	spec.SetDefaults(c)
	return c
}

// What one more control-plane node changes on those that are there.
func TestANewNodeChangesLittleOnOthers(t *testing.T) {
	withEtcd := func(c *spec.Cluster) *spec.Cluster {
		for range 3 {
			c.Spec.Nodes = append(c.Spec.Nodes, spec.Node{Role: spec.RoleEtcd})
		}
		spec.SetDefaults(c)
		return c
	}
	balancer := map[string][]string{"lb-1": {"/etc/haproxy/haproxy.cfg"}}
	for name, base := range map[string]func() *spec.Cluster{
		"shared":            func() *spec.Cluster { return identity(spec.Shared) },
		"sharedCertificate": func() *spec.Cluster { return identity(spec.SharedCertificate) },
		"perNode":           func() *spec.Cluster { return identity(spec.PerNode) },
		"external etcd":     func() *spec.Cluster { return withEtcd(identity(spec.Shared)) },
	} {
		t.Run(name, func(t *testing.T) {
			want := maps.Clone(balancer)
			if name == "perNode" {
				for _, node := range []string{"cp-1", "cp-2", "cp-3"} {
					want[node] = []string{"/etc/kubernetes/pki/apiserver.crt"}
				}
			}
			before := Render(issued(input(withControlPlane(base(), 3), Platform{})))
			after := Render(issued(input(withControlPlane(base(), 4), Platform{})))
			if diff := cmp.Diff(want, differing(before, after)); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("member of external etcd", func(t *testing.T) {
		c := withEtcd(identity(spec.Shared))
		before := Render(input(c, Platform{}))
		c.Spec.Nodes = append(c.Spec.Nodes, spec.Node{Role: spec.RoleEtcd})
		spec.SetDefaults(c)
		unit := []string{"/etc/systemd/system/kube-apiserver.service"}
		want := map[string][]string{"cp-1": unit, "cp-2": unit, "cp-3": unit}
		if diff := cmp.Diff(want, differing(before, Render(input(c, Platform{})))); diff != "" {
			t.Error(diff)
		}
	})
}

// issued has certificates that say what is in them.
func issued(in Input) Input {
	for _, row := range pki.Catalogue(in.Topology) {
		row.Taken = nil // what must not be in it
		in.Keys.Pairs[row.Name] = pki.Pair{Cert: fmt.Appendf(nil, "%+v\n", row), Key: in.Keys.Pairs[row.Name].Key}
	}
	return in
}

// differing are the files that would be written on machines that are there, by node.
func differing(before, after map[string]Machine) map[string][]string {
	out := map[string][]string{}
	for name, m := range before {
		seen := map[string]fileset.State{}
		for p, f := range m.Files {
			seen[p] = fileset.State{Mode: f.Mode, Owner: f.OwnerName(), Sum: f.Sum()}
		}
		if stale := after[name].Files.Stale(seen).Paths(); len(stale) > 0 {
			out[name] = stale
		}
	}
	return out
}

// What kubelet got by itself goes where haplane has written another since, and only then: of what it asks with and of what it serves
// each for itself. Without somebody who signs, haplane's alone counts.
func TestKubeletTakesWhatWasWrittenLast(t *testing.T) {
	for name, external := range map[string]bool{"signed in the cluster": false, "signed elsewhere": true} {
		t.Run(name, func(t *testing.T) {
			c := spec.Default("demo")
			if external {
				c.Spec.Certificates.ExternalCA = []string{spec.CA}
			}
			root := t.TempDir()
			put := func(file, content string) {
				file = filepath.Join(root, file)
				if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(content), 0o600)); err != nil {
					t.Fatal(err)
				}
			}
			start := func() string {
				for _, line := range strings.Split(unitText(Render(input(c, Platform{}))["worker-1"].Files, "kubelet"), "\n") {
					script, is := strings.CutPrefix(line, "ExecStartPre=/bin/sh -c '")
					if !is {
						continue
					}
					script = strings.ReplaceAll(strings.TrimSuffix(script, "'"), "$$", "$")
					script = strings.NewReplacer("/etc/", root+"/etc/", "/var/", root+"/var/").Replace(script)
					if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
						t.Fatalf("%v: %s\n%s", err, script, out)
					}
				}
				left, _ := filepath.Glob(root + "/var/lib/kubelet/pki/*.pem")
				for i := range left {
					left[i] = strings.TrimSuffix(strings.TrimPrefix(filepath.Base(left[i]), "kubelet-"), "-1.pem")
				}
				return strings.Join(left, " ")
			}
			const conf, crt, pem = "etc/kubernetes/kubelet.conf", "var/lib/kubelet/pki/kubelet.crt", "var/lib/kubelet/pki/kubelet-"
			all := func() { put(pem+"client-1.pem", "x"); put(pem+"server-1.pem", "x") }
			put(conf, "a")
			put(crt, "a")
			all()
			start() // the first time
			all()
			steps := []struct {
				written string
				want    string
			}{{"", "client server"}, {conf, "server"}, {"", "server"}, {crt, ""}}
			for i, step := range steps {
				if step.written != "" {
					put(step.written, fmt.Sprint(i))
				}
				if external {
					step.want = ""
				}
				if got := start(); got != step.want {
					t.Errorf("after %q was written: %q, want %q", step.written, got, step.want)
				}
			}
		})
	}
}

// A kubelet's names are those that its certificate from haplane has, as the agent's record has them.
func TestKubeletNamesAreThoseOfTheCertificates(t *testing.T) {
	for name, shape := range shapes {
		top := topology.New(shape.cluster())
		var record struct{ Data map[string]string }
		if err := yaml.Unmarshal(KubeletNames(top), &record); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		for _, row := range pki.Catalogue(top) {
			if node, is := strings.CutPrefix(row.Name, "kubelet@"); is {
				want[node] = strings.Join(row.DNSNames, ",") + "," + topology.Join(row.Addresses)
			}
		}
		if diff := cmp.Diff(want, record.Data); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
