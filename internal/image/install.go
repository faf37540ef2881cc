package image

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/haplane/haplane/internal/component"
)

const (
	binDir    = "/usr/local/bin"
	cniBinDir = "/opt/cni/bin"
)

// contained are the programs that run in pods: they are in container images only.
var contained = []string{"coredns", "pause", "web"}

// programPath is where a program is in the image; empty when it is not a file there.
func programPath(p component.Program) string {
	switch {
	case slices.Contains(contained, p.Name):
		return ""
	case p.Component == "cni":
		return filepath.Join(cniBinDir, p.Name)
	default:
		return filepath.Join(binDir, p.Name)
	}
}

// install copies the programs. It fails when one is not what its sum says.
func install(root string, programs []component.Program) error {
	for _, p := range programs {
		path := programPath(p)
		if path == "" {
			continue
		}
		if err := copyProgram(filepath.Join(root, path), p); err != nil {
			return fmt.Errorf("install %s: %w", p.Name, err)
		}
		for _, link := range p.Links {
			if err := symlink(p.Name, filepath.Join(root, filepath.Dir(path), link)); err != nil {
				return fmt.Errorf("install %s: %w", link, err)
			}
		}
	}
	return nil
}

func copyProgram(to string, p component.Program) error {
	in, err := os.Open(p.Path)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := clearWay(to); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	sum := sha256.New()
	_, err = io.Copy(out, io.TeeReader(in, sum))
	if err := errors.Join(err, out.Chmod(0o755), out.Close()); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != p.SHA256 {
		return fmt.Errorf("%s has SHA-256 %s, want %s", p.Path, got, p.SHA256)
	}
	return nil
}
