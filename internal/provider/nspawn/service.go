package nspawn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/haplane/haplane/internal/durable"
)

// A bootService starts the machines when the host boots. Only a host that runs
// systemd has one; elsewhere nobody starts anything.
type bootService struct {
	dir       string // of units
	systemctl func(ctx context.Context, args ...string) error
}

const (
	unitDir = "/etc/systemd/system"
	wants   = "multi-user.target.wants"
	// folderLine names the state folder; without it the service is skipped.
	folderLine = "ConditionPathIsDirectory="
)

func (p *Provider) bootService() (bootService, bool) {
	if p.boot != nil {
		return *p.boot, true
	}
	return bootService{dir: unitDir, systemctl: systemctl}, runsSystemd()
}

func systemctl(ctx context.Context, args ...string) error {
	args = append([]string{"--quiet"}, args...)
	if out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// enableService has the machines started from the next boot on.
func (p *Provider) enableService(ctx context.Context) error {
	b, ok := p.bootService()
	if !ok || len(p.StartCommand) == 0 {
		return nil
	}
	file, text := filepath.Join(b.dir, p.service()), p.serviceText()
	old, err := os.ReadFile(file)
	if err == nil && string(old) == text && b.enabled(p.service()) {
		return nil // the service itself comes by here: it must not have itself reloaded
	}
	if err := durable.WriteFile(file, []byte(text), 0o644); err != nil {
		return err
	}
	return firstError(
		func() error { return b.systemctl(ctx, "daemon-reload") },
		func() error { return b.systemctl(ctx, "enable", p.service()) },
	)
}

// disableService keeps the machines off at the next boot.
func (p *Provider) disableService(ctx context.Context) error {
	b, ok := p.bootService()
	if !ok || !b.enabled(p.service()) {
		return nil
	}
	return b.systemctl(ctx, "disable", "--now", p.service())
}

func (p *Provider) removeService(ctx context.Context) (removed []string, err error) {
	b, ok := p.bootService()
	if !ok {
		return nil, nil
	}
	file, link := filepath.Join(b.dir, p.service()), b.link(p.service())
	if !exists(file) && !exists(link) {
		return nil, nil
	}
	if err := p.disableService(ctx); err != nil && exists(file) {
		return nil, err // without its file systemd may not know it
	}
	for _, path := range []string{link, file} {
		if err := durable.Remove(path); err != nil {
			return nil, err
		}
	}
	return []string{"service " + p.service()}, b.systemctl(ctx, "daemon-reload")
}

// ownsService is an error when the service starts the machines of another state
// folder that is still there. After a boot, nothing else tells of it.
func (p *Provider) ownsService() error {
	b, ok := p.bootService()
	if !ok {
		return nil
	}
	data, err := os.ReadFile(filepath.Join(b.dir, p.service()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		folder, found := strings.CutPrefix(strings.TrimSpace(line), folderLine)
		if folder = strings.ReplaceAll(folder, "%%", "%"); found && folder != p.StateDir && exists(folder) {
			return fmt.Errorf("service %s is not of this cluster: it starts the machines in %s", p.service(), folder)
		}
	}
	return err
}

func (b bootService) link(name string) string { return filepath.Join(b.dir, wants, name) }

func (b bootService) enabled(name string) bool { return exists(b.link(name)) }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
