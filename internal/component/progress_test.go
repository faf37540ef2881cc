package component

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// A first build counts the packages that the compiler comes to; the log has what else it says.
func TestProgressOfABuild(t *testing.T) {
	t.Setenv("GOCACHE", t.TempDir()) // all is to be compiled
	o := hello(t)
	var seen []Progress
	var log bytes.Buffer
	o.Progress, o.Log = func(p Progress) { seen = append(seen, p) }, &log
	write(t, o, "greeting/greeting.go", "package greeting\n\nconst Word = \"hello\"\n")
	write(t, o, "main.go", strings.ReplaceAll(strings.Replace(helloMain, `import "fmt"`, "import (\n\t\"fmt\"\n\n\t\"example.com/hello/greeting\"\n)", 1), `"hello"`, "greeting.Word"))
	states(t, o)
	last := seen[len(seen)-1]
	if last.Compiled < 20 || last.Compiled != last.Packages || last.Doing != "linking" || last.Number != 1 || last.Of != 1 {
		t.Errorf("in the end it is %+v, want all of the packages, and the linker", last)
	}
	if !slices.IsSortedFunc(seen, func(a, b Progress) int { return a.Compiled - b.Compiled }) {
		t.Errorf("it goes back: %v", seen)
	}
	if strings.Contains(log.String(), "\nfmt\n") {
		t.Errorf("the log has the names of packages:\n%s", log.String())
	}
	seen = nil
	if states(t, o); seen != nil {
		t.Errorf("progress %v of what is in the cache", seen)
	}
}

func TestMeter(t *testing.T) {
	var last Progress
	now := time.Unix(0, 0)
	a, b := job{row: row{name: "a"}}, job{row: row{name: "b"}}
	m := &meter{report: func(p Progress) { last = p }, now: func() time.Time { return now }, jobs: []job{a, b}, pending: map[string]map[string]bool{}}
	std, other := []string{"fmt", "net/http"}, []string{}
	for i := range 58 {
		other = append(other, fmt.Sprintf("example.com/p%d", i))
	}
	seen := map[string]bool{}
	m.expect(a, append(std, other...), seen)
	m.expect(b, append(std, other[:40]...), seen)
	step := func(j job, path string, want string) {
		t.Helper()
		now = now.Add(3 * time.Second)
		if !m.compiled(j, path) {
			t.Errorf("%s is not counted", path)
		}
		if got := last.String(); want != "" && got != want {
			t.Errorf("after %s: %q, want %q", path, got, want)
		}
	}
	step(a, "fmt", "a 1/2, 1/100 packages")
	for _, path := range other[:48] {
		step(a, path, "")
	}
	step(a, other[48], "a 1/2, 50/100 packages, 2m left")
	if m.compiled(a, "# example.com/p1") || m.compiled(a, "fmt") {
		t.Error("what is no package, or was counted, is counted")
	}
	m.end(a) // ten of them were in the Go cache
	now = now.Add(3 * time.Second)
	if m.begin(b); last.String() != "b 2/2, 50/90 packages, 2m left" {
		t.Errorf("then %q", last)
	}
	for _, path := range append(std, other[:40]...) {
		m.compiled(b, path)
	}
	if last.String() != "b 2/2, linking" {
		t.Errorf("in the end %q", last)
	}
}

func TestPackageLines(t *testing.T) {
	var out bytes.Buffer
	var named []string
	w := &packageLines{to: &out, named: func(path string) bool {
		known := path == "fmt" || path == "example.com/p"
		if known {
			named = append(named, path)
		}
		return known
	}}
	for _, part := range []string{"fm", "t\n# example.com/p\n./p.go:1: undefined: x\nexample.", "com/p\n"} {
		if _, err := w.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(named, []string{"fmt", "example.com/p"}) || out.String() != "# example.com/p\n./p.go:1: undefined: x\n" {
		t.Errorf("named %v, passed on %q", named, out.String())
	}
}
