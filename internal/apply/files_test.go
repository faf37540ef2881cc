package apply

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/runtime/systemd/systemdtest"
	"github.com/haplane/haplane/internal/topology"
)

// No program of a user's starts before there is that user; who is cut off in between begins again.
func TestUsersAreMadeBeforeTheFilesThatNeedThem(t *testing.T) {
	users := fileset.File{Path: render.SysusersPath, Mode: 0o644, Data: []byte("u etcd 401")}
	current := map[string]fileset.State{users.Path: {Mode: 0o644, Owner: "root", Sum: users.Sum()}}
	for name, test := range map[string]struct {
		seen   map[string]fileset.State
		fails  error
		want   []string
		writes int
	}{
		"a machine that has none": {nil, nil, []string{"systemd-sysusers -"}, 1},
		"one that has them":       {current, nil, nil, 0},
		"they cannot be made":     {nil, errors.New("no space"), []string{"systemd-sysusers -"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := systemdtest.New("cp-1")
			h.Answer = func([]string) (string, error) {
				if len(h.Files()) > 0 {
					t.Error("the file is there before its users")
				}
				return "", test.fails
			}
			if err := Write(t.Context(), h, fileset.New(users), observed.Machine{Files: test.seen}); !errors.Is(err, test.fails) {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, h.Commands()); diff != "" || len(h.Uploads()) != test.writes {
				t.Errorf("%s, %v", diff, h.Uploads())
			}
		})
	}
}

// haplane's own program comes first, then goes what is not wanted, and then comes the rest.
func TestWriteRemovesWhatIsNotWantedFirst(t *testing.T) {
	h := systemdtest.New("cp-1")
	file := func(path string) fileset.File { return fileset.File{Path: path, Mode: 0o644, Data: []byte(path)} }
	want := fileset.New(file("/etc/kept"), file("/etc/new"), file(render.AgentBinary))
	want.AddManifest(render.ManifestPath)
	var order []string
	answer := h.Answer
	h.Answer = func(argv []string) (string, error) {
		order = append(order, strings.Join(argv[max(0, len(argv)-3):], " "))
		if len(h.Files()) != 1 {
			t.Errorf("at %v there are %v", argv, h.Files().Paths())
		}
		return answer(argv)
	}
	unit := topology.UnitDir + "/old.service"
	seen := observed.Machine{Manifest: "/etc/gone\n" + "/etc/kept\n" + unit + "\n", Files: map[string]fileset.State{
		"/etc/kept": {Mode: 0o644, Owner: "root", Sum: file("/etc/kept").Sum()}}}
	if err := Write(t.Context(), h, want, seen); err != nil {
		t.Fatal(err)
	}
	if len(order) != 3 || !strings.HasSuffix(order[0], "remove old.service") {
		t.Errorf("commands %v", order)
	}
	if diff := cmp.Diff([]string{"-- /etc/gone " + unit, "systemctl daemon-reload"}, order[1:]); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][]string{{render.AgentBinary}, {"/etc/new", render.ManifestPath}}, h.Uploads()); diff != "" {
		t.Error(diff)
	}
}
