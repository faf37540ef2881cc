package collect

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/machine/machinetest"
	"github.com/haplane/haplane/internal/xray"
	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

// A hung machine takes a connection and answers nothing.
type hung struct{ machinetest.Recorder }

func (h *hung) Run(ctx context.Context, _ machine.Command) (machine.Result, error) {
	<-ctx.Done()
	return machine.Result{}, ctx.Err()
}

func TestMachinesThatCannotBeLookedAt(t *testing.T) {
	refused := &machinetest.Recorder{NodeName: "refused", Answer: func([]string) (string, error) {
		return "", errors.New("connect to refused: ssh ended: Permission denied (publickey)")
	}}
	denied := &machinetest.Recorder{NodeName: "denied", Answer: func(argv []string) (string, error) {
		return "", &machine.CommandError{Machine: "denied", Argv: argv, ExitCode: 1, Stderr: "sudo: a password is required\n"}
	}}
	garbage := &machinetest.Recorder{NodeName: "garbage", Answer: func([]string) (string, error) { return "\x00\xff\n@ host\nx\n", nil }}
	slow := &hung{machinetest.Recorder{NodeName: "slow"}}
	out, missing := Machines(t.Context(), []machine.Machine{refused, denied, slow, garbage}, 100*time.Millisecond, false)
	want := []*evidence.Machine{{Name: "refused", Way: evidence.Machines}, {Name: "denied", Way: evidence.Machines}, {Name: "slow", Way: evidence.Machines}, {Name: "garbage", Way: evidence.Machines}}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
	var said []string
	for _, m := range missing {
		said = append(said, m.Node+": "+m.Source+": "+m.Err)
		if m.Way != evidence.Machines || strings.Contains(m.Fix, "sudo") != (m.Node == "denied") || m.Fix == "" {
			t.Errorf("%+v", m)
		}
	}
	if diff := cmp.Diff([]string{
		"refused: ssh refused: connect to refused: ssh ended: Permission denied (publickey)",
		"denied: ssh denied: denied: sh -s: exit status 1: sudo: a password is required",
		"slow: ssh slow: no answer in time",
		"garbage: ssh garbage: its answer was cut off",
	}, said); diff != "" {
		t.Error(diff)
	}
}

// broken looks at cp-1 after something was done to its files.
func broken(t *testing.T, change func(f tree)) (*evidence.Machine, []evidence.Missing) {
	t.Helper()
	m := evidencetest.Machine(evidencetest.Healthy(spec.Shared), "cp-1")
	f := newTree(t)
	f.machine(m)
	bin := f.running(m)
	change(f)
	network := newServiceNetwork(1)
	v := &visit{machine: &shell{name: m.Name, bin: bin}, root: f.dir, proc: filepath.Join(f.dir, "proc"), files: newRemote(), network: network}
	return v.look(t.Context(), 10*time.Second)
}

func (f tree) remove(name string) {
	f.t.Helper()
	if err := os.Remove(filepath.Join(f.dir, name)); err != nil {
		f.t.Fatal(err)
	}
}

func TestWhatCannotBeReadIsNamed(t *testing.T) {
	tests := map[string]struct {
		change func(tree)
		source string
		says   string
	}{
		"no certificate": {func(f tree) { f.remove("/etc/kubernetes/pki/apiserver.crt") }, "/etc/kubernetes/pki/apiserver.crt", "no such file"},
		"configuration":  {func(f tree) { f.write("/var/lib/kubelet/config.yaml", 0o644, "a: {{{\n") }, "/var/lib/kubelet/config.yaml", "not YAML"},
		"manifest":       {func(f tree) { f.write("/etc/kubernetes/manifests/x.yaml", 0o644, "not a pod\n") }, "/etc/kubernetes/manifests/x.yaml", "not a manifest"},
		"too large": {func(f tree) {
			f.write("/etc/kubernetes/kubelet.conf", 0o600, strings.Repeat("# 0123456789\n", maxFile/10))
		}, "/etc/kubernetes/kubelet.conf", "larger than 4 MiB"},
		"kubeconfig is gone": {func(f tree) { f.remove("/etc/kubernetes/scheduler.conf") }, "/etc/kubernetes/scheduler.conf", "no such file"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m, missing := broken(t, test.change)
			i := slices.IndexFunc(missing, func(x evidence.Missing) bool { return x.Source == test.source })
			if i < 0 || !strings.Contains(missing[i].Err, test.says) || missing[i].Node != "cp-1" || missing[i].Fix == "" {
				t.Errorf("missing %+v", missing)
			}
			if m.Program(evidence.APIServer) == nil || m.Etcd == nil {
				t.Error("the rest was not looked at")
			}
		})
	}
}

// Garbage in certificates and kubeconfigs stays where it was seen.
func TestGarbageIsEvidence(t *testing.T) {
	const cert, conf = "/etc/kubernetes/pki/apiserver-kubelet-client.crt", "/etc/kubernetes/kube-proxy.conf"
	m, missing := broken(t, func(f tree) {
		f.write(cert, 0o644, "-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n")
		f.write(conf, 0o600, "apiVersion: v1\nkind: Config\ncontexts: {{{\n")
	})
	if c := m.Certificate(cert); c == nil || c.Err == "" {
		t.Errorf("certificate %+v", c)
	}
	if k := m.Kubeconfigs[conf]; !strings.Contains(k.Err, "not a kubeconfig") {
		t.Errorf("kubeconfig %+v", k)
	}
	if len(missing) > 0 {
		t.Errorf("missing as well: %+v", missing)
	}
	report := xray.Evaluate(&evidence.Evidence{At: evidencetest.At, Ways: []evidence.Way{evidence.Machines}, Machines: []*evidence.Machine{m}}, xray.Options{})
	if !report.Blind() {
		t.Error("no finding says that a certificate could not be read")
	}
}

