package cluster

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/runtime/systemd"
)

func write(t *testing.T, e *env) {
	t.Helper()
	if done, err := filesCurrent(t.Context(), e); done || err != nil {
		t.Fatalf("done %v, %v", done, err)
	}
	if err := writeFiles(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if done, err := filesCurrent(t.Context(), e); !done || err != nil {
		t.Fatalf("after writing done %v, %v", done, err)
	}
}

func TestFilesThatAreNotWantedAreRemoved(t *testing.T) {
	e, hosts := recorded()
	files := e.rendered["cp-1"].Files
	files.AddManifest(render.ManifestPath)
	e.agent = fileset.New(fileset.File{Path: render.AgentBinary, Mode: 0o755, Data: []byte("program")})
	h := hosts["cp-1"]
	h.Running["old"] = systemd.State{Active: true}
	const old = "/etc/cp-1\n/etc/gone\n/etc/systemd/system/old.service\n/var/lib/haplane/files\n"
	answer := h.Answer
	h.Answer = func(argv []string) (string, error) {
		if slices.Contains(argv, render.ManifestPath) {
			return old, nil
		}
		return answer(argv)
	}
	write(t, e)
	var did []string
	for _, c := range h.Commands() {
		if strings.HasPrefix(c, "rm ") || strings.HasPrefix(c, "systemctl ") {
			did = append(did, c)
		}
	}
	want := []string{"rm -f -- /etc/gone /etc/systemd/system/old.service", "systemctl daemon-reload"}
	if diff := cmp.Diff(want, did); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"remove old"}, h.Did()); diff != "" {
		t.Error(diff)
	}
	if len(hosts["lb-1"].Commands()) != 0 {
		t.Errorf("a machine without a list of files was asked for it: %q", hosts["lb-1"].Commands())
	}
}

// The program of haplane agent is there before the unit that has its digest.
func TestTheAgentsProgramComesBeforeItsUnit(t *testing.T) {
	e, hosts := recorded()
	e.agent = fileset.New(fileset.File{Path: render.AgentBinary, Mode: 0o755, Data: []byte("program")})
	write(t, e)
	want := [][]string{{render.AgentBinary}, {"/etc/cp-1"}}
	if diff := cmp.Diff(want, hosts["cp-1"].Uploads()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][]string{{"/etc/worker-1"}}, hosts["worker-1"].Uploads()); diff != "" {
		t.Error(diff)
	}
}

func TestPlanUnits(t *testing.T) {
	u := render.Unit{Name: "haproxy", Config: "c", Load: "l"}
	tests := map[string]struct {
		seen systemd.State
		want unitPlan
	}{
		"as wanted":            {systemd.State{Active: true, Config: "c", Loaded: "l"}, unitPlan{}},
		"stopped":              {systemd.State{Loaded: "l"}, unitPlan{start: []string{"haproxy"}}},
		"other configuration":  {systemd.State{Active: true, Config: "x", Loaded: "x"}, unitPlan{restart: []string{"haproxy"}}},
		"other files":          {systemd.State{Active: true, Config: "c", Loaded: "x"}, unitPlan{reload: []string{"haproxy"}}},
		"none says its loaded": {systemd.State{Active: true, Config: "c"}, unitPlan{reload: []string{"haproxy"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := planUnits([]render.Unit{u}, map[string]systemd.State{"haproxy": test.seen})
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(unitPlan{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAUnitThatIsReloadedIsNotRestarted(t *testing.T) {
	e, hosts := recorded()
	m := e.rendered["lb-1"]
	m.Units = []render.Unit{{Name: "haproxy", Config: "c", Load: "new"}}
	e.rendered = map[string]render.Machine{"lb-1": m}
	h := hosts["lb-1"]
	h.Next.Loaded = "new"
	h.Running["haproxy"] = systemd.State{Active: true, Config: "c", Loaded: "old"}
	if done, err := controlPlaneStarted(t.Context(), e); done || err != nil {
		t.Fatalf("%v, %v", done, err)
	}
	if err := startControlPlane(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"reload haproxy"}, h.Did()); diff != "" {
		t.Error(diff)
	}
	if done, err := controlPlaneStarted(t.Context(), e); !done || err != nil {
		t.Errorf("again: %v, %v", done, err)
	}
}
