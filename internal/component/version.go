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
	return ask(ctx, path, p, func(call, said string) error {
		if !tells(said, version) {
			return fmt.Errorf("%s: expected version %s, got %q", call, version, said)
		}
		return nil
	})
}

// askForVersion runs the program and returns the version that it tells.
func askForVersion(ctx context.Context, path string, p program) (version string, err error) {
	err = ask(ctx, path, p, func(call, said string) error {
		told := versionIn(said)
		switch {
		case told == "":
			return fmt.Errorf("%s: expected a version, got %q", call, said)
		case version != "" && version != told:
			return fmt.Errorf("%s: expected version %s as before, got %q", call, version, said)
		}
		version = told
		return nil
	})
	return version, err
}

// ask makes the program tell its version in all the ways that the table has.
// call is how it was run.
func ask(ctx context.Context, path string, p program, heard func(call, said string) error) error {
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	for _, args := range p.ask {
		call := p.name + " " + strings.Join(args, " ")
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Env = []string{} // CNI plugins take their task from the environment
		cmd.WaitDelay = time.Second
		out, err := cmd.CombinedOutput()
		said := strings.TrimSpace(string(out))
		if err != nil {
			return fmt.Errorf("run %s: %w: %s", call, err, said)
		}
		if err := heard(call, said); err != nil {
			return err
		}
	}
	return nil
}

// versionIn returns the first semantic version in a text, with its v.
func versionIn(text string) string {
	found := number.FindStringSubmatch(text)
	if found == nil {
		return ""
	}
	return "v" + found[1]
}

var number = regexp.MustCompile(`(?:^|[^0-9.])([0-9]+\.[0-9]+\.[0-9]+(?:[-+][0-9A-Za-z.+-]*[0-9A-Za-z])?)(?:$|[^0-9A-Za-z.+-])`)

// tells reports whether text has the version, with or without its v, and not as
// a part of another: neither 11.2.3 nor 1.2.3-rc.1 is 1.2.3.
func tells(text, version string) bool {
	number := regexp.QuoteMeta(strings.TrimPrefix(version, "v"))
	return regexp.MustCompile(`(^|[^0-9.])` + number + `($|[^0-9A-Za-z.+-])`).MatchString(text)
}

// canonical is a version with its v.
func canonical(version string) string { return "v" + strings.TrimPrefix(version, "v") }
