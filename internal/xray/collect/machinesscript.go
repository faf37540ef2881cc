package collect

import (
	"crypto/rand"
	_ "embed" // the scripts
	"fmt"
	"strings"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/xray/parse"
)

var (
	//go:embed machines.sh
	functions string
	//go:embed machines.awk
	redaction string
)

// maxFile is how much of a file is looked at. What is larger is no configuration.
const maxFile = 4 << 20

// A script is what a machine is asked, round by round, in one shell.
type script struct {
	mark     string
	preamble string // what the first round begins with
	body     strings.Builder
}

// newScript begins one. Root and proc are / and /proc, but for tests.
func newScript(root, proc string) *script {
	s := &script{mark: "@" + rand.Text()}
	for _, v := range [][2]string{{"mark", s.mark}, {"root", root}, {"proc", proc}, {"properties", parse.ShownProperties}, {"limit", fmt.Sprint(maxFile)}, {"redact", redaction}} {
		s.preamble += v[0] + "=" + machine.Quote(v[1:]) + "\n"
	}
	s.preamble += functions
	return s
}

// call adds a line; no shell reads what is in the arguments.
func (s *script) call(function string, args ...string) {
	s.body.WriteString(strings.TrimSpace(function+" "+machine.Quote(args)) + "\n")
}

// look adds files to look at. Names that cannot be told apart line by line are
// left out.
func (s *script) look(wants []want) {
	byKind := map[kind][]string{}
	for _, w := range wants {
		if !strings.ContainsAny(w.pattern, "\n\x00") {
			byKind[w.how] = append(byKind[w.how], w.pattern)
		}
	}
	for _, how := range []kind{asText, asBalancer, asPEM, asKey, asDigest, asStat} {
		if len(byKind[how]) > 0 {
			s.call("look", append([]string{string(how)}, byKind[how]...)...)
		}
	}
}

// round takes what was added since the last one, as input of a shell. Nothing in it
// reads what follows on the input. Its answer ends with the line that ends tells.
func (s *script) round() string {
	text := s.preamble + "{\nbegin\n" + s.body.String() + "section end\n} </dev/null\n"
	s.preamble = ""
	s.body.Reset()
	return text
}

// ends is how the answer to a round ends.
func (s *script) ends() string { return "\n" + s.mark + " end\n" }

// A section is a part of an answer: what it is about, and its lines.
type section struct{ title, arg, body string }

// sections splits an answer. A body has the line end of its last line.
func (s *script) sections(answer string) []section {
	var out []section
	for i, part := range strings.Split("\n"+answer, "\n"+s.mark+" ") {
		if i == 0 { // what a login says before the script begins
			continue
		}
		title, body, _ := strings.Cut(part, "\n")
		title, arg, _ := strings.Cut(title, " ")
		out = append(out, section{title, arg, body})
	}
	return out
}
