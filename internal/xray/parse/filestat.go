package parse

import (
	"strconv"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// A FileStat is a file and what tells it from all others of its machine.
type FileStat struct {
	evidence.File
	ID string // device and inode
}

// FileStats reads lines of `stat -c '%d:%i %a %U %G %s %n'`. Lines that are none are passed over.
func FileStats(text string) []FileStat {
	var out []FileStat
	for line := range strings.Lines(text) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 6)
		if len(fields) != 6 || !strings.HasPrefix(fields[5], "/") {
			continue
		}
		mode, err := strconv.ParseUint(fields[1], 8, 32)
		size, sizeErr := strconv.ParseInt(fields[4], 10, 64)
		if err != nil || sizeErr != nil {
			continue
		}
		file := evidence.File{Path: fields[5], Mode: uint32(mode) & 0o7777, Owner: fields[2], Group: fields[3], Size: size}
		out = append(out, FileStat{file, fields[0]})
	}
	return out
}

// Digests reads lines of sha256sum by path.
func Digests(text string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		sum, path, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		path = strings.TrimPrefix(strings.TrimPrefix(path, " "), "*")
		if ok && len(sum) == 64 && strings.Trim(sum, "0123456789abcdef") == "" && path != "" {
			out[path] = sum
		}
	}
	return out
}
