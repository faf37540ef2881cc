package collect

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/machine/machinetest"
)

func TestConversation(t *testing.T) {
	const large = `i=0; while [ $i -lt 20000 ]; do echo "0123456789"; i=$((i+1)); done; printf '\n@ end\n'` + "\n"
	tests := map[string]struct {
		asks []string
		said []string // begins so
		err  string   // of the last
	}{
		"one shell for all":      {[]string{"x=1; printf '%s\\n@ end\\n' a\n", "printf '%s\\n@ end\\n' b$x\n"}, []string{"a", "b1"}, ""},
		"more than a pipe holds": {[]string{large, "printf 'b\\n@ end\\n'\n"}, []string{strings.Repeat("0123456789\n", 20000), "b"}, ""},
		"the input is not read":  {[]string{"exit 0\n" + strings.Repeat("# 0123456789\n", 20000)}, []string{""}, "its answer was cut off"},
		"it ends in between":     {[]string{"printf 'a\\n@ end\\n'\n", "echo b; exit 3\n"}, []string{"a", "b\n"}, "exit status 3"},
		"nobody asks any more":   {[]string{"printf 'a\\n@ end\\n'\n", "printf 'b\\n@ end\\n'; exit 0\n", "echo c\n"}, []string{"a", "b", ""}, "its answer was cut off"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := converse(t.Context(), &shell{name: "x", bin: t.TempDir()})
			defer c.end()
			var said []string
			var err error
			for _, text := range test.asks {
				var answer string
				answer, _, err = c.ask(text, "\n@ end\n")
				said = append(said, answer)
			}
			if diff := cmp.Diff(test.said, said); diff != "" {
				t.Errorf("%.2000s", diff)
			}
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Errorf("error %v, want %q", err, test.err)
			}
		})
	}
}

func TestConversationWithNobody(t *testing.T) {
	refused := &machinetest.Recorder{NodeName: "x", Answer: func([]string) (string, error) { return "", errors.New("refused") }}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for want, m := range map[string]machine.Machine{"refused": refused, context.Canceled.Error(): &hung{}} {
		c := converse(ctx, m)
		if answer, _, err := c.ask("x\n", "y"); answer != "" || err == nil || err.Error() != want {
			t.Errorf("%q, %v, want %s", answer, err, want)
		}
		c.end()
	}
}
