package program

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/fileset"
)

func machine(contents map[string]string) fileset.Set {
	s := fileset.Set{}
	for p, data := range contents {
		s.Add(fileset.File{Path: p, Mode: 0o600, Data: []byte(data), Keep: strings.HasSuffix(p, ".env")})
	}
	return s
}

var contents = map[string]string{
	"/etc/a.yaml": "tls: {certFile: /etc/pki/a.crt}\nkeyFile: \"/etc/pki/a.key\"\n", "/etc/pki/a.crt": "1", "/etc/pki/a.key": "2",
	"/etc/pki/ca.crt": "-----BEGIN /etc/unused", "/etc/unused": "3", "/etc/join.env": "A=/etc/unused", "/etc/sub/x": "4",
}

func TestStateFollowsWhatTheTextNames(t *testing.T) {
	tests := map[string]struct {
		program Program
		want    State
	}{
		"argument": {Program{Text: "run --ca=/etc/pki/ca.crt"}, State{Restarting: []string{"/etc/pki/ca.crt"}}},
		"argument with a blank, and a list": {Program{Text: "run --ca /etc/pki/ca.crt --more=/nowhere,/etc/pki/a.key"},
			State{Restarting: []string{"/etc/pki/a.key", "/etc/pki/ca.crt"}}},
		"configuration, and what it names": {Program{Text: "run \\\n  --config=/etc/a.yaml \\\n  --v=2"},
			State{Restarting: []string{"/etc/a.yaml", "/etc/pki/a.crt", "/etc/pki/a.key"}}},
		"folder":                  {Program{Text: "run --dir=/etc/sub/"}, State{Restarting: []string{"/etc/sub/x"}}},
		"a part of a name is not": {Program{Text: "run /etc/unuse /srv/etc/unused /etc/unused2"}, State{}},
		"a URL is not":            {Program{Text: "server: https://[fd00::1]:6443\nother: https://10.0.0.1:6443/ / //"}, State{}},
		"what is kept is not":     {Program{Text: "EnvironmentFile=/etc/join.env"}, State{}},
		"read again by itself": {Program{Text: "run --config=/etc/a.yaml", Self: []string{"certFile", "keyFile"}},
			State{Restarting: []string{"/etc/a.yaml"}, Self: []string{"/etc/pki/a.crt", "/etc/pki/a.key"}}},
		"read again under one name only": {Program{Text: "run --a=/etc/pki/ca.crt --b=/etc/pki/ca.crt", Self: []string{"a"}},
			State{Restarting: []string{"/etc/pki/ca.crt"}}},
		"named by what confines it": {Program{Text: "run", Confine: "InaccessiblePaths=/etc/pki/a.key"}, State{}},
		"reloaded": {Program{Text: "run -f /etc/a.yaml", OnChange: Reload},
			State{Reloading: []string{"/etc/a.yaml", "/etc/pki/a.crt", "/etc/pki/a.key"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := test.program.State(machine(contents))
			if got.Config == "" || (got.Load == "") != (len(test.want.Reloading) == 0) {
				t.Errorf("digests %q and %q", got.Config, got.Load)
			}
			got.Config, got.Load = "", ""
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDigestsChangeWithWhatTakesARestartOrAReload(t *testing.T) {
	restarts := Program{Text: "run --config=/etc/a.yaml", Self: []string{"certFile"}}
	reloads := Program{Text: "run --config=/etc/a.yaml", OnChange: Reload}
	tests := map[string]struct {
		program      Program
		change       func(*Program, fileset.Set)
		config, load bool
	}{
		"text":                 {restarts, func(p *Program, _ fileset.Set) { p.Text += " --v=2" }, true, false},
		"program":              {restarts, func(p *Program, _ fileset.Set) { p.Binary = "x" }, true, false},
		"file":                 {restarts, func(_ *Program, s fileset.Set) { write(s, "/etc/pki/a.key", "new") }, true, false},
		"file read by itself":  {restarts, func(_ *Program, s fileset.Set) { write(s, "/etc/pki/a.crt", "new") }, false, false},
		"file of others":       {restarts, func(_ *Program, s fileset.Set) { write(s, "/etc/sub/x", "new") }, false, false},
		"text, reloaded":       {reloads, func(p *Program, _ fileset.Set) { p.Text += " --v=2" }, true, false},
		"file that is named":   {reloads, func(_ *Program, s fileset.Set) { write(s, "/etc/pki/a.key", "new") }, false, true},
		"configuration itself": {reloads, func(_ *Program, s fileset.Set) { write(s, "/etc/a.yaml", "new") }, false, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			files := machine(contents)
			before := test.program.State(files)
			test.change(&test.program, files)
			after := test.program.State(files)
			if config, load := before.Config != after.Config, before.Load != after.Load; config != test.config || load != test.load {
				t.Errorf("restart %v, reload %v", config, load)
			}
		})
	}
}

func write(s fileset.Set, path, data string) {
	f := s[path]
	f.Data = []byte(data)
	s[path] = f
}

// The script notes on the machine what State calls Load.
func TestNoteLoadedIsTheDigest(t *testing.T) {
	dir := t.TempDir()
	files := fileset.Set{}
	for name, data := range map[string]string{"b.cfg": "ca-file " + dir + "/ca.crt\n", "ca.crt": "certificate\n"} {
		path := filepath.Join(dir, name)
		files.Add(fileset.File{Path: path, Mode: 0o644, Data: []byte(data)})
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	state := Program{Text: "run -f " + dir + "/b.cfg", OnChange: Reload}.State(files)
	script := NoteLoaded(filepath.Join(dir, "run"), "b", state.Reloading)
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", script).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got, err := os.ReadFile(LoadedFile(filepath.Join(dir, "run"), "b"))
	if err != nil || strings.TrimSpace(string(got)) != state.Load || len(state.Reloading) != 2 {
		t.Errorf("noted %q of %v, want %q (%v)", got, state.Reloading, state.Load, err)
	}
}
