package image

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// settings are the files that make a Debian a machine of ours, at their paths.
//
//go:embed files
var settings embed.FS

// configure makes the base into a machine. Its files are links to the base's:
// they are replaced, never written to.
func configure(root string) error {
	for _, pattern := range removed {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return err
		}
		for _, path := range found {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	if err := eachSetting(func(name string, data []byte) error {
		return replace(filepath.Join(root, name), data)
	}); err != nil {
		return err
	}
	for name, target := range allLinks() {
		if err := symlink(target, filepath.Join(root, name)); err != nil {
			return err
		}
	}
	return nil
}

// allLinks are links, and those that mask units.
func allLinks() map[string]string {
	all := map[string]string{}
	for name, target := range links {
		all[name] = target
	}
	for _, unit := range masked {
		all["etc/systemd/system/"+unit] = "/dev/null"
	}
	return all
}

// settingsSum covers all that configure does.
func settingsSum() (string, error) {
	all := map[string]string{}
	err := eachSetting(func(name string, data []byte) error {
		all[name] = string(data)
		return nil
	})
	if err != nil {
		return "", err
	}
	return sumOf([]any{all, allLinks(), removed})
}

func eachSetting(fn func(name string, data []byte) error) error {
	return fs.WalkDir(settings, "files", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := settings.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel("files", path)
		if err != nil {
			return err
		}
		return fn(name, data)
	})
}

// replace writes a file as a new one: the old may be shared with the base.
func replace(path string, data []byte) error {
	if err := clearWay(path); err != nil {
		return err
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		return err
	}
	return os.Chmod(path, 0o644)
}

func symlink(target, path string) error {
	if err := clearWay(path); err != nil {
		return err
	}
	return os.Symlink(target, path)
}

func clearWay(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("replace %s: %w", path, err)
	}
	return nil
}
