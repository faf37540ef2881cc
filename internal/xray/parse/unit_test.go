package parse

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// unread is where no EnvironmentFile is known.
func unread(string) string { return "" }

func service(lines ...string) []string {
	return []string{"[Service]\n" + strings.Join(lines, "\n") + "\n"}
}

func TestUnitOfHaplane(t *testing.T) {
	const path = "/etc/systemd/system/kube-scheduler.service"
	u := Unit(path, []string{golden(t, "shared/cp-1", path)}, unread)
	name, argv := Process(u.Exec)
	p := evidence.Program{Argv: argv}
	if elect, _ := p.Flag("leader-elect"); name != evidence.Scheduler || elect != "true" || argv[0] != "/usr/local/bin/kube-scheduler" {
		t.Errorf("%s %q", name, argv)
	}
	if u.Name != "kube-scheduler.service" || u.Path != path || u.Settings["Restart"] != "always" {
		t.Errorf("%+v", u)
	}
	if _, ok := u.Settings["ExecStart"]; ok {
		t.Error("ExecStart is among the settings")
	}
	if got := StopTimeout(u.Settings); got != 30*time.Second {
		t.Errorf("stop timeout %s", got)
	}
}

func TestUnitsOfHaplaneLoseNoFlag(t *testing.T) {
	for name, program := range map[string]string{"etcd": evidence.EtcdServer, "kube-apiserver": evidence.APIServer, "kubelet": evidence.Kubelet,
		"kube-controller-manager": evidence.ControllerManager, "kube-proxy": evidence.KubeProxy, "haplane-agent": evidence.HaplaneAgent} {
		t.Run(name, func(t *testing.T) {
			path := "/etc/systemd/system/" + name + ".service"
			text := golden(t, "shared/cp-1", path)
			u := Unit(path, []string{text}, unread)
			if got, _ := Process(u.Exec); got != program {
				t.Errorf("program %q of %q", got, u.Exec)
			}
			_, exec, _ := strings.Cut(text, "ExecStart=")
			exec, _, _ = strings.Cut(exec, "\nRestart")
			want := strings.Fields(strings.ReplaceAll(strings.ReplaceAll(exec, "\\\n", ""), "cluster-token=demo", "cluster-token="+Redacted))
			if diff := cmp.Diff(want, u.Exec); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestUnitExec(t *testing.T) {
	files := func(path string) string {
		return map[string]string{"/etc/known": "OPTS=--a --b='c d'\nONE=1 2\n"}[path]
	}
	for _, tt := range []struct {
		name string
		unit []string
		want []string
	}{
		{"no section", []string{"ExecStart=/bin/a"}, nil},
		{"another section", []string{"[Unit]\nExecStart=/bin/a\n[X-Service]\nExecStart=/bin/b"}, nil},
		{"lines that go on", service(`ExecStart=/bin/a \`, `# no argument`, `; nor this \`, `  --x \`, `  --y`, `Type=exec`), []string{"/bin/a", "--x", "--y"}},
		{"an empty line ends", service(`ExecStart=/bin/a \`, ``, `--x`), []string{"/bin/a"}},
		{"two backslashes are one", service(`ExecStart=/bin/a \\`, `Type=exec`), []string{"/bin/a", `\`}},
		{"CR and BOM", []string{"\ufeff[Service]\r\nExecStart=/bin/a \\\r\n --x\r\n"}, []string{"/bin/a", "--x"}},
		{"blanks around", service(`  ExecStart =  /bin/a --x=y=z  `), []string{"/bin/a", "--x=y=z"}},
		{"a drop-in adds", append(service(`ExecStart=/bin/a`), service(`TimeoutStopSec=5`)...), []string{"/bin/a"}},
		{"a drop-in replaces", append(service(`ExecStart=/bin/a`), service(`ExecStart=`, `ExecStart=/bin/b`)...), []string{"/bin/b"}},
		{"a drop-in clears", append(service(`ExecStart=/bin/a`), service(`ExecStart=`)...), nil},
		{"prefixes", service(`ExecStart=-+/bin/a --x`), []string{"/bin/a", "--x"}},
		{"argv[0]", service(`ExecStart=@/bin/a name --x`), []string{"/bin/a", "--x"}},
		{"quotes", service(`ExecStart=/bin/a "--x=1 2" '--y' --z="3 4"`), []string{"/bin/a", "--x=1 2", "--y", "--z=3 4"}},
		{"the next command", service(`ExecStart=/bin/a --x ; /bin/b`), []string{"/bin/a", "--x"}},
		{"a semicolon", service(`ExecStart=/bin/a \; ";" --x;`), []string{"/bin/a", ";", ";", "--x;"}},
		{"specifiers", service(`ExecStart=/bin/a --n=%n --p=%p --i=%i --s=%S/x --h=%H 100%%`),
			[]string{"/bin/a", "--n=etcd@cp-1.service", "--p=etcd", "--i=cp-1", "--s=/var/lib/x", "--h=%H", "100%"}},
		{"Environment", service(`Environment=A=1 "B=2 3"`, `Environment=C=4`, `ExecStart=/bin/a $B ${B} x${A}y $C $$A`),
			[]string{"/bin/a", "2", "3", "2 3", "x1y", "4", "$A"}},
		{"Environment is cleared", service(`Environment=A=1`, `Environment=`, `ExecStart=/bin/a $A ${A}`), []string{"/bin/a", ""}},
		{"nothing is expanded", service(`Environment=A=1`, `ExecStart=:/bin/a $A ${A} %p`), []string{"/bin/a", "$A", "${A}", "etcd"}},
		{"a file", service(`Environment=ONE=0`, `EnvironmentFile=-/etc/known`, `ExecStart=/bin/a $OPTS ${ONE} $NONE`),
			[]string{"/bin/a", "--a", "--b=c d", "1 2"}},
		{"a file that is not known", service(`EnvironmentFile=-/etc/default/%p`, `ExecStart=/bin/a $OPTS x${OPTS}`), []string{"/bin/a", "$OPTS", "x${OPTS}"}},
		{"secrets", service(`ExecStart=/bin/a --token abc --password=x\x20y -t z`), []string{"/bin/a", "--token", Redacted, "--password=" + Redacted, "-t", "z"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := Unit("/etc/systemd/system/etcd@cp-1.service", tt.unit, files)
			if diff := cmp.Diff(tt.want, u.Exec); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// kubeadm's unit with its drop-in, whose second file is often not there.
func TestUnitOfKubeadm(t *testing.T) {
	unit := "[Unit]\nDescription=kubelet\n\n[Service]\nExecStart=/usr/bin/kubelet\nRestart=always\nStartLimitInterval=0\n"
	dropIn := `# Note: This dropin only works with kubeadm and kubelet v1.11+
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
# This is a file that "kubeadm init" and "kubeadm join" generate at runtime
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
`
	files := map[string]string{"/var/lib/kubelet/kubeadm-flags.env": `KUBELET_KUBEADM_ARGS="--pod-infra-container-image=images.example.com/pause:3.10 --node-ip=10.0.0.1"` + "\n"}
	u := Unit("/lib/systemd/system/kubelet.service", []string{unit, dropIn}, func(p string) string { return files[p] })
	want := []string{"/usr/bin/kubelet", "--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf", "--kubeconfig=/etc/kubernetes/kubelet.conf",
		"--config=/var/lib/kubelet/config.yaml", "--pod-infra-container-image=images.example.com/pause:3.10", "--node-ip=10.0.0.1", "$KUBELET_EXTRA_ARGS"}
	if diff := cmp.Diff(want, u.Exec); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"/var/lib/kubelet/kubeadm-flags.env", "/etc/default/kubelet"}, EnvironmentFiles(u.Settings)); diff != "" {
		t.Error(diff)
	}
}

func TestUnitSettings(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lines []string
		want  map[string]string
	}{
		{"the last counts", []string{"TimeoutStopSec=1", "TimeoutStopSec=2"}, map[string]string{"TimeoutStopSec": "2"}},
		{"empty is none", []string{"TimeoutStopSec=1", "TimeoutStopSec="}, map[string]string{}},
		{"both at once", []string{"TimeoutSec=3"}, map[string]string{"TimeoutSec": "3", "TimeoutStopSec": "3"}},
		{"both at once, emptied", []string{"TimeoutSec=3", "TimeoutSec="}, map[string]string{}},
		{"in their order", []string{"TimeoutSec=3", "TimeoutStopSec=4"}, map[string]string{"TimeoutSec": "3", "TimeoutStopSec": "4"}},
		{"secrets", []string{`Environment="K3S_TOKEN=a b" X=y "Z=1 2"`, "ExecStartPre=/bin/x --token=abc"},
			map[string]string{"Environment": `K3S_TOKEN=REDACTED X=y "Z=1 2"`, "ExecStartPre": "/bin/x --token=REDACTED"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Unit("/x.service", service(tt.lines...), unread).Settings); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEnvironmentFile(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a word", "A=b\n", "b"},
		{"the last line", "A=b", "b"},
		{"blanks at the end", "A=  b c \t\n", "b c"},
		{"quotes within a value are its own", `A=--x="a b" --y` + "\n", `--x="a b" --y`},
		{"double quotes", `A="b  c \"d\" \$e \f"` + "\n", `b  c "d" $e \f`},
		{"single quotes", `A='b \c "d"'` + "\n", `b \c "d"`},
		{"quotes after one another", `A="b" 'c' d` + "\n", "bcd"},
		{"over lines", "A=\"b\nc \\\nd\"\n", "b\nc d"},
		{"a line that goes on", "A=b \\\nc\n", "b c"},
		{"comments", "# A=x\n; A=y\nA=z\n", "z"},
		{"no comment", "A=b # c\n", "b # c"},
		{"nothing", "A=\nB=x\n", ""},
		{"the last of a name", "A=b\nA=c\n", "c"},
		{"a line without a name", "A=b\n=c\nd\n e f=A\n", "b"},
		{"an escape at the end of the file", `A=b\`, "b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := "not set"
			for _, a := range environmentFile(tt.text) {
				if a[0] == "A" {
					got = a[1]
				}
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzUnit(f *testing.F) {
	f.Add(golden(f, "shared/cp-1", "/etc/systemd/system/kube-apiserver.service"), "A=b\n")
	f.Add("[Service]\nEnvironmentFile=-/x\nExecStart=@-/bin/x y $A ${A} %i \\\n# c\n \"z\n", "A='b\n\"c\\")
	f.Add("[Service]\nExecStart=/x \xff\x00\\", "\x00=\xff")
	f.Fuzz(func(t *testing.T, text, file string) {
		planted := "[Service]\nEnvironment=PASSWORD=pl4nted\n\n[Service]\nExecStartPre=/bin/x --token pl4nted\n"
		u := Unit("/etc/x@y.service", []string{text, planted}, func(string) string { return file })
		for key, value := range u.Settings {
			if strings.Contains(value, "pl4nted") && !strings.Contains(text, "pl4nted") {
				t.Errorf("%s=%s", key, value)
			}
		}
		if strings.Contains(strings.Join(u.Exec, " "), "\x00") && !strings.Contains(text+file, "\x00") {
			t.Errorf("%q", u.Exec)
		}
		Process(u.Exec)
		StopTimeout(u.Settings)
	})
}
