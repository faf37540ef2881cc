package component

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// places are the folders in a folder of ready-made programs that are searched,
// in this order: those that official archives unpack to. The CNI plugins' come
// first, because iproute2 has a program named bridge, too.
var places = []string{
	"cni", "cni/bin", "opt/cni/bin",
	".", "bin", "server/bin", "kubernetes/server/bin", "etcd-v*", "usr/local/bin", "usr/local/sbin",
}

// inFolder chooses the programs that the folder has. The error names all that
// it lacks.
func (r Ready) inFolder(rows []row) ([]choice, error) {
	dir, err := filepath.Abs(r.Dir)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("look for ready-made programs: %w", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("look for ready-made programs: %s is not a folder", dir)
	}
	var out []choice
	var lacks []string
	for _, row := range rows {
		found, missing := search(dir, row, row.programs)
		if row.linked() && len(missing) > 0 {
			found, missing = search(dir, row, row.separate())
		}
		out = append(out, found...)
		if !row.ours {
			lacks = append(lacks, missing...)
		}
	}
	if len(lacks) > 0 {
		return nil, fmt.Errorf("%s lacks %s; looked for in the folder itself and, in it, in %s",
			dir, strings.Join(lacks, ", "), strings.Join(subfolders(), ", "))
	}
	return out, nil
}

func search(dir string, row row, programs []program) (found []choice, missing []string) {
	for _, p := range programs {
		if path := find(dir, p.name); path != "" {
			found = append(found, choice{program: p, component: row.name, path: path})
		} else {
			missing = append(missing, p.name)
		}
	}
	return found, missing
}

// find returns the program's path, or nothing. A release of runc is one file
// with the architecture in its name.
func find(dir, name string) string {
	for _, place := range places {
		folders, _ := filepath.Glob(filepath.Join(escape(dir), place)) // the patterns are ours, and right
		for _, folder := range folders {
			for _, file := range []string{name, name + "." + runtime.GOARCH} {
				path := filepath.Join(folder, file)
				if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() || errors.Is(err, os.ErrPermission) {
					return path
				}
			}
		}
	}
	return ""
}

// escape makes a path a pattern that matches it alone.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func subfolders() []string {
	var out []string
	for _, place := range places {
		if place != "." {
			out = append(out, place)
		}
	}
	return out
}
