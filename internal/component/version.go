package component

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

const versionTime = 30 * time.Second // a first start reads 172 MB from the disk

// checkVersion runs the program and fails unless it tells the pinned version:
// what cannot say what it is would mislead whoever operates the cluster.
func checkVersion(ctx context.Context, path string, p program, version string) error {
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	for _, args := range p.ask {
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Env = []string{} // CNI plugins take their task from the environment
		out, err := cmd.CombinedOutput()
		said := strings.TrimSpace(string(out))
		if err != nil {
			return fmt.Errorf("run %s %s: %w: %s", p.name, strings.Join(args, " "), err, said)
		}
		if !tells(said, version) {
			return fmt.Errorf("%s %s: expected version %s, got %q", p.name, strings.Join(args, " "), version, said)
		}
	}
	return nil
}

// tells reports whether text has the version, with or without its v, and not as
// a part of another: neither 11.2.3 nor 1.2.3-rc.1 is 1.2.3.
func tells(text, version string) bool {
	number := regexp.QuoteMeta(strings.TrimPrefix(version, "v"))
	return regexp.MustCompile(`(^|[^0-9.])` + number + `($|[^0-9A-Za-z.+-])`).MatchString(text)
}
