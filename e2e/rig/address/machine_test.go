package address

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseUsage(t *testing.T) {
	const stat = "4242 (a (strange) name) S 1 4242 4242 0 -1 4194560 100 200 0 0 31 12 5 2 20 0 1 0 12345 1000 50 184467 1 1\n"
	const rollup = "55a-7ff ---p 00000000 00:00 0 [rollup]\nRss:                9000 kB\nPss:                2048 kB\nPss_Dirty:           100 kB\n"
	got, err := parseUsage(stat, rollup)
	if want := (Usage{CPU: 500 * time.Millisecond, Memory: 2 << 20}); err != nil || got != want {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	for name, texts := range map[string][2]string{
		"cut off": {"4242 (haproxy) S 1 2", rollup}, "no number": {strings.Replace(stat, " 31 ", " x ", 1), rollup}, "no memory": {stat, "Rss: 9000 kB\n"},
	} {
		if got, err := parseUsage(texts[0], texts[1]); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestProgramIs(t *testing.T) {
	proc := func(comm, argv string) string {
		dir := t.TempDir()
		for file, text := range map[string]string{"comm": comm + "\n", "cmdline": strings.ReplaceAll(argv, " ", "\x00")} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	guard := proc("haplane", "/usr/local/bin/haplane agent balancer --socket=/run/haproxy/admin.sock")
	for _, c := range []struct {
		p    Program
		want bool
	}{{Guard, true}, {Voter, false}, {HAProxy, false}, {Program{Comm: "haplane"}, true}} {
		if got := c.p.is(guard); got != c.want {
			t.Errorf("%+v is it: %t", c.p, got)
		}
	}
	if HAProxy.is(t.TempDir()) {
		t.Error("a process that has ended is HAProxy")
	}
}
