package parse

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWords(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       []string
	}{
		{"nothing", " \t\n", nil},
		{"blanks", " a  b\tc\n", []string{"a", "b", "c"}},
		{"double quotes", `"a b" c`, []string{"a b", "c"}},
		{"single quotes", `'a "b"' c`, []string{`a "b"`, "c"}},
		{"quotes within", `--flag="a b"c`, []string{"--flag=a bc"}},
		{"empty quotes", `a "" ''`, []string{"a", "", ""}},
		{"escapes", `a\tb \x41\101 \u00e9 \U0001F600 \s`, []string{"a\tb", "AA", "é", "😀", " "}},
		{"escapes in quotes", `"a\"b" 'a\'b'`, []string{`a"b`, "a'b"}},
		{"unknown escapes stay", `\d \$ \xzz \u12 \400`, []string{`\d`, `\$`, `\xzz`, `\u12`, `\400`}},
		{"no NUL comes of an escape", `\x00 \000 \u0000`, []string{`\x00`, `\000`, `\u0000`}},
		{"no character beyond the last", `\UFFFFFFFF`, []string{`\UFFFFFFFF`}},
		{"an unclosed quote", `a "b c`, []string{"a", "b c"}},
		{"a backslash at the end", `a\`, []string{`a\`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Words(tt.text)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzWords(f *testing.F) {
	for _, text := range []string{`a "b c" 'd'`, `\x41\u00e9\101`, `"`, `\`, "a\x00b \xff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		words := Words(text)
		var again []string
		for _, w := range words {
			again = append(again, quoted(w))
		}
		if diff := cmp.Diff(words, Words(strings.Join(again, " "))); diff != "" {
			t.Errorf("%q does not read back: %s", words, diff)
		}
	})
}
