package image

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
)

// An inode is a file, whatever its names.
type inode struct{ dev, ino uint64 }

// A usage is the disk space below folders. A file with several names counts once.
type usage struct {
	seen map[inode]uint64 // names so far
}

// add returns the bytes that the folder uses beside those added before, and
// those of them, and of the ones before, that no name outside keeps.
func (u *usage) add(dir string) (used, freed int64, err error) {
	if u.seen == nil {
		u.seen = map[inode]uint64{}
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return errors.ErrUnsupported
		}
		key, bytes := inode{stat.Dev, stat.Ino}, stat.Blocks*512
		u.seen[key]++
		if u.seen[key] == 1 {
			used += bytes
		}
		if d.IsDir() || u.seen[key] == stat.Nlink {
			freed += bytes
		}
		return nil
	})
	return used, freed, err
}
