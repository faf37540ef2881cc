package component

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	tailLines = 20
	stopTime  = 10 * time.Second // for the compiler to clear up after an interrupt
)

// A CompileError is a compiler that failed, with the last lines of what it said.
type CompileError struct {
	Argv []string
	Tail string
	Err  error
}

// Error shows the command and, below it, the compiler's last lines.
func (e *CompileError) Error() string {
	return fmt.Sprintf("%s: %v\n%s", strings.Join(e.Argv, " "), e.Err, e.Tail)
}

// Unwrap returns why the command failed.
func (e *CompileError) Unwrap() error { return e.Err }

// compile builds one program to path.
func (j job) compile(ctx context.Context, p program, path string, log io.Writer, m *meter) error {
	args := append([]string{"build"}, j.flags()...)
	if m != nil {
		args = append(args, "-v") // names each package as it comes to it
	}
	cmd := goCommand(ctx, j.dir, j.cgo, append(args, "-o", path, p.pkg)...)
	var tail tailWriter
	cmd.Stdout = m.watch(j, io.MultiWriter(log, &tail))
	cmd.Stderr = cmd.Stdout
	fmt.Fprintf(log, "%s: %s\n", j.name, strings.Join(cmd.Args, " "))
	err := cmd.Run()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return &CompileError{Argv: []string{"go", "build", p.pkg}, Tail: tail.String(), Err: err}
	}
	return nil
}

// goCommand is the go command in dir. It is interrupted, with everything it
// started, when ctx ends, so that it takes its temporary files with it.
func goCommand(ctx context.Context, dir string, cgo bool, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, goProgram(), args...)
	cmd.Dir = dir
	cmd.Env = environment(os.Getenv, cgo)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = stopTime
	return cmd
}

// kept are the user's settings that say where things are and how to reach
// them. Those that change what is built are not among them.
var kept = []string{
	"HOME", "PATH", "TMPDIR", "LANG", "XDG_CACHE_HOME", "XDG_CONFIG_HOME",
	"GOCACHE", "GOMODCACHE", "GOPATH", "GOROOT", "GOTMPDIR", "GOTOOLCHAIN", "GOMAXPROCS",
	"GOPROXY", "GOSUMDB", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOINSECURE", "GOAUTH", "NETRC",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "PKG_CONFIG_PATH", "PKG_CONFIG_LIBDIR",
}

func environment(get func(string) string, cgo bool) []string {
	// The module's own directory counts, not a workspace around it.
	env := []string{"GOFLAGS=-mod=readonly -buildvcs=false", "GOWORK=off", "GOOS=linux", "CGO_ENABLED=0"}
	if cgo {
		env[len(env)-1] = "CGO_ENABLED=1"
	}
	for _, name := range kept {
		if value := get(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// A tailWriter keeps the last lines of what is written to it.
type tailWriter struct{ text []byte }

func (w *tailWriter) Write(p []byte) (int, error) {
	w.text = append(w.text, p...)
	if over := bytes.Count(w.text, []byte("\n")) - tailLines; over > 0 {
		for range over {
			w.text = w.text[bytes.IndexByte(w.text, '\n')+1:]
		}
	}
	return len(p), nil
}

func (w *tailWriter) String() string { return strings.TrimRight(string(w.text), "\n") }
