package render

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

func unitText(files fileset.Set, name string) string {
	return string(files[path.Join(topology.UnitDir, name+".service")].Data)
}

// Who runs as whom: a program that needs none of root's rights has a user of its own, and the
// machine is told to make it.
func TestUsers(t *testing.T) {
	own := []string{"etcd", "haplane-agent", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}
	withEtcd := spec.Default("demo")
	for range 3 {
		withEtcd.Spec.Nodes = append(withEtcd.Spec.Nodes, spec.Node{Role: spec.RoleEtcd})
	}
	spec.SetDefaults(withEtcd)
	tests := map[string]struct {
		cluster *spec.Cluster
		node    string
		want    []string
	}{
		"control plane":                {spec.Default("demo"), "cp-1", own},
		"in another identity":          {identity(spec.PerNode), "cp-1", own},
		"control plane, external etcd": {withEtcd, "cp-1", own[1:]},
		"external etcd":                {withEtcd, "etcd-1", own[:1]},
		"worker":                       {spec.Default("demo"), "worker-1", nil},
		"load balancer":                {spec.Default("demo"), "lb-1", nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := Render(input(test.cluster, Platform{}))[test.node]
			var users, made []string
			for _, u := range m.Units {
				if strings.Contains(unitText(m.Files, u.Name), "\nUser="+u.Name+"\nGroup="+u.Name+"\n") {
					users = append(users, u.Name)
				}
			}
			for line := range strings.Lines(string(m.Files[SysusersPath].Data)) {
				made = append(made, strings.Fields(line)[1])
			}
			slices.Sort(users)
			if diff := cmp.Diff(test.want, users) + cmp.Diff(test.want, made); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A program that the cluster file has write to a place of root's goes on as root.
func TestWhoWritesElsewhereIsRoot(t *testing.T) {
	for name, test := range map[string]struct {
		program, flag, value string
		user                 bool
	}{
		"log beside its own":  {"kube-apiserver", "audit-log-path", "/var/log/kubernetes/a/audit.log", true},
		"log to its output":   {"kube-apiserver", "audit-log-path", "-", true},
		"log elsewhere":       {"kube-apiserver", "audit-log-path", "/var/log/audit.log", false},
		"out of its folder":   {"kube-apiserver", "audit-log-path", "/var/log/kubernetes/../audit.log", false},
		"write-ahead log":     {"etcd", "wal-dir", "/srv/wal", false},
		"wal in its data":     {"etcd", "wal-dir", "/var/lib/etcd/wal", true},
		"outputs of etcd":     {"etcd", "log-outputs", "stderr,/var/log/etcd.log", false},
		"another flag of it":  {"etcd", "heartbeat-interval", "200", true},
		"a similar folder":    {"etcd", "wal-dir", "/var/lib/etcd-wal", false},
		"certificates of its": {"kube-scheduler", "cert-dir", "/srv/tls", false},
	} {
		t.Run(name, func(t *testing.T) {
			c := spec.Default("demo")
			c.Spec.ExtraArgs = map[string]map[string]string{test.program: {test.flag: test.value}}
			text := unitText(Render(input(c, Platform{}))["cp-1"].Files, test.program)
			if user := strings.Contains(text, "User="+test.program); user != test.user || strings.Contains(text, "ProtectSystem=") != test.user {
				t.Errorf("own user %v, want %v:\n%s", user, test.user, text)
			}
		})
	}
}

// Of the secrets on its machine a program sees those that it names. All of Kubernetes' are known.
func TestProgramsSeeTheirOwnSecrets(t *testing.T) {
	want := map[string][]string{
		"etcd":           {"pki/etcd/peer.key", "pki/etcd/server.key"},
		"haplane-agent":  {"haplane-agent.conf"},
		"kube-scheduler": {"scheduler.conf"},
		"kube-apiserver": {"encryption.yaml", "pki/apiserver-etcd-client.key", "pki/apiserver-kubelet-client.key", "pki/apiserver.key",
			"pki/front-proxy-client.key", "pki/sa.key"},
		"kube-controller-manager": {"controller-manager.conf", "pki/ca.key", "pki/sa.key"},
	}
	files := Render(input(spec.Default("demo"), Platform{}))["cp-1"].Files
	hides := regexp.MustCompile(`(?m)^InaccessiblePaths=(.*)$`)
	for program, sees := range want {
		t.Run(program, func(t *testing.T) {
			text := unitText(files, program)
			hidden := map[string]bool{}
			for _, line := range hides.FindAllStringSubmatch(text, -1) {
				for _, p := range strings.Fields(line[1]) {
					hidden[strings.TrimPrefix(p, "-")] = true
				}
			}
			for folder, owner := range map[string]string{"/var/lib/etcd": "etcd", "/var/log/kubernetes": "kube-apiserver"} {
				if hidden[folder] != (program != owner) {
					t.Errorf("%s is hidden: %v", folder, hidden[folder])
				}
			}
			var got []string
			for p, f := range files.Under(topology.KubernetesDir) {
				if f.Secret() && !hidden[p] {
					got = append(got, strings.TrimPrefix(p, topology.KubernetesDir+"/"))
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(sees, got); diff != "" {
				t.Error(diff)
			}
			for _, f := range files.Under("/var/lib/kubelet/pki", ManifestPath) {
				if f.Secret() && !hidden["/var/lib/kubelet"] && !hidden["/var/lib/haplane"] {
					t.Errorf("%s is not hidden", f.Path)
				}
			}
		})
	}
}

// What containerd and kubelet are forbidden, every pod would be.
func TestWhoStartsPodsIsNotConfined(t *testing.T) {
	files := Render(input(spec.Default("demo"), Platform{}))["worker-1"].Files
	for _, name := range []string{"containerd", "kubelet"} {
		for _, setting := range []string{"NoNewPrivileges", "Protect", "Private", "SystemCallFilter", "CapabilityBoundingSet", "UMask"} {
			if strings.Contains(unitText(files, name), "\n"+setting) {
				t.Errorf("%s has %s", name, setting)
			}
		}
	}
}
