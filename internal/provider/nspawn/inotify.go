package nspawn

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// scarceInotify counts what root's programs have by now, other clusters' too.
func scarceInotify(proc string, machines int) Problems {
	const name = "fs.inotify.max_user_instances"
	data, err := os.ReadFile(filepath.Join(proc, "sys/fs/inotify/max_user_instances"))
	if err != nil {
		return nil // a kernel without a limit
	}
	limit, _ := strconv.Atoi(strings.TrimSpace(string(data)))
	used, need := inotifyInstances(proc), machines*inotifyPerMachine
	if machines == 0 || used+need <= limit {
		return nil
	}
	return Problems{{
		fmt.Sprintf("%d machines need about %d of %s, %d of %d are free", machines, need, name, max(0, limit-used), limit),
		fmt.Sprintf("sysctl -w %s=%d", name, max(512, 2*(used+need))),
	}}
}

// inotifyInstances counts the open instances of inotify(7) of root's processes.
// One that two processes share is counted twice.
func inotifyInstances(proc string) int {
	dirs, _ := filepath.Glob(filepath.Join(proc, "[0-9]*", "fd"))
	n := 0
	for _, dir := range dirs {
		info, err := os.Stat(dir)
		if err != nil {
			continue // it has ended
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); !ok || stat.Uid != 0 {
			continue
		}
		files, _ := os.ReadDir(dir)
		for _, f := range files {
			if target, _ := os.Readlink(filepath.Join(dir, f.Name())); target == "anon_inode:inotify" {
				n++
			}
		}
	}
	return n
}
