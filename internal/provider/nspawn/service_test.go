package nspawn

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// offline is a host's units in a folder: systemctl itself enables and disables
// there, and what it cannot do without systemd is only written down.
func offline(t *testing.T) (b *bootService, calls *[]string) {
	t.Helper()
	root := t.TempDir()
	b, calls = &bootService{dir: filepath.Join(root, unitDir)}, new([]string)
	b.systemctl = func(_ context.Context, args ...string) error {
		*calls = append(*calls, strings.Join(args, " "))
		if args[0] == "daemon-reload" {
			return nil
		}
		args = slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == "--now" })
		return exec.Command("systemctl", append([]string{"--quiet", "--root=" + root}, args...)...).Run()
	}
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return b, calls
}

func startable(t *testing.T) (*Provider, *[]string) {
	t.Helper()
	p := provider("demo", false)
	p.StateDir = filepath.Join(t.TempDir(), "50% of it")
	p.StartCommand = []string{"/bin/true", "start", "--cluster", "demo", `$HOME "a\b"`}
	p.StartEnvironment = []string{"HAPLANE_HOME=/root/my 100%"}
	var calls *[]string
	p.boot, calls = offline(t)
	return p, calls
}

func TestServiceText(t *testing.T) {
	p, _ := startable(t)
	p.StateDir = "/my 50%"
	want := `[Unit]
Description=Machines of the haplane cluster demo
After=network.target
RequiresMountsFor="/my 50%%"
ConditionPathIsDirectory=/my 50%%
StartLimitIntervalSec=1h
StartLimitBurst=5

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=20min
Restart=on-failure
RestartSec=5s
Environment="HAPLANE_HOME=/root/my 100%%"
ExecStart="/bin/true" "start" "--cluster" "demo" "$$HOME \"a\\b\""

[Install]
WantedBy=multi-user.target
`
	if d := cmp.Diff(want, p.serviceText()); d != "" {
		t.Error(d)
	}
}

func TestSystemdAcceptsTheService(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip(err)
	}
	p, _ := startable(t)
	file := filepath.Join(t.TempDir(), p.service())
	write(t, file, p.serviceText())
	if out, err := exec.Command("systemd-analyze", "verify", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

func TestService(t *testing.T) {
	if _, err := exec.LookPath("systemctl"); err != nil {
		t.Skip(err)
	}
	p, calls := startable(t)
	file := filepath.Join(p.boot.dir, p.service())
	step := func(name string, fn func(context.Context) error, enabled bool, want ...string) {
		t.Helper()
		*calls = nil
		if err := fn(t.Context()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := cmp.Diff(want, *calls); d != "" {
			t.Errorf("%s: systemctl:\n%s", name, d)
		}
		if got := p.boot.enabled(p.service()); got != enabled {
			t.Errorf("%s: enabled is %t, want %t", name, got, enabled)
		}
	}
	remove := func(ctx context.Context) error { _, err := p.removeService(ctx); return err }
	const enable, disable = "enable haplane.demo.service", "disable --now haplane.demo.service"

	step("disable what is not there", p.disableService, false)
	step("create", p.enableService, true, "daemon-reload", enable)
	step("create again", p.enableService, true)
	step("stop", p.disableService, false, disable)
	step("stop again", p.disableService, false)
	step("start", p.enableService, true, "daemon-reload", enable)
	p.StartCommand = append(p.StartCommand, "--verbose")
	step("another command", p.enableService, true, "daemon-reload", enable)
	if data, _ := os.ReadFile(file); string(data) != p.serviceText() {
		t.Errorf("the unit is\n%s", data)
	}
	step("remove", remove, false, disable, "daemon-reload")
	step("remove again", remove, false)
	if exists(file) {
		t.Error("the unit's file is left")
	}
	step("create", p.enableService, true, "daemon-reload", enable)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	step("remove what has lost its file", remove, false, disable, "daemon-reload")
	p.StartCommand = nil
	step("without a command", p.enableService, false)
}

func TestServiceOfAnotherStateFolder(t *testing.T) {
	p, _ := startable(t)
	if err := p.enableService(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := &Provider{Cluster: p.Cluster, StateDir: t.TempDir(), boot: p.boot}
	if err := other.ownsService(); err != nil {
		t.Errorf("a service whose state folder is gone: %v", err)
	}
	if err := os.Mkdir(p.StateDir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := other.ownsService(); err == nil || !strings.Contains(err.Error(), p.StateDir) {
		t.Errorf("got %v, want an error that names %s", err, p.StateDir)
	}
	if err := p.ownsService(); err != nil {
		t.Errorf("its own service: %v", err)
	}
}
