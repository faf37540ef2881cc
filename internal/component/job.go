package component

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"
)

// A job is a row with all that its source decides: version, flags, cache key.
type job struct {
	row
	dir       string // the module's folder
	version   string
	toolchain string // GOVERSION GOOS/GOARCH
	library   string // version of the C library that is linked in, if any
	key       string
}

// newJobs reads the modules; all that is wrong with them comes in one error.
func newJobs(ctx context.Context, rows []row, source, kubernetes string) ([]job, error) {
	var jobs []job
	var errs []error
	for _, r := range rows {
		j, err := newJob(ctx, r, filepath.Join(source, r.folder(source, kubernetes)))
		if err != nil {
			errs = append(errs, fmt.Errorf("component %s: %w", r.name, err))
		}
		jobs = append(jobs, j)
	}
	return jobs, errors.Join(errs...)
}

func newJob(ctx context.Context, r row, dir string) (job, error) {
	j := job{row: r, dir: dir}
	var err error
	if j.version, err = pinnedVersion(dir, r.module); err != nil {
		return j, err
	}
	if j.toolchain, err = goToolchain(ctx, dir); err != nil {
		return j, err
	}
	if slices.Contains(r.needs, libseccomp) {
		if j.library, err = libseccompVersion(ctx); err != nil {
			return j, err
		}
	}
	j.key, err = j.digest()
	return j, err
}

// pinnedVersion is the version of module in dir's go.mod, or with no module
// what the file VERSION says.
func pinnedVersion(dir, module string) (string, error) {
	if module == "" {
		text, err := os.ReadFile(filepath.Join(dir, "VERSION"))
		if version := strings.TrimSpace(string(text)); err != nil || semver.IsValid(version) {
			return version, err
		}
		return "", fmt.Errorf("%s: no semantic version", filepath.Join(dir, "VERSION"))
	}
	path := filepath.Join(dir, "go.mod")
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	file, err := modfile.ParseLax(path, text, nil)
	if err != nil {
		return "", err
	}
	for _, r := range file.Require {
		if r.Mod.Path == module {
			return r.Mod.Version, nil
		}
	}
	return "", fmt.Errorf("%s does not require %s", path, module)
}

// flags are the arguments of go build that do not depend on the program.
func (j job) flags() []string {
	args := []string{"-trimpath"}
	if len(j.tags) > 0 {
		args = append(args, "-tags", strings.Join(j.tags, ","))
	}
	major, minor, _ := strings.Cut(strings.TrimPrefix(semver.MajorMinor(j.version), "v"), ".")
	fill := strings.NewReplacer("{version}", j.version, "{major}", major, "{minor}", minor)
	ldflags := append([]string{"-s", "-w"}, j.ldflags...)
	return append(args, "-ldflags", fill.Replace(strings.Join(ldflags, " ")))
}

// digest is the cache key: everything that the programs depend on.
func (j job) digest() (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", []any{"v1", j.version, j.toolchain, j.library, j.cgo, j.flags()})
	for _, p := range j.row.programs {
		fmt.Fprintf(h, "%q\n", []any{p.name, p.pkg, p.links, p.ask})
	}
	err := fs.WalkDir(os.DirFS(j.dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !decides(path) {
			return err
		}
		return hashFile(h, j.dir, path)
	})
	return fmt.Sprintf("%x", h.Sum(nil)[:8]), err
}

// decides reports whether a file of the module has a part in what is built.
func decides(path string) bool {
	name := filepath.Base(path)
	return name == "go.mod" || name == "go.sum" ||
		strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go")
}

func hashFile(h io.Writer, dir, path string) error {
	content, err := os.ReadFile(filepath.Join(dir, path))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(h, "%q %x\n", path, sha256.Sum256(content))
	return err
}

// entry is the job's name in the cache.
func (j job) entry() string { return j.name + "-" + j.key }

func (j job) manifest() manifest {
	return manifest{Component: j.name, Version: j.version, Module: j.module,
		Toolchain: j.toolchain, Library: j.library, CGO: j.cgo, Flags: j.flags()}
}
