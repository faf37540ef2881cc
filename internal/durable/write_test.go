package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func content(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func entries(t *testing.T, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func TestWriteFileReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "machine.json")
	for _, w := range []struct {
		text string
		mode fs.FileMode
	}{{"first", 0o644}, {"second", 0o600}, {"", 0o444}, {"after one that is read-only", 0o755}} {
		if err := WriteFile(path, []byte(w.text), w.mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := content(t, path); got != w.text || info.Mode() != w.mode {
			t.Errorf("%q with mode %v, want %q with %v", got, info.Mode(), w.text, w.mode)
		}
	}
	if got := entries(t, dir); got != "machine.json" {
		t.Errorf("the folder has %s", got)
	}
}

// A reader that looks at the new file while it is written.
type spy struct {
	dir  string
	seen []fs.FileMode
	done bool
}

func (s *spy) Read(p []byte) (int, error) {
	found, _ := filepath.Glob(filepath.Join(s.dir, ".secret.*.new"))
	for _, f := range found {
		if info, err := os.Stat(f); err == nil {
			s.seen = append(s.seen, info.Mode())
		}
	}
	if s.done {
		return 0, io.EOF
	}
	s.done = true
	return copy(p, "text"), nil
}

func TestNobodyElseReadsWhatIsBeingWritten(t *testing.T) {
	s := &spy{dir: t.TempDir()}
	if err := Replace(filepath.Join(s.dir, "secret"), 0o644, s); err != nil {
		t.Fatal(err)
	}
	if len(s.seen) != 2 || s.seen[0] != 0o600 || s.seen[1] != 0o600 {
		t.Errorf("modes while it was written: %v, want 0600 twice", s.seen)
	}
}

func TestWhatFailsLeavesTheOldFile(t *testing.T) {
	full := errors.New("no space left")
	for name, write := range map[string]func(path string) error{
		"the source": func(path string) error {
			return Replace(path, 0o600, io.MultiReader(strings.NewReader("half"), errorReader{full}))
		},
		"prepare": func(path string) error {
			return Replace(path, 0o600, strings.NewReader("new"), func(*os.File) error { return full })
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			if err := WriteFile(path, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := write(path); !errors.Is(err, full) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v", err)
			}
			if content(t, path) != "old" || entries(t, dir) != "f" {
				t.Errorf("%q in a folder of %s", content(t, path), entries(t, dir))
			}
		})
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

func TestLeftOversAreSwept(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	left := filepath.Join(dir, ".f.123.new")
	other := filepath.Join(dir, ".g.123.new")
	for _, p := range []string{left, other} {
		if err := os.WriteFile(p, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// Another writer of the same file is at work: it is not swept, and both succeed.
	if err := Replace(path, 0o600, writing{t, path}); err != nil {
		t.Fatal(err)
	}
	if got := content(t, path); got != "outer" {
		t.Errorf("the last one in its place is %q, want that of the outer writer", got)
	}
	if got := entries(t, dir); got != ".g.123.new f" {
		t.Errorf("the folder has %s", got)
	}
}

// Who reads from it writes the same file meanwhile.
type writing struct {
	t    *testing.T
	path string
}

func (w writing) Read(p []byte) (int, error) {
	if err := WriteFile(w.path, []byte("inner"), 0o600); err != nil {
		w.t.Error(err)
	}
	return copy(p, "outer"), io.EOF
}