func TestStoppedProgramsAreThoseOfEnabledUnits(t *testing.T) {
	m, _ := broken(t, func(f tree) {
		for _, p := range evidencetest.Machine(evidencetest.Healthy(spec.Shared), "cp-1").Programs {
			if p.Name == evidence.EtcdServer || p.Name == evidence.Scheduler {
				f.remove("proc/" + strings.TrimPrefix(p.Where, "pid ") + "/comm")
			}
		}
		text, err := os.ReadFile(filepath.Join(f.dir, "answers/systemctl"))
		if err != nil {
			t.Fatal(err)
		}
		scheduler := strings.Index(string(text), "Id=kube-scheduler.service")
		changed := strings.Replace(string(text[scheduler:]), "ActiveState=active\nUnitFileState=enabled", "ActiveState=inactive\nUnitFileState=disabled", 1)
		f.write("answers/systemctl", 0o644, string(text[:scheduler])+changed)
	})
	p := m.Program(evidence.EtcdServer)
	if p == nil || p.Running || p.From != evidence.FromUnit || p.Where != "/etc/systemd/system/etcd.service" || p.FlagOr("name", "") != "cp-1" {
		t.Errorf("etcd, which was stopped: %+v", p)
	}
	if m.Etcd != nil {
		t.Error("etcd was asked")
	}
	if p := m.Program(evidence.Scheduler); p != nil {
		t.Errorf("kube-scheduler, which is disabled: %+v", p)
	}
}

func TestVersionIsAskedOfTheFileThatRuns(t *testing.T) {
	m, _ := broken(t, func(f tree) {
		f.write("opt/kubelet", 0o755, "#!/bin/sh\necho Kubernetes v1.36.9\n")
		file := filepath.Join(f.dir, "opt/kubelet")
		f.write("proc/271/cmdline", 0o644, file+"\x00--config=/var/lib/kubelet/config.yaml\x00")
		if err := os.Symlink(file, filepath.Join(f.dir, "proc/271/exe")); err != nil {
			t.Fatal(err)
		}
	})
	if got := m.Program(evidence.Kubelet).Version; got != "v1.36.9" {
		t.Errorf("version %q", got)
	}
}

// Where keepalived runs, it is asked what it has heard of others.
func TestKeepalivedIsAskedWhomItHears(t *testing.T) {
	const says = "(VI_1) unicast source address 10.0.0.9 not a unicast peer"
	for name, runs := range map[string]bool{"it runs": true, "it does not run": false} {
		t.Run(name, func(t *testing.T) {
			m, _ := broken(t, func(f tree) {
				f.write("bin/journalctl", 0o755, "#!/bin/sh\necho '"+says+"'\n")
				f.write("etc/keepalived/keepalived.conf", 0o644, vrrpText)
				f.write("etc/systemd/system/keepalived.service", 0o644, "[Service]\nExecStart=/usr/sbin/keepalived --dont-fork\n")
				if runs {
					f.write("proc/301/comm", 0o644, "keepalived\n")
					f.write("proc/301/cmdline", 0o644, "/usr/sbin/keepalived\x00--dont-fork\x00")
					f.write("proc/301/cgroup", 0o644, "0::/system.slice/keepalived.service\n")
				}
			})
			switch {
			case !runs && m.Keepalived != nil && m.Keepalived.Strangers != "":
				t.Errorf("it was asked: %+v", m.Keepalived)
			case runs && (m.Keepalived == nil || m.Keepalived.Strangers != says):
				t.Errorf("keepalived %+v", m.Keepalived)
			}
		})
	}
}

// A kubeconfig in an odd place names certificates in another: further rounds, after
// which what the first one saw still holds.
func TestProcessesAreSeenInTheFirstOfSeveralRounds(t *testing.T) {
	m, missing := broken(t, func(f tree) {
		text, err := os.ReadFile(filepath.Join(f.dir, "etc/kubernetes/kubelet.conf"))
		if err != nil {
			t.Fatal(err)
		}
		f.write("opt/kubeconfig", 0o600, string(text))
		f.write("proc/271/cmdline", 0o644, "/usr/bin/kubelet\x00--config=/var/lib/kubelet/config.yaml\x00--kubeconfig=/opt/kubeconfig\x00")
	})
	if len(missing) > 0 {
		t.Errorf("missing: %+v", missing)
	}
	kubelet := m.Program(evidence.Kubelet)
	if got := kubelet.FlagOr("kubeconfig", ""); got != "/opt/kubeconfig" {
		t.Errorf("kubelet's kubeconfig %q", got)
	}
	for _, p := range m.Programs {
		if !p.Running {
			t.Errorf("%s: not running, %s", p.Name, p.Where)
		}
	}
}
