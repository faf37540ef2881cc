package component

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// A Progress tells how far the build is of all that the cache lacked.
type Progress struct {
	Component          string
	Number, Of         int           // this component is number 3 of 8
	Compiled, Packages int           // Go packages: so far, and of all these components
	Doing              string        // what else than to compile
	Left               time.Duration // an estimate; 0 while there is none
}

// String is the progress in one line, short enough for a terminal that is 80 wide.
func (p Progress) String() string {
	text := fmt.Sprintf("%s %d/%d, ", p.Component, p.Number, p.Of)
	if p.Doing != "" {
		return text + p.Doing
	}
	text += fmt.Sprintf("%d/%d packages", p.Compiled, p.Packages)
	switch {
	case p.Left >= 2*time.Minute:
		text += fmt.Sprintf(", %.0fm left", p.Left.Minutes())
	case p.Left > 0:
		text += fmt.Sprintf(", %.0fs left", max(1, p.Left.Seconds()))
	}
	return text
}

// A meter counts the packages that the compiler names as it comes to them, against those that it
// will have to compile. It may be nil, and then does nothing.
type meter struct {
	report func(Progress)
	now    func() time.Time

	mu       sync.Mutex
	jobs     []job
	pending  map[string]map[string]bool // component, package: whether it counts
	p        Progress
	compiles time.Time // of the first package: what is fetched before says nothing of what is left
}

// newMeter asks the go command what it would compile; what is not there yet is fetched for that. Where it
// cannot say, the build will.
func newMeter(ctx context.Context, jobs []job, o Options) *meter {
	if o.Progress == nil || len(jobs) == 0 {
		return nil
	}
	m := &meter{report: o.Progress, now: time.Now, jobs: jobs, pending: map[string]map[string]bool{}}
	seen := map[string]bool{}
	for i, j := range jobs {
		m.tell(j, i, "fetching modules")
		m.expect(j, j.stale(ctx), seen)
	}
	return m
}

// expect adds a component's packages. Those of the standard library, which have no domain in their path, are compiled
// for the first component alone.
func (m *meter) expect(j job, paths []string, seen map[string]bool) {
	m.pending[j.name] = map[string]bool{}
	for _, path := range paths {
		first, _, _ := strings.Cut(path, "/")
		counts := strings.Contains(first, ".") || !seen[path]
		m.pending[j.name][path], seen[path] = counts, true
		if counts {
			m.p.Packages++
		}
	}
}

// stale are the packages that the Go cache lacks.
func (j job) stale(ctx context.Context) []string {
	args := append([]string{"list", "-deps", "-f", "{{if .Stale}}{{.ImportPath}}{{end}}"}, j.flags()...)
	for _, p := range j.row.programs {
		args = append(args, p.pkg)
	}
	out, err := goCommand(ctx, j.dir, j.cgo, args...).Output()
	if err != nil {
		return nil
	}
	return strings.Fields(string(out))
}

func (m *meter) tell(j job, at int, doing string) {
	m.p.Component, m.p.Number, m.p.Of, m.p.Doing = j.name, at+1, len(m.jobs), doing
	m.report(m.p)
}

// compiled counts a package, and reports whether it is one that was waited for.
func (m *meter) compiled(j job, path string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	counts, named := m.pending[j.name][path]
	delete(m.pending[j.name], path)
	if !counts {
		return named
	}
	if m.compiles.IsZero() {
		m.compiles = m.now()
	}
	m.p.Compiled++
	m.show(j)
	return true
}

// begin says that a component's turn has come, end that it is built: what the compiler did not
// name was in the Go cache by then.
func (m *meter) begin(j job) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.show(j)
}

func (m *meter) end(j job) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, counts := range m.pending[j.name] {
		if counts {
			m.p.Packages--
		}
	}
	delete(m.pending, j.name)
}

func (m *meter) show(j job) {
	at, doing := 0, ""
	for i := range m.jobs {
		if m.jobs[i].name == j.name {
			at = i
		}
	}
	if len(m.pending[j.name]) == 0 {
		doing = "linking"
	}
	m.p.Left = 0
	// The first packages are the standard library's, which are small.
	if spent := m.now().Sub(m.compiles); !m.compiles.IsZero() && m.p.Compiled >= 50 && m.p.Compiled < m.p.Packages {
		m.p.Left = time.Duration(float64(spent) / float64(m.p.Compiled) * float64(m.p.Packages-m.p.Compiled))
	}
	m.tell(j, at, doing)
}

// watch passes on what the compiler says, but for the names of packages, which it counts.
func (m *meter) watch(j job, to io.Writer) io.Writer {
	if m == nil {
		return to
	}
	return &packageLines{named: func(path string) bool { return m.compiled(j, path) }, to: to}
}

// packageLines takes lines that name packages out of a text.
type packageLines struct {
	named func(path string) bool
	to    io.Writer
	rest  []byte // of a line that has no end yet
}

func (w *packageLines) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		i := bytes.IndexByte(w.rest, '\n')
		if i < 0 {
			return len(p), nil
		}
		line := w.rest[:i+1]
		w.rest = w.rest[i+1:]
		if w.named(string(line[:i])) {
			continue
		}
		if _, err := w.to.Write(line); err != nil {
			return len(p), err
		}
	}
}
