package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/durable"
)

// A base is the distribution without anything of ours.
type base struct {
	dir      string
	Packages []Package `json:"packages"`
}

const baseFile = "base.json"

func basesDir(cache string) string { return filepath.Join(cache, "bases") }

func (b base) root() string { return filepath.Join(b.dir, "root") }

// base returns the base of the package list, and makes it if the cache has none.
func (o Options) base(ctx context.Context) (base, error) {
	start := time.Now()
	key, err := baseKey()
	if err != nil {
		return base{}, err
	}
	b := base{dir: filepath.Join(basesDir(o.Cache), key)}
	if o.Refresh {
		// Images of the old base keep their own links to its files.
		if err := os.RemoveAll(b.dir); err != nil {
			return b, err
		}
	}
	err = durable.ReadJSON(filepath.Join(b.dir, baseFile), &b)
	if err == nil {
		o.report(Event{Stage: "base", Cached: true, Elapsed: time.Since(start)})
		return b, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return b, err
	}
	if err := makeEntry(ctx, b.dir, func(tmp string) error { return o.bootstrap(ctx, tmp) }); err != nil {
		return b, err
	}
	o.report(Event{Stage: "base", Elapsed: time.Since(start)})
	return b, durable.ReadJSON(filepath.Join(b.dir, baseFile), &b)
}

// baseKey covers what is asked for, not the versions that the mirror had.
func baseKey() (string, error) {
	return sumOf([]any{format, suite, runtime.GOARCH, packages, excluded})
}

func (o Options) bootstrap(ctx context.Context, dir string) error {
	mirrors, err := hostSources(o.Mirror)
	if err != nil {
		return err
	}
	sources := filepath.Join(dir, "debian.sources")
	if err := os.WriteFile(sources, []byte(mirrors.deb822()), 0o644); err != nil {
		return err
	}
	b := base{dir: dir}
	o.doing(fmt.Sprintf("fetch and unpack Debian's packages from %s", mirrors.main))
	if err := run(ctx, o.log(), bootstrapArgs(b.root(), sources, hostAptOptions(ctx))...); err != nil {
		return err
	}
	if b.Packages, err = installed(b.root()); err != nil {
		return fmt.Errorf("list packages: %w", err)
	}
	if err := os.Remove(sources); err != nil {
		return err
	}
	return durable.WriteJSON(filepath.Join(dir, baseFile), b, 0o644)
}

func bootstrapArgs(root, sources string, aptOptions []string) []string {
	args := []string{
		"mmdebstrap", "--mode=root", "--variant=essential", "--format=directory",
		"--include=" + strings.Join(packages, ","),
	}
	for _, path := range excluded {
		args = append(args, "--dpkgopt=path-exclude="+path)
	}
	for _, option := range aptOptions {
		args = append(args, "--aptopt="+option)
	}
	return append(args, suite, root, sources)
}

// installed reads dpkg's database.
func installed(root string) ([]Package, error) {
	status, err := os.ReadFile(filepath.Join(root, "var/lib/dpkg/status"))
	if err != nil {
		return nil, err
	}
	list := parseStatus(string(status))
	for i, p := range list {
		// Packages that can be there in several architectures have theirs in the name.
		found, err := filepath.Glob(filepath.Join(root, "var/lib/dpkg/info", p.Name+"*.md5sums"))
		if err != nil {
			return nil, err
		}
		for _, path := range found {
			if name, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".md5sums"), ":"); name != p.Name {
				continue
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			sum := sha256.Sum256(data)
			list[i].Sum = hex.EncodeToString(sum[:])
		}
	}
	return list, nil
}

// parseStatus reads names and versions from dpkg's status, which has them in order.
func parseStatus(status string) []Package {
	var out []Package
	for paragraph := range strings.SplitSeq(status, "\n\n") {
		var p Package
		for line := range strings.Lines(paragraph) {
			key, value, _ := strings.Cut(strings.TrimRight(line, "\n"), ": ")
			switch key {
			case "Package":
				p.Name = value
			case "Version":
				p.Version = value
			}
		}
		if p.Name != "" {
			out = append(out, p)
		}
	}
	return out
}
