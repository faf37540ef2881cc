package component

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A tool is something of the build host that a build cannot do without.
type tool struct {
	name  string
	pkg   string // the Debian package that has it, if there is one that will do
	probe string // how it is looked for; see present
	note  string // follows the name where it is told as missing
}

var (
	golang     = tool{name: "go", probe: "command", note: " (from https://go.dev/dl, in the PATH that root has or in /usr/local/go; Debian 12's own is too old)"}
	gcc        = tool{name: "gcc", pkg: "gcc", probe: "command"}
	libc       = tool{name: "libc.a", pkg: "libc6-dev", probe: "archive"}
	pkgConfig  = tool{name: "pkg-config", pkg: "pkg-config", probe: "command"}
	libseccomp = tool{name: "libseccomp", pkg: "libseccomp-dev", probe: "pkg-config"}
)

// A MissingError names everything that the host lacks.
type MissingError struct {
	Tools    []string // what is missing: gcc
	Packages []string // the Debian packages that have it
}

// Error names what is missing.
func (e *MissingError) Error() string {
	text := "the components cannot be built here: missing " + strings.Join(e.Tools, ", ")
	if len(e.Packages) > 0 {
		text += " (apt-get install " + strings.Join(e.Packages, " ") + ")"
	}
	return text
}

// Check tells what this host lacks to build what is not ready-made, as a
// *MissingError, and what is wrong with the choice of ready-made programs.
func (o Options) Check(ctx context.Context) error {
	plan, err := o.plan(table())
	if err != nil {
		return err
	}
	return errors.Join(o.checkVersion(plan.build), checkTools(ctx, plan.build))
}

// checkTools looks for what the rows need, all of it before anything is built.
func checkTools(ctx context.Context, rows []row) error {
	if len(rows) == 0 {
		return nil
	}
	needs := []tool{golang}
	for _, r := range rows {
		needs = append(needs, r.needs...)
	}
	missing := &MissingError{}
	for i, t := range needs {
		if slices.Contains(needs[:i], t) || t.present(ctx) {
			continue
		}
		missing.Tools = append(missing.Tools, t.name+t.note)
		if t.pkg != "" {
			missing.Packages = append(missing.Packages, t.pkg)
		}
	}
	if len(missing.Tools) == 0 {
		return nil
	}
	return missing
}

func (t tool) present(ctx context.Context) bool {
	switch t.probe {
	case "archive": // gcc answers with a path if it finds the file, else with its bare name
		out, err := exec.CommandContext(ctx, "gcc", "-print-file-name="+t.name).Output()
		return err == nil && filepath.IsAbs(strings.TrimSpace(string(out)))
	case "pkg-config":
		return exec.CommandContext(ctx, "pkg-config", "--exists", t.name).Run() == nil
	default:
		_, err := exec.LookPath(t.program())
		return err == nil
	}
}

// goInstalled is where Go is that was unpacked as its own page says.
const goInstalled = "/usr/local/go/bin/go"

// program is what the tool is called as: Go is often not on root's PATH.
func (t tool) program() string {
	if t.name == golang.name {
		return goProgram()
	}
	return t.name
}

func goProgram() string {
	if _, err := exec.LookPath("go"); err != nil {
		if _, err := os.Stat(goInstalled); err == nil {
			return goInstalled
		}
	}
	return "go"
}

func libseccompVersion(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "pkg-config", "--modversion", "libseccomp").Output()
	if err != nil {
		return "", fmt.Errorf("ask pkg-config for libseccomp's version: %w", err)
	}
	return "libseccomp " + strings.TrimSpace(string(out)), nil
}

// goToolchain is the Go that would build the module in dir: it may be another
// than the one that is installed, if go.mod asks for a newer one.
func goToolchain(ctx context.Context, dir string) (string, error) {
	cmd := goCommand(ctx, dir, false, "env", "GOVERSION", "GOOS", "GOARCH")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return strings.Join(strings.Fields(string(out)), " "), nil
}
