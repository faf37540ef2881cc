package nspawn

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A kernel that has loaded nothing yet is not one that can load nothing.
func TestMissingModules(t *testing.T) {
	const (
		with    = "nodev\tproc\nnodev\toverlay\n\text4\n"
		without = "nodev\tproc\nnodev\toverlayx\n\text4\n"
		bridged = "sys/net/bridge/bridge-nf-call-iptables"
		tracked = "sys/net/netfilter/nf_conntrack_max"
	)
	for name, c := range map[string]struct {
		filesystems    string
		files          []string
		loadable, want []string
	}{
		"all are there, no modprobe":   {with, []string{bridged, tracked}, nil, nil},
		"none is loaded, all could be": {without, nil, []string{"overlay", "br_netfilter", "nf_conntrack"}, nil},
		"overlay cannot be loaded":     {without, []string{bridged, tracked}, []string{"br_netfilter"}, []string{"overlay"}},
		"nothing can be loaded":        {without, nil, nil, []string{"overlay", "br_netfilter", "nf_conntrack"}},
		"no filter for bridges":        {with, []string{tracked}, []string{"overlay"}, []string{"br_netfilter"}},
	} {
		t.Run(name, func(t *testing.T) {
			proc := t.TempDir()
			write(t, filepath.Join(proc, "filesystems"), c.filesystems)
			for _, f := range c.files {
				write(t, filepath.Join(proc, f), "1\n")
			}
			got := missingModules(proc, func(name string) bool { return slices.Contains(c.loadable, name) })
			if len(got) != len(c.want) {
				t.Fatalf("got %v, want problems with %v", got, c.want)
			}
			for i, p := range got {
				if !strings.Contains(p.What, "module "+c.want[i]+" cannot be loaded") || p.Fix == "" {
					t.Errorf("problem %+v, want one that names %s, and a fix", p, c.want[i])
				}
			}
		})
	}
}

func TestModulesOfAnotherKernel(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if got := fixModule("/"); got != "apt-get install kmod" && !exists("/sbin/modprobe") {
		t.Errorf("without modprobe: %q", got)
	}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "modprobe"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	if got := fixModule(filepath.Join(bin, "6.1.0")); !strings.Contains(got, "6.1.0 is not there: reboot") {
		t.Errorf("without the running kernel's modules: %q", got)
	}
	if got := fixModule(bin); !strings.Contains(got, "boot a kernel that has it") {
		t.Errorf("with modules: %q", got)
	}
}
