package parse

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProcess(t *testing.T) {
	for _, tt := range []struct {
		name string
		argv []string
		want string
		args []string
	}{
		{"nothing", nil, "", nil},
		{"an empty argument", []string{""}, "", nil},
		{"by its path", []string{"/usr/local/bin/kube-apiserver", "--v=2"}, "kube-apiserver", []string{"/usr/local/bin/kube-apiserver", "--v=2"}},
		{"another", []string{"/usr/bin/kube-apiserver-proxy"}, "", nil},
		{"etcdctl", []string{"etcdctl", "--data-dir=/var/lib/etcd"}, "", nil},
		{"a worker of nginx", []string{"nginx: worker process"}, "", nil},
		{"nginx's title", []string{"nginx: master process /usr/sbin/nginx -c /etc/n.conf", "", ""}, "nginx", []string{"/usr/sbin/nginx", "-c", "/etc/n.conf"}},
		{"k3s' title", []string{"/usr/local/bin/k3s server"}, "k3s", []string{"/usr/local/bin/k3s", "server"}},
		{"k3s as kubectl", []string{"k3s", "kubectl", "get", "nodes"}, "", nil},
		{"k3s with flags first", []string{"k3s", "--debug", "agent", "--token", "x"}, "k3s", []string{"k3s", "--debug", "agent", "--token", Redacted}},
		{"k0s", []string{"k0s", "controller"}, "k0s", []string{"k0s", "controller"}},
		{"haplane itself", []string{"haplane", "xray"}, "", nil},
		{"haplane's agent", []string{"haplane", "agent"}, "haplane", []string{"haplane", "agent"}},
		{"haplane's snapshots", []string{"haplane", "agent", "snapshots", "--listen=127.0.0.1:10272"}, "haplane agent snapshots", []string{"haplane", "agent", "snapshots", "--listen=127.0.0.1:10272"}},
		{"haplane's balancer, beside its agent", []string{"haplane", "agent", "balancer", "--socket=/run/haproxy/admin.sock"}, "", nil},
		{"haplane's voter, beside its agent", []string{"haplane", "agent", "voter", "--listen=10.10.10.11:7444"}, "", nil},
		{"a path with a blank", []string{"/opt/a b/kubelet", "--v=2"}, "kubelet", []string{"/opt/a b/kubelet", "--v=2"}},
		{"a multi-call program", []string{"kube", "kube-proxy", "--v=2"}, "kube-proxy", []string{"kube-proxy", "--v=2"}},
		{"a wrapper", []string{"/go-runner", "--log-file=/var/log/kube-apiserver", "kube-apiserver", "--v=2"}, "kube-apiserver", []string{"kube-apiserver", "--v=2"}},
		{"wrappers of wrappers", []string{"tini", "--", "env", "A=/x/etcd", "nice", "-n", "5", "kubelet", "--v=2"}, "kubelet", []string{"kubelet", "--v=2"}},
		{"OpenShift's kubelet", []string{"/usr/local/bin/kubenswrapper", "/usr/bin/kubelet", "--config=/etc/kubernetes/kubelet.conf"}, "kubelet", []string{"/usr/bin/kubelet", "--config=/etc/kubernetes/kubelet.conf"}},
		{"OpenShift's API server", []string{"/bin/bash", "-ec", "exec {FD}>/lock && flock -w 30 \"${FD}\" || {\n  exit 1\n}\nexec watch-termination --termination-touch-file=/x -- hyperkube kube-apiserver --openshift-config=/c\n"},
			"kube-apiserver", []string{"kube-apiserver", "--openshift-config=/c"}},
		{"too many of them", []string{"nice", "nice", "nice", "nice", "nice", "nice", "kubelet"}, "", nil},
		{"hyperkube", []string{"/hyperkube", "kube-scheduler", "--v=2"}, "kube-scheduler", []string{"kube-scheduler", "--v=2"}},
		{"an old hyperkube", []string{"/hyperkube", "apiserver", "--v=2"}, "kube-apiserver", []string{"kube-apiserver", "--v=2"}},
		{"OpenShift's", []string{"/bin/bash", "-ec", "if true; then\n echo x\nfi\nexec watch-termination --termination-touch-file=/x -- hyperkube kube-apiserver --openshift-config=/y -v=2"},
			"kube-apiserver", []string{"kube-apiserver", "--openshift-config=/y", "-v=2"}},
		{"HAProxy of RHEL 7", []string{"/usr/sbin/haproxy-systemd-wrapper", "-f", "/etc/haproxy/haproxy.cfg"}, "haproxy", []string{"/usr/sbin/haproxy-systemd-wrapper", "-f", "/etc/haproxy/haproxy.cfg"}},
		{"a wrapper of another", []string{"nice", "backup", "/var/lib/etcd"}, "", nil},
		{"a shell", []string{"/bin/sh", "-c", "exec /usr/bin/kube-apiserver --v=2 --x='a b' 1>>/var/log/a 2>&1"}, "kube-apiserver", []string{"/usr/bin/kube-apiserver", "--v=2", "--x=a b"}},
		{"a script", []string{"/bin/bash", "-ec", "cd /x; test -f /etc/kubelet &&\n  exec kubelet \\\n  --v=2; echo --v=3"}, "kubelet", []string{"kubelet", "--v=2"}},
		{"a pipe", []string{"sh", "-c", "etcd --name=a | tee /log --name=b"}, "etcd", []string{"etcd", "--name=a"}},
		{"assignments", []string{"sh", "-c", "A=b etcd --name=a &"}, "etcd", []string{"etcd", "--name=a"}},
		{"in a shell only a word", []string{"sh", "-c", "pgrep kubelet; cat /etc/haproxy; ls --d=/var/lib/etcd"}, "", nil},
		{"a shell without a script", []string{"bash", "/usr/bin/kubelet", "-c"}, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name, args := Process(tt.argv)
			if diff := cmp.Diff(tt.want, name) + cmp.Diff(tt.args, args); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCommandLine(t *testing.T) {
	for text, want := range map[string][]string{
		"":                                    nil,
		"\x00":                                nil,
		"etcd\x00":                            {"etcd"},
		"etcd\x00--name\x00\x00":              {"etcd", "--name", ""},
		"etcd\x00--name=a":                    {"etcd", "--name=a"},
		"nginx: master process x\x00\x00\x00": {"nginx: master process x", "", ""},
	} {
		if diff := cmp.Diff(want, CommandLine(text)); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func FuzzProcess(f *testing.F) {
	f.Add("/usr/bin/kube-apiserver\x00--token\x00abc\x00")
	f.Add("sh\x00-c\x00exec kubelet \\\n --v=2 >x; y\x00")
	f.Add("env\x00nice\x00A=b\x00k3s\x00-\x00server\x00-t\x00x")
	f.Add("nginx: master process nginx -g daemon off;\x00\x00\x00")
	f.Fuzz(func(t *testing.T, text string) {
		argv := CommandLine(text)
		name, args := Process(argv)
		if (name == "") != (args == nil) {
			t.Errorf("%q: %q", name, args)
		}
		if name != "" && !strings.Contains(text, name) {
			t.Errorf("%q is not in %q", name, text)
		}
		if n := strings.Count(text, "\x00"); len(argv) > n+1 {
			t.Errorf("%d arguments of %d", len(argv), n)
		}
		planted := append(append([]string{}, argv...), "--token=pl4nted", "--password", "pl4nted")
		if _, args := Process(planted); strings.Contains(strings.Join(args, "\n"), "pl4nted") && !strings.Contains(text, "pl4nted") {
			t.Errorf("%q", args)
		}
	})
}

// What a command starts has none of its arguments.
func TestStarts(t *testing.T) {
	for command, want := range map[string]string{
		"":                                    "",
		"/opt/b --token=S3CRET":               "/opt/b",
		`"/opt/b --token=S3CRET"`:             "/opt/b",
		"etcdctl snapshot save /b":            "etcdctl",
		"/bin/sh /opt/x.sh S3CRET":            "/opt/x.sh",
		"bash -eu /opt/x.sh S3CRET":           "/opt/x.sh",
		"sh x.sh /S3CRET":                     "sh",
		`sh -c "/opt/c --token=S3CRET"`:       "sh",
		`sh -c "curl -H S3CRET" /S3CRET`:      "sh",
		`sh -c "TOKEN=S3CRET /opt/c" /S3CRET`: "sh",
		"env TOKEN=S3CRET /opt/e S3CRET":      "/opt/e",
		"env TOKEN=S3CRET e /S3CRET":          "env",
		"${BIN} $ARGS":                        "${BIN}",
	} {
		if got := Starts(Words(command)); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
}
