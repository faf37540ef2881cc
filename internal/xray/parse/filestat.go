package parse

import (
	"strconv"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// FileStats reads lines of `stat -c '%a %U %s %n'`. Lines that are none are passed over.
func FileStats(text string) []evidence.File {
	var out []evidence.File
	for line := range strings.Lines(text) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
		if len(fields) != 4 || !strings.HasPrefix(fields[3], "/") {
			continue
		}
		mode, err := strconv.ParseUint(fields[0], 8, 32)
		size, sizeErr := strconv.ParseInt(fields[2], 10, 64)
		if err != nil || sizeErr != nil {
			continue
		}
		out = append(out, evidence.File{Path: fields[3], Mode: uint32(mode) & 0o7777, Owner: fields[1], Size: size})
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
