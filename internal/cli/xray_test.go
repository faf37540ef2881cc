package cli

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray"
	"github.com/haplane/haplane/internal/xray/collect"
	"github.com/haplane/haplane/spec"
)

const elsewhere = `apiVersion: haplane/v1alpha1
kind: Cluster
metadata: {name: elsewhere}
spec:
  identity: perNode
  nodes:
  - {role: control-plane, address: 10.10.10.61}
  - {role: load-balancer, address: 10.10.10.3}
`

const administrators = `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://10.10.10.3:6443"}}]
contexts: [{name: x, context: {cluster: c}}, {name: z, context: {cluster: c}}]
current-context: z
`

// Which machines are looked into, and what is expected, by the flags that are given.
func TestXrayWays(t *testing.T) {
	t.Setenv("HAPLANE_HOME", t.TempDir())
	dir := t.TempDir()
	file := filepath.Join(dir, "cluster.yaml")
	if err := os.WriteFile(file, []byte(elsewhere), 0o644); err != nil {
		t.Fatal(err)
	}
	api, other := filepath.Join(dir, "admin.conf"), t.TempDir()
	if err := os.WriteFile(api, []byte(administrators), 0o600); err != nil {
		t.Fatal(err)
	}
	byAddress := []host{{"cp-1", "10.10.10.61"}, {"lb-1", "10.10.10.3"}}
	for name, test := range map[string]struct {
		args   []string
		hosts  []host
		config string
		dirs   []string
		api    *collect.Kubeconfig
		expect spec.Identity // of the cluster file
	}{
		"machines":          {args: []string{"--machines", "cp-1,admin@cp-2.example.com"}, hosts: []host{{"cp-1", "cp-1"}, {"cp-2.example.com", "admin@cp-2.example.com"}}},
		"machines by file":  {args: []string{"--machines", "a", "--ssh-config", file}, hosts: []host{{"a", "a"}}, config: file},
		"cluster file":      {args: []string{"-f", file}, hosts: byAddress, expect: spec.PerNode},
		"file and config":   {args: []string{"-f", file, "--ssh-config", file}, hosts: byAddress, config: file, expect: spec.PerNode},
		"file and machines": {args: []string{"-f", file, "--machines", "a"}, hosts: []host{{"a", "a"}}, expect: spec.PerNode},
		"file and folder":   {args: []string{"-f", file, "--dir", dir}, dirs: []string{dir}, expect: spec.PerNode},
		"folder":            {args: []string{"--dir", dir}, dirs: []string{dir}},
		"folders":           {args: []string{"--dir", dir, "--dir", other}, dirs: []string{dir, other}},
		"kubeconfig":        {args: []string{"--kubeconfig", api, "--context", "x"}, api: &collect.Kubeconfig{Path: api, Context: "x"}},
		"all": {args: []string{"-f", file, "--machines", "a", "--dir", dir, "--kubeconfig", api}, hosts: []host{{"a", "a"}}, dirs: []string{dir},
			api: &collect.Kubeconfig{Path: api}, expect: spec.PerNode},
	} {
		t.Run(name, func(t *testing.T) {
			x := parsedXray(t, append(test.args, "--timeout", "3s", "--expect", "shared")...)
			o := x.collectOptions()
			got, err := x.hosts(&o)
			if err != nil {
				t.Fatal(err)
			}
			want := reach{hosts: test.hosts, config: test.config} // asRoot only where haplane made the machines
			if diff := cmp.Diff(want, got, cmp.AllowUnexported(reach{}, host{})); diff != "" {
				t.Error(diff)
			}
			var expect spec.Identity
			if c := o.Expectation.Cluster; c != nil {
				expect = c.Spec.Identity
			}
			if expect != test.expect || o.Expectation.Identity != spec.Shared || o.Timeout != 3*time.Second || !slices.Equal(o.Folders, test.dirs) {
				t.Errorf("cluster file %q, want %q; %+v", expect, test.expect, o)
			}
			if diff := cmp.Diff(test.api, o.Kubeconfig); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// parsedXray is what the command makes of its arguments.
func parsedXray(t *testing.T, args ...string) *xrayRun {
	t.Helper()
	x := &xrayRun{app: &app{}}
	cmd := x.command()
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	if err := x.check(t.Context(), cmd.Flags()); err != nil {
		t.Fatal(err)
	}
	return x
}

func TestXrayExitStatus(t *testing.T) {
	for name, test := range map[string]struct {
		counts map[xray.Status]int
		failOn string
		want   error
	}{
		"all pass":             {map[xray.Status]int{xray.Pass: 9, xray.Skip: 1}, "warn", nil},
		"failed":               {map[xray.Status]int{xray.Fail: 1}, "fail", exitError(3)},
		"failed and blind":     {map[xray.Status]int{xray.Fail: 1, xray.Error: 1}, "fail", exitError(3)},
		"blind":                {map[xray.Status]int{xray.Error: 1, xray.Warn: 1}, "fail", exitError(1)},
		"warned":               {map[xray.Status]int{xray.Warn: 1}, "fail", nil},
		"warned, fail on warn": {map[xray.Status]int{xray.Warn: 1, xray.Error: 1}, "warn", exitError(3)},
		"failed, fail on warn": {map[xray.Status]int{xray.Fail: 1}, "warn", exitError(3)},
	} {
		x := &xrayRun{failOn: test.failOn}
		if got := x.verdict(xray.Report{Verdict: xray.Verdict{Counts: test.counts}}); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}
