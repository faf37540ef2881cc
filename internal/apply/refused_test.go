package apply

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
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

// A load balancer that refuses its new configuration, or dies while it is told, ends the change there: what else would be done on it is not, and the
// files of before are in their place where there is somebody to put them there.
func TestLoadBalancerThatIsNotTold(t *testing.T) {
	c, err := spec.Parse("f.yaml", []byte("apiVersion: haplane/v1alpha1\nkind: Cluster\nspec:\n  nodes: [{role: control-plane}, {role: load-balancer}, {role: load-balancer}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	file := func(path, text string) fileset.File {
		return fileset.File{Path: path, Mode: 0o644, Data: []byte(text)}
	}
	const haproxy, ca, keepalived = "/etc/haproxy/haproxy.cfg", "/etc/haproxy/kubernetes-ca.crt", "/etc/keepalived/keepalived.conf"
	wanted := render.Machine{Files: fileset.New(file(haproxy, "new"), file(ca, "same"), file(keepalived, "new")),
		Units: []render.Unit{{Name: "haproxy", Config: "same", Load: "new"}, {Name: "keepalived", Config: "same", Load: "new"}}}
	for name, test := range map[string]struct {
		fails error  // the reload
		of    string // the unit
		did   []string
		back  string // the file that is put back
	}{
		"HAProxy refuses":    {&machine.CommandError{Machine: "lb-1", Argv: []string{"sh"}, ExitCode: 1, Stderr: "Job for haproxy.service failed."}, "haproxy", []string{"reload haproxy"}, haproxy},
		"keepalived refuses": {&machine.CommandError{Machine: "lb-1", Argv: []string{"sh"}, ExitCode: 1, Stderr: "Job for keepalived.service failed."}, "keepalived", []string{"reload haproxy", "reload keepalived"}, keepalived},
		"it dies":            {errors.New("connection lost"), "haproxy", []string{"reload haproxy"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			node := systemdtest.New("lb-1")
			for _, unit := range []string{"haproxy", "keepalived"} {
				node.Running[unit] = systemd.State{Active: true, Config: "same", Loaded: "old"}
			}
			node.Next = systemd.State{Active: true, Config: "same", Loaded: "new"}
			old := fileset.New(file(haproxy, "old"), file(ca, "same"), file(keepalived, "old"))
			if err := node.Upload(t.Context(), old); err != nil {
				t.Fatal(err)
			}
			var kept, back []string
			answer := node.Answer
			node.Answer = func(argv []string) (string, error) {
				switch {
				case len(argv) > 4 && argv[2] == keepScript:
					kept = argv[5:]
				case len(argv) > 4 && argv[2] == backScript:
					back = argv[5:]
				case len(argv) > 4 && argv[3] == "reload" && argv[4] == test.of+".service":
					return "", test.fails
				}
				return answer(argv)
			}
			topo := topology.New(c)
			r := &Runner{Nodes: map[string]topology.Node{}, Waiting: func(string, string) {}, Log: slog.New(slog.DiscardHandler),
				Cluster: &access.Cluster{Topology: topo, Machine: func(string) machine.Machine { return node }},
				Render:  func(change.Step) map[string]render.Machine { return map[string]render.Machine{"lb-1": wanted} }}
			for _, n := range topo.Nodes {
				r.Nodes[n.Name] = n
			}
			err := setBackends(t.Context(), r, change.Step{Verb: change.SetBackends, Node: "lb-1", Backends: []string{"cp-1"}, Balancers: []string{"lb-1", "lb-2"}})
			if !errors.Is(err, test.fails) {
				t.Fatalf("error %v", err)
			}
			var unit *UnitError
			if says := "goes on with the one of before"; test.back != "" != (errors.As(err, &unit) && unit.Unit == test.of && unit.Node == "lb-1" && strings.Contains(err.Error(), says)) {
				t.Errorf("error %v", err)
			}
			if diff := cmp.Diff(test.did, node.Did()); diff != "" {
				t.Errorf("units:\n%s", diff)
			}
			if diff := cmp.Diff([]string{haproxy, keepalived}, kept); diff != "" {
				t.Errorf("kept:\n%s", diff)
			}
			if strings.Join(back, " ") != test.back {
				t.Errorf("put back: %q, want %s", back, test.back)
			}
			if strings.Contains(strings.Join(node.Commands(), "\n"), topology.StandBy) {
				t.Error("it is told about the address")
			}
		})
	}
}

// The scripts, on files of this machine.
func TestFilesAreKeptAndPutBack(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "etc/one"), filepath.Join(dir, "etc/deep er/two")
	write := func(path, text string, mode fs.FileMode) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	run := func(script string, args ...string) error {
		return exec.CommandContext(context.WithoutCancel(t.Context()), "sh", append([]string{"-c", script, "sh", filepath.Join(dir, "kept")}, args...)...).Run()
	}
	write(one, "old one", 0o600)
	write(two, "old two", 0o644)
	write(filepath.Join(dir, "kept/left"), "of another run", 0o644)
	if err := run(keepScript, one, two); err != nil {
		t.Fatal(err)
	}
	write(one, "new", 0o600)
	write(two, "new", 0o644)
	if err := run(backScript, one, two); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{one: "old one", two: "old two"} {
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s has %q, %v", path, got, err)
		}
	}
	if info, err := os.Stat(one); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "kept/left")); err == nil {
		t.Error("what another run kept is there still")
	}
	if left, err := os.ReadDir(filepath.Dir(one)); err != nil || len(left) != 2 {
		t.Errorf("%v, %v", left, err)
	}
	if run(backScript, filepath.Join(dir, "etc/none")) == nil {
		t.Error("what was not kept was put back")
	}
}
