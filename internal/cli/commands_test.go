package cli

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every command that a text names is there, with the flags that it is given: in hints, findings,
// help texts and documents. What each is comes from its --help.
func TestEveryCommandInATextExists(t *testing.T) {
	t.Setenv("HAPLANE_HOME", t.TempDir())
	root := (&app{}).root()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	named := map[string]bool{}
	files := 0
	for where, text := range textsOf(t, "../..") {
		files++
		for _, m := range mentions(text) {
			path, err := resolve(root, m)
			if err != nil {
				t.Errorf("%s: %v", where, err)
			}
			named[path] = true
		}
	}
	if files < 200 || len(named) < 20 {
		t.Fatalf("%d texts name %d commands: they are not found", files, len(named))
	}
	delete(named, "")
	for _, path := range slices.Sorted(maps.Keys(named)) {
		if help := helpOf(t, strings.Fields(path)); !strings.Contains(help, "Usage:\n  haplane "+path) {
			t.Errorf("haplane %s --help says:\n%s", path, help)
		}
	}
}

func TestCommandsThatDoNotExist(t *testing.T) {
	root := (&app{}).root()
	for text, want := range map[string]string{
		"Renew it: haplane renew, or by hand.":                    `"haplane renew": there is no such command`,
		"use `haplane makes`":                                     `"haplane makes": there is no such command`,
		"$ haplane did":                                           `"haplane did": there is no such command`,
		"`haplane node rename cp-1`":                              `"haplane node rename": there is no such command`,
		"see haplane up --fast.":                                  `haplane up has no flag --fast`,
		"haplane status -x":                                       `haplane status has no flag -x`,
		"a cluster that haplane made; haplane down --yes ends it": "",
		"`haplane node add|remove`, `haplane node add/replace`, haplane image list": "",
		"haplane kubectl -n a get pods; haplane ssh cp-1 ls --all":                  "",
		"haplane probe --rate 10 -- ls --all":                                       "",
		"haplane render -o a && diff -r a b; haplane xray | jq -r":                  "",
		"https://github.com/haplane/haplane is; haplane-agent runs":                 "",
	} {
		got := ""
		for _, m := range mentions(text) {
			if _, err := resolve(root, m); err != nil {
				got += err.Error()
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func helpOf(t *testing.T, path []string) string {
	t.Helper()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if code := Run(context.Background(), append(path, "--help"), Streams{In: os.Stdin, Out: out, Err: out}); code != exitOK {
		t.Errorf("haplane %s --help exits %d", strings.Join(path, " "), code)
	}
	text, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A mention is haplane and what follows it in a text. As code it is a command; in
// prose it may be the subject of a sentence.
type mention struct {
	words []string
	code  bool
}

var (
	otherProgram = regexp.MustCompile(`(?s)( \| | *&&| *>|"?>| *<).*`)
	mentioned    = regexp.MustCompile("(^|[\\s(`\"':;,$])haplane ([^`\\n;()]*)")
	// sentence has what follows haplane in sentences: what it does or did, small words, a version or a commit.
	sentence = regexp.MustCompile(`^([a-z]+(s|ed)|and|are|at|built|can|cannot|cluster|did|file|follow|for|from|give|in|inside|itself|just|keep|` +
		`made|make|may|meanwhile|must|need|new|not|now|of|on|one|only|open|or|own|program|put|read|ran|run|talk|that|then|to|too|went|what|where|` +
		`whose|will|with|without|would|wrote|v[0-9].*|[0-9a-f]{7,40})$`)
)

func mentions(text string) []mention {
	var out []mention
	for _, at := range mentioned.FindAllStringSubmatchIndex(text, -1) {
		rest := text[at[4]:at[5]]
		before := text[at[2]:at[3]]
		code := before == "`" || strings.HasSuffix(text[:at[2]], "$") && before == " "
		rest, _, _ = strings.Cut(rest, " haplane ")
		rest = otherProgram.ReplaceAllString(rest, "")
		out = append(out, mention{strings.Fields(rest), code})
		out = append(out, mentions(text[at[4]:at[5]])...) // probe -- haplane ssh
	}
	return out
}

func trim(word string) string { return strings.TrimRight(word, ".,:!?'\"…]") }

// resolve returns the path of the command, or an error where it or one of its flags is not there.
func resolve(root *cobra.Command, m mention) (string, error) {
	cmd, words := root, m.words
	for len(words) > 0 && cmd.HasSubCommands() && !strings.HasPrefix(words[0], "-") {
		var next *cobra.Command
		for _, name := range strings.FieldsFunc(trim(words[0]), func(r rune) bool { return r == '|' || r == '/' }) {
			next = child(cmd, name)
			if next == nil && (m.code || !sentence.MatchString(name)) && !placeholder(name) {
				return "", fmt.Errorf("%q: there is no such command", cmd.CommandPath()+" "+name)
			}
		}
		if next == nil {
			return strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), "haplane"), " "), nil
		}
		end := trim(words[0]) != words[0] // of a clause
		cmd, words = next, words[1:]
		if end {
			words = nil
		}
	}
	return strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), "haplane"), " "), flagsThere(cmd, words)
}

