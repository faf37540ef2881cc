package component

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// A fresh host is one that has the given programs, and no more than a shell's beside.
type freshHost struct {
	uid       string
	golang    string // what Go says it is; none if empty
	folder    bool   // it is in /usr/local/go, not on the PATH
	apt, sudo bool
	stuck     bool   // apt installs nothing
	installed string // packages, by name
	env       []string
}

// run runs tools/prerequisites there, with go.mod files of the given versions. It returns what was
// said, and what apt-get was called with.
func (h freshHost) run(t *testing.T, args ...string) (code int, said, apt string) {
	t.Helper()
	dir, bin, local := t.TempDir(), t.TempDir(), t.TempDir()
	for _, name := range []string{"bash", "env", "dirname", "sed", "sort", "tail", "head", "grep"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	log := filepath.Join(dir, "apt.log")
	tool := func(have bool, path, script string) {
		if have {
			put(t, path, []byte("#!/bin/sh\n"+script+"\n"))
		}
	}
	tool(true, filepath.Join(bin, "id"), "echo "+h.uid)
	tool(h.sudo, filepath.Join(bin, "sudo"), `exec "$@"`)
	fails := map[bool]string{true: "; exit 100"}[h.stuck]
	tool(h.apt, filepath.Join(bin, "apt-get"), `echo "$*" >>`+log+fails)
	tool(h.apt, filepath.Join(bin, "dpkg-query"), `for p; do :; done; case " `+h.installed+` " in *" $p "*) printf installed;; *) exit 1;; esac`)
	tool(h.golang != "" && !h.folder, filepath.Join(bin, "go"), "echo go"+h.golang)
	tool(h.golang != "" && h.folder, filepath.Join(local, "bin/go"), "echo go"+h.golang)
	text, err := os.ReadFile(filepath.Join(root, "tools/prerequisites"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "tools/prerequisites"), []byte(strings.ReplaceAll(string(text), "/usr/local/go/bin", local+"/bin")))
	put(t, filepath.Join(dir, "go.mod"), []byte("module m\n\ngo 1.26.0\n"))
	put(t, filepath.Join(dir, "components/c/go.mod"), []byte("module c\n\ngo 1.26.6\n"))
	cmd := exec.Command(filepath.Join(dir, "tools/prerequisites"), args...)
	cmd.Env = append(h.env, "PATH="+bin)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	called, _ := os.ReadFile(log) // none: it was not called
	return cmd.ProcessState.ExitCode(), string(out), string(called)
}

func TestPrerequisites(t *testing.T) {
	all := strings.Join(listed(t, "build"), " ")
	some := strings.ReplaceAll(strings.ReplaceAll(" "+all+" ", " gcc ", " "), " libseccomp-dev ", " ")
	const install = "install -y -qq --no-install-recommends gcc libseccomp-dev"
	for name, c := range map[string]struct {
		host freshHost
		code int
		said []string
		apt  string // part of its calls; none if empty
	}{
		"all is there":              {host: freshHost{uid: "0", golang: "1.26.6", apt: true, installed: all}},
		"a newer Go":                {host: freshHost{uid: "0", golang: "1.100.0", apt: true, installed: all}},
		"Go beside the PATH":        {host: freshHost{uid: "0", golang: "1.27.1", folder: true, apt: true, installed: all}},
		"root installs":             {host: freshHost{uid: "0", golang: "1.26.6", apt: true, installed: some}, said: []string{"missing: gcc libseccomp-dev"}, apt: install},
		"another user, with sudo":   {host: freshHost{uid: "7", golang: "1.26.6", apt: true, sudo: true, installed: some}, said: []string{"missing: gcc libseccomp-dev"}, apt: install},
		"another user, no sudo":     {host: freshHost{uid: "7", golang: "1.26.6", apt: true, installed: some}, code: 1, said: []string{"apt-get install --no-install-recommends gcc libseccomp-dev\n", "takes root"}},
		"NO_INSTALL":                {host: freshHost{uid: "0", golang: "1.26.6", apt: true, installed: some, env: []string{"NO_INSTALL=1"}}, code: 1, said: []string{"apt-get install --no-install-recommends gcc libseccomp-dev\n", "NO_INSTALL"}},
		"NO_INSTALL, nothing lacks": {host: freshHost{uid: "0", golang: "1.26.6", apt: true, installed: all, env: []string{"NO_INSTALL=1"}}},
		"no apt":                    {host: freshHost{uid: "0", golang: "1.26.6"}, code: 1, said: []string{"has no apt", "gcc", "mmdebstrap"}},
		"no Go":                     {host: freshHost{uid: "0", apt: true, installed: all}, code: 1, said: []string{"Go 1.26.6 or newer is needed", "https://go.dev/dl"}},
		"Debian 12's Go":            {host: freshHost{uid: "0", golang: "1.19.8", apt: true, installed: some}, code: 1, said: []string{"Go 1.26.6 or newer is needed", "is 1.19.8", "https://go.dev/dl", "first in the PATH"}, apt: install},
		"apt fails":                 {host: freshHost{uid: "0", golang: "1.26.6", apt: true, stuck: true, installed: some}, code: 1, said: []string{"error: they could not all be installed"}, apt: install},
		"too old for one module":    {host: freshHost{uid: "0", golang: "1.26.5", apt: true, installed: all}, code: 1, said: []string{"is 1.26.5"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, said, apt := c.host.run(t, "build")
			if code != c.code || (len(c.said) == 0) != (said == "") {
				t.Errorf("exit code %d, want %d:\n%s", code, c.code, said)
			}
			for _, text := range c.said {
				if !strings.Contains(said, text) {
					t.Errorf("it does not say %q:\n%s", text, said)
				}
			}
			if (c.apt == "") != (apt == "") || !strings.Contains(apt, c.apt) {
				t.Errorf("apt-get was called with %q, want %q", apt, c.apt)
			}
		})
	}
}

func listed(t *testing.T, groups ...string) []string {
	t.Helper()
	out, err := exec.Command(root+"/tools/prerequisites", append([]string{"--list"}, groups...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))
}

// The packages that haplane itself names where something is missing are those that make up installs.
func TestPackagesThatAreNamedAreInstalled(t *testing.T) {
	names := []string{}
	for _, tool := range []tool{gcc, libc, pkgConfig, libseccomp} {
		names = append(names, tool.pkg)
	}
	for file, pattern := range map[string]string{
		"internal/provider/nspawn/check.go":   `program\{[^,]+, "([a-z0-9-]+)"\}`,
		"internal/provider/nspawn/modules.go": `apt-get install ([a-z0-9-]+)`,
		"internal/image/check.go":             `apt-get install ([a-z0-9-]+)`,
		"internal/machine/ssh/ssh.go":         `apt-get install ([a-z0-9-]+)`,
	} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1)
		if len(found) == 0 {
			t.Errorf("%s names no package any more", file)
		}
		for _, f := range found {
			names = append(names, f[1])
		}
	}
	have := listed(t, "build")
	for _, name := range names {
		if !slices.Contains(have, name) {
			t.Errorf("haplane names package %s, which tools/prerequisites does not install", name)
		}
	}
}
