package ssh

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/machine"
)

func TestQuoteKeepsEveryArgument(t *testing.T) {
	argv := []string{"printf", `%s\n`, "a b", "it's", "$HOME", "`id`", "", "*", `"x"`, "-n"}
	out, err := exec.Command("sh", "-c", machine.Quote(argv)).Output()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Join(argv[2:], "\n")+"\n", string(out)); diff != "" {
		t.Error(diff)
	}
}

func TestParseStat(t *testing.T) {
	const sum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	tests := map[string]struct {
		text string
		want map[string]fileset.State
	}{
		"nothing": {"\n", map[string]fileset.State{}},
		"files": {"regular file|600|root|/etc/a b\ndirectory|755|root|/etc/d\nregular empty file|644|nobody|/e\n\n" + sum + "  /etc/a b\n",
			map[string]fileset.State{"/etc/a b": {Mode: 0o600, Owner: "root", Sum: sum}, "/e": {Mode: 0o644, Owner: "nobody"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parseStat(test.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	for _, bad := range []string{"", "x\n\n", "regular file|9z|root|/a\n\n"} {
		if got, err := parseStat(bad); err == nil {
			t.Errorf("%q: %v and no error", bad, got)
		}
	}
}

// The scripts run for real, on a folder instead of a machine: stat tells what
// receive and rename wrote, and nobody could ever read a key but its owner.
func TestScriptsWriteAndTell(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("writes files as root, with owners")
	}
	dir := t.TempDir()
	files := fileset.New(
		fileset.File{Path: filepath.Join(dir, "pki/new/ca.key"), Mode: 0o600, Data: []byte("secret")},
		fileset.File{Path: filepath.Join(dir, ".it's one"), Mode: 0o644, Data: bytes.Repeat([]byte("x"), 1<<20)},
	)
	run := func(stdin []byte, argv []string) string {
		t.Helper()
		cmd := exec.Command("sh", "-c", machine.Quote(argv))
		cmd.Stdin = bytes.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	var archive bytes.Buffer
	if err := files.WriteTar(&archive, arriving); err != nil {
		t.Fatal(err)
	}
	unfinished := filepath.Join(dir, "pki/new", incoming, "ca.crt")
	if err := errors.Join(os.MkdirAll(filepath.Dir(unfinished), 0o755), os.WriteFile(unfinished, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	cut := exec.Command("sh", "-c", machine.Quote(shell(receiveScript, arrivals(files)...)))
	cut.Stdin = bytes.NewReader(archive.Bytes()[:1<<19])
	if out, err := cut.CombinedOutput(); err == nil {
		t.Errorf("an archive that is cut off: %s", out)
	}
	if seen := run(nil, shell(statScript, files.Paths()...)); strings.Contains(seen, "regular") {
		t.Errorf("in place before all is there: %s", seen)
	}
	run(archive.Bytes(), shell(receiveScript, arrivals(files)...))
	for _, left := range []string{filepath.Dir(unfinished), filepath.Join(dir, "pki/new/ca.crt"), filepath.Join(dir, incoming)} {
		if _, err := os.Lstat(left); err == nil {
			t.Errorf("%s is left", left)
		}
	}
	states, err := parseStat(run(nil, shell(statScript, append(files.Paths(), filepath.Join(dir, "none"))...)))
	if err != nil {
		t.Fatal(err)
	}
	if stale := files.Stale(states); len(stale) > 0 || len(states) != 2 {
		t.Errorf("stale %v of %v", stale.Paths(), states)
	}
	if folder, err := os.Stat(filepath.Join(dir, "pki/new")); err != nil || folder.Mode() != fs.ModeDir|0o755 {
		t.Errorf("folder: %v, %v", folder, err)
	}
}

func TestSweepRemovesWhatKilledRunsLeft(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dead := exec.Command("true")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(os.TempDir(), fmt.Sprintf("%s%d-1", dirPrefix, dead.Process.Pid))
	foreign := filepath.Join(os.TempDir(), dirPrefix+"of-somebody")
	for _, dir := range []string{left, foreign} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	c, err := New("none", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	Sweep() // ours stays: this process lives
	for dir, want := range map[string]bool{left: false, foreign: true, c.dir: true} {
		if _, err := os.Stat(dir); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", dir, err == nil, want)
		}
	}
}

// A stand-in for ssh keeps what it was called with, and runs the line as sshd does.
const standIn = `#!/bin/sh
printf '%s\n' "$*" >> "$CALLS"
while [ "$1" != -- ]; do
	case "$1" in -S) socket=$2;; -M) master=yes;; esac
	shift
done
if [ -n "$master" ]; then touch "$socket"; exec sleep 60; fi
shift 2
exec ${AS:+setpriv --reuid=$AS --clear-groups} sh -c "$*"
`

func TestSudoOnlyWhereTheUserIsNotRoot(t *testing.T) {
	direct, sudo := "a b|$HOME", "sudo: -n -- printf %s|%s a b $HOME"
	wants := map[string]string{"": sudo}
	if os.Geteuid() == 0 {
		wants = map[string]string{"": direct, "65534": sudo}
	}
	for user, want := range wants {
		t.Run(user, func(t *testing.T) {
			t.Setenv("AS", user)
			standInFor(t, "sudo", "#!/bin/sh\nprintf 'sudo: %s' \"$*\"")
			result := runWithStandIn(t, "", "root@db-1", []string{"printf", "%s|%s", "a b", "$HOME"})
			if result.out != want {
				t.Errorf("got %q, want %q", result.out, want)
			}
		})
	}
}

func TestTheUsersOwnConfiguration(t *testing.T) {
	for config, want := range map[string]bool{"": false, "/x/config": true} {
		result := runWithStandIn(t, config, "admin@a-very-long-name."+strings.Repeat("x", 80)+".example.com", []string{"true"})
		if len(result.calls) != 2 {
			t.Fatalf("calls: %q", result.calls)
		}
		for _, call := range result.calls {
			if got := strings.Contains(call, "-F /x/config"); got != want {
				t.Errorf("configuration %q: %s", config, call)
			}
			for _, part := range []string{"BatchMode=yes", "ControlPersist=no", "RemoteCommand=none", " -- admin@a-very-long-name."} {
				if !strings.Contains(call, part) {
					t.Errorf("no %q in %s", part, call)
				}
			}
		}
	}
}

// standInFor puts a program first in PATH.
func standInFor(t *testing.T, name, script string) {
	t.Helper()
	dir := t.TempDir()
	err := errors.Join(os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755), os.Chmod(filepath.Dir(dir), 0o755))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

type standInRun struct {
	out   string
	calls []string
}

func runWithStandIn(t *testing.T, config, destination string, argv []string) standInRun {
	t.Helper()
	standInFor(t, "ssh", standIn)
	calls := filepath.Join(t.TempDir(), "calls")
	t.Setenv("CALLS", calls)
	c, err := New(config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Sudo = true
	result, err := c.MachineAt("db-1", destination).Run(t.Context(), machine.Cmd(argv...))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	return standInRun{result.Stdout, strings.Split(strings.TrimSpace(string(text)), "\n")}
}
