package machine

import (
	"strings"
	"testing"
)

func TestCommandErrorSaysWhatMatters(t *testing.T) {
	many := []string{"stat"}
	for range 100 {
		many = append(many, "/etc")
	}
	tests := map[string]struct {
		err  CommandError
		want string
	}{
		"one line": {CommandError{Argv: []string{"systemctl", "start", "etcd"}, ExitCode: 5, Stderr: "no such unit\n"}, "cp-1: systemctl start etcd: exit status 5: no such unit"},
		"silent":   {CommandError{Argv: []string{"false"}, ExitCode: 1, Stderr: " \n"}, "cp-1: false: exit status 1"},
		"a script, cause first": {CommandError{Argv: []string{"sh", "-c", "umask 022\ntar -x", "sh", "/etc"}, ExitCode: 2,
			Stderr: "tar: a: Cannot write: No space left on device\ntar: b: Cannot write\ntar: Exiting with failure status\n"},
			"cp-1: sh -c ... sh /etc: exit status 2: tar: a: Cannot write: No space left on device; ...; tar: Exiting with failure status"},
		"two lines": {CommandError{Argv: []string{"a"}, ExitCode: 1, Stderr: "cause\nend"}, "cp-1: a: exit status 1: cause; end"},
		"much":      {CommandError{Argv: many, ExitCode: 1}, "cp-1: stat" + strings.Repeat(" /etc", 39) + " ...: exit status 1"},
	}
	for name, tt := range tests {
		tt.err.Machine = "cp-1"
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, tt.want)
		}
	}
}