func child(cmd *cobra.Command, name string) *cobra.Command {
	for _, c := range cmd.Commands() {
		if c.Name() == name {
			return c
		}
	}
	return nil
}

// placeholder is a word that a text has in place of a command: COMMAND, %s, or what is put in.
func placeholder(name string) bool {
	return strings.ToUpper(name) == name || strings.Contains(name, "%") || strings.Contains(name, "…")
}

// flagsThere looks at flags up to where another program's begin.
func flagsThere(cmd *cobra.Command, words []string) error {
	if cmd.DisableFlagParsing {
		return nil
	}
	alone := cmd.Name() == "ssh" // what follows the node is the command's
	for _, w := range words {
		name, _, _ := strings.Cut(trim(w), "=")
		switch {
		case w == "--" || alone && !strings.HasPrefix(w, "-"):
			return nil
		case name == "--help" || name == "-h" || name == "-" || name == "" || name == "--":
		case strings.HasPrefix(name, "--") && cmd.Flag(name[2:]) == nil && cmd.InheritedFlags().Lookup(name[2:]) == nil,
			strings.HasPrefix(name, "-") && !strings.HasPrefix(name, "--") && !shorthand(cmd, name[1:2]):
			return fmt.Errorf("%s has no flag %s", cmd.CommandPath(), name)
		}
	}
	return nil
}

func shorthand(cmd *cobra.Command, name string) bool {
	return cmd.Flags().ShorthandLookup(name) != nil || cmd.InheritedFlags().ShorthandLookup(name) != nil
}

// textsOf are what people read: the strings of the program, documents, and files with comments.
func textsOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && path != dir && (strings.HasPrefix(e.Name(), ".") || e.Name() == "testdata" || e.Name() == "bin"):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
			return stringsOf(path, out)
		case slices.Contains([]string{".md", ".yaml", ".json", ".html", ".sh"}, filepath.Ext(path)):
			text, err := os.ReadFile(path)
			out[path] = string(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// stringsOf adds the strings of a Go file, those that are added up as one.
func stringsOf(path string, out map[string]string) error {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch e := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.BinaryExpr, *ast.BasicLit:
			if text, isString := joined(e.(ast.Expr)); isString {
				out[set.Position(n.Pos()).String()] = text
				return false
			}
		}
		return true
	})
	return nil
}

// joined is a string with … for what only a run puts in.
func joined(e ast.Expr) (text string, isString bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		if e.Op != token.ADD {
			return "", false
		}
		left, one := joined(e.X)
		right, other := joined(e.Y)
		return left + right, one || other
	case *ast.ParenExpr:
		return joined(e.X)
	}
	return "…", false
}

// Every verb of certs and etcd takes --yes, those too that never ask: a script may give it to all, as to upgrade.
func TestEveryVerbTakesYes(t *testing.T) {
	root, verbs := (&app{}).root(), 0
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		if cmd.HasSubCommands() {
			return
		}
		if verbs++; cmd.Flags().Lookup("yes") == nil || cmd.Flags().ShorthandLookup("y") == nil {
			t.Errorf("%s has no --yes", cmd.CommandPath())
		}
	}
	for _, path := range [][]string{{"certs"}, {"etcd"}, {"upgrade"}} {
		cmd, _, err := root.Find(path)
		if err != nil {
			t.Fatal(err)
		}
		walk(cmd)
	}
	if verbs < 16 {
		t.Errorf("%d verbs: they are not found", verbs)
	}
}

// The verbs of a change go on where they were interrupted, and say so.
func TestInterruptedChangesGoOn(t *testing.T) {
	root := (&app{}).root()
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
		if cmd.Flags().Lookup("take-over") != nil && !slices.Contains(resumed, cmd.Name()) {
			t.Errorf("%s changes a cluster, and is not said to go on", cmd.CommandPath())
		}
	}
	walk(root)
}
