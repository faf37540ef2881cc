package systemd_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/machine/machinetest"
	"github.com/haplane/haplane/internal/program"
	"github.com/haplane/haplane/internal/runtime/systemd"
	"github.com/haplane/haplane/internal/runtime/systemd/systemdtest"
)

// here is a machine whose commands run on this host, with the given systemctl.
func here(t *testing.T, systemctl string) *machinetest.Recorder {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "systemctl"), []byte("#!/bin/sh\n"+systemctl), 0o755); err != nil {
		t.Fatal(err)
	}
	return &machinetest.Recorder{Answer: func(argv []string) (string, error) {
		cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
		cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
		out, err := cmd.Output()
		return string(out), err
	}}
}

// process runs with a digest in its environment until the test ends.
func process(t *testing.T, config string) int {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sleep", "60")
	cmd.Env = []string{"A=b", program.ConfigVariable + "=" + config, "X" + program.ConfigVariable + "=no"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd.Process.Pid
}

func TestObserveReadsTheDigestsOfProcesses(t *testing.T) {
	shown := fmt.Sprintf("MainPID=%d\nNRestarts=0\nId=etcd.service\nActiveState=active\n\n"+
		"MainPID=%d\nNRestarts=3\nId=kubelet.service\nActiveState=active\n\nMainPID=0\nNRestarts=0\nId=haproxy.service\nActiveState=failed\n\n"+
		"MainPID=%d\nNRestarts=0\nId=gone.service\nActiveState=active", process(t, "abc"), process(t, "def"), 1<<22+1)
	got, err := systemd.Observe(t.Context(), here(t, "echo '"+shown+"'\n"), []string{"etcd"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]systemd.State{"etcd": {Active: true, Config: "abc"}, "kubelet": {Active: true, Config: "def", Restarts: 3},
		"haproxy": {Failed: true}, "gone": {Active: true}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got, err := systemd.Observe(t.Context(), here(t, "exit 1\n"), []string{"etcd"}); err == nil {
		t.Errorf("without an answer of systemctl it says %v", got)
	}
}

// What the recorded host says is read as what it was given.
func TestObserveOfARecordedHost(t *testing.T) {
	h := systemdtest.New("lb-1")
	want := map[string]systemd.State{"haproxy": {Active: true, Config: "c", Loaded: "l", Restarts: 2}, "etcd": {Failed: true}, "kubelet": {}}
	h.Running = map[string]systemd.State{"haproxy": want["haproxy"], "etcd": want["etcd"]}
	got, err := systemd.Observe(t.Context(), h, []string{"haproxy", "etcd", "kubelet"})
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestCrashLoopingNamesTheFirst(t *testing.T) {
	h := systemdtest.New("cp-1")
	h.Running = map[string]systemd.State{"kube-apiserver": {Restarts: 9}, "etcd": {Restarts: 12}, "kubelet": {Restarts: 15}}
	name, restarts := systemd.CrashLooping(t.Context(), h, []string{"kube-apiserver", "etcd", "kubelet"}, 10)
	if name != "etcd" || restarts != 12 {
		t.Errorf("%q, %d", name, restarts)
	}
	if name, _ := systemd.CrashLooping(t.Context(), h, []string{"kube-apiserver"}, 10); name != "" {
		t.Errorf("%q below the limit", name)
	}
}

// Each verb runs here, with a systemctl that records its arguments.
func TestVerbs(t *testing.T) {
	type verb = func(context.Context, machine.Machine, ...string) error
	const broken = `echo "$*" >>LOG; [ "$1" != show ] || echo /etc/x; case "$*" in *broken*) exit 1 ;; esac`
	tests := map[string]struct {
		verb      verb
		systemctl string
		units     []string
		want      []string
		fails     bool
	}{
		"start": {systemd.Start, broken, []string{"a", "b"}, []string{"enable --quiet -- a.service b.service",
			"restart --no-block -- a.service b.service"}, false},
		"restart": {systemd.Restart, broken, []string{"a"}, []string{"daemon-reload", "restart -- a.service"}, false},
		"reload":  {systemd.Reload, broken, []string{"a"}, []string{"daemon-reload", "reload -- a.service"}, false},
		"reload of a configuration that is refused": {systemd.Reload, broken, []string{"broken"},
			[]string{"daemon-reload", "reload -- broken.service"}, true},
		"stop of what is not there": {systemd.Stop, `echo "$*" >>LOG; [ "$3" != a.service ] || exit 5`, []string{"a", "b"},
			[]string{"stop -- a.service", "stop -- b.service"}, false},
		"stop that fails": {systemd.Stop, broken, []string{"broken"}, []string{"stop -- broken.service"}, true},
		"remove": {systemd.Remove, broken, []string{"a"}, []string{"stop -- a.service",
			"show --property=FragmentPath --value -- a.service", "disable --quiet -- a.service"}, false},
		"remove of what is not there": {systemd.Remove, `echo "$*" >>LOG; [ "$1" = show ] || exit 5`, []string{"a"},
			[]string{"stop -- a.service", "show --property=FragmentPath --value -- a.service"}, false},
		"nothing": {systemd.Restart, broken, nil, nil, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "log")
			err := test.verb(t.Context(), here(t, strings.ReplaceAll(test.systemctl, "LOG", log)+"\n"), test.units...)
			if (err != nil) != test.fails {
				t.Error(err)
			}
			if test.fails && !strings.Contains(err.Error(), test.units[0]) {
				t.Errorf("%v does not name the unit", err)
			}
			data, err := os.ReadFile(log)
			if err != nil && !errors.Is(err, os.ErrNotExist) {
				t.Fatal(err)
			}
			var got []string
			for line := range strings.Lines(string(data)) {
				got = append(got, strings.TrimSpace(line))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
