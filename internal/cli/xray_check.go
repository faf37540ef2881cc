package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/xray"
	"github.com/haplane/haplane/spec"
)

// check returns everything that is wrong with the flags, before anything is touched.
// It reads the cluster file.
func (x *xrayRun) check(ctx context.Context, flags *pflag.FlagSet) error {
	given := flags.Changed
	errs := emptyFlags(flags, "kubeconfig", "ssh-config", "dir", "output", "color", "fail-on", "expect", "explain", "cluster", "to")
	for _, list := range []*[]string{&x.only, &x.skip, &x.machines} {
		if blank(*list) { // which is said
			*list = nil
		}
	}
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	x.own = given("cluster") || !given("file") && !given("machines") && !given("kubeconfig") && !given("dir")
	oneOf := func(flag, value string, values []string) {
		if !slices.Contains(values, value) {
			wrong("--%s must be one of %s, not %q", flag, strings.Join(values, ", "), value)
		}
	}
	oneOf("output", x.output, outputs)
	oneOf("color", x.color, colors)
	oneOf("fail-on", x.failOn, []string{string(xray.Fail), string(xray.Warn)})
	if given("expect") {
		oneOf("expect", x.expect, identities())
	}
	if x.timeout <= 0 {
		wrong("--timeout must be more than 0, not %s", x.timeout)
	}
	errs = append(errs, x.checkIDs(given)...)
	errs = append(errs, x.checkWays(given)...)
	errs = append(errs, x.checkPaths(ctx, given)...)
	if given("file") && x.file != "" {
		errs = append(errs, x.readExpected(ctx, given("cluster")))
	}
	return errors.Join(errs...)
}

func (x *xrayRun) checkIDs(given func(string) bool) []error {
	var errs []error
	known := checkIDs()
	explained := []string{x.explain}
	if !given("explain") {
		explained = nil
	}
	for _, flag := range []struct {
		name string
		ids  []string
	}{{"only", x.only}, {"skip", x.skip}, {"explain", explained}} {
		for _, id := range flag.ids {
			if !slices.Contains(known, id) {
				errs = append(errs, fmt.Errorf("--%s: there is no check %q; %s", flag.name, id, meant(id, known)))
			}
		}
	}
	left := slices.DeleteFunc(known, func(id string) bool {
		return len(x.only) > 0 && !slices.Contains(x.only, id) || slices.Contains(x.skip, id)
	})
	if len(errs) == 0 && len(left) == 0 {
		errs = append(errs, errors.New("--only and --skip leave no check"))
	}
	if x.list && given("explain") {
		errs = append(errs, errors.New("--list and --explain exclude each other"))
	}
	if (x.list || given("explain")) && x.output != "text" && x.output != "json" && slices.Contains(outputs, x.output) {
		errs = append(errs, fmt.Errorf("--list and --explain write text or json, not %s", x.output))
	}
	return errs
}

func meant(id string, known []string) string {
	if near := spec.Nearest(id, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "haplane xray --list shows them"
}

func (x *xrayRun) checkWays(given func(string) bool) []error {
	var errs []error
	for _, need := range []struct {
		flag  string
		needs []string
	}{{"context", []string{"kubeconfig"}}, {"ssh-config", []string{"machines", "file"}}} {
		if given(need.flag) && !slices.ContainsFunc(need.needs, given) {
			errs = append(errs, fmt.Errorf("--%s needs --%s", need.flag, strings.Join(need.needs, " or --")))
		}
	}
	if given("cluster") && given("machines") {
		errs = append(errs, errors.New("--cluster and --machines both say which machines to look into: give one of them"))
	}
	if _, err := store.Open(x.cluster); x.own && err != nil {
		errs = append(errs, err)
	}
	seen := map[string]bool{}
	for _, m := range x.machines {
		name := hostOf(m)
		if name == "" || strings.HasPrefix(m, "-") || strings.ContainsAny(m, "/ \t\n") {
			errs = append(errs, fmt.Errorf("--machines: %q is not HOST or USER@HOST", m))
		} else if seen[name] {
			errs = append(errs, fmt.Errorf("--machines: %s is there twice", name))
		}
		seen[name] = true
	}
	return errs
}

// checkPaths reports what files are not there or are something else.
func (x *xrayRun) checkPaths(ctx context.Context, given func(string) bool) []error {
	var errs []error
	if given("kubeconfig") {
		var err error
		if x.api, err = readKubeconfig(ctx, x.kubeconfig, x.context); err != nil {
			errs = append(errs, err)
		}
	}
	if given("ssh-config") {
		errs = append(errs, checkPath("ssh-config", x.sshConfig, false))
	}
	seen := map[string]bool{}
	for _, dir := range x.dirs {
		path := filepath.Clean(dir)
		if seen[path] {
			errs = append(errs, fmt.Errorf("--dir: %s is there twice", dir))
		}
		seen[path] = true
		errs = append(errs, checkPath("dir", dir, true))
	}
	if given("to") {
		errs = append(errs, checkTarget("--to", x.to))
	}
	return errs
}

func (x *xrayRun) readExpected(ctx context.Context, named bool) error {
	name, data, err := x.readFile(ctx)
	if err != nil {
		return err
	}
	x.expected, err = parseCluster(name, data, x.cluster, named)
	return err
}
