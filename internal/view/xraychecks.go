package view

import (
	"fmt"
	"io"
	"strings"

	"github.com/haplane/haplane/internal/xray"
	"github.com/haplane/haplane/internal/xray/evidence"
)

// A Check is one of the x-ray as it is described. Names of its JSON fields are stable.
type Check struct {
	ID      string         `json:"id"`
	Subject xray.Subject   `json:"subject"`
	Title   string         `json:"title"`
	Why     string         `json:"why"`
	Source  string         `json:"source"`
	Fix     string         `json:"fix"`
	Needs   []evidence.Way `json:"needs"`
}

// NewCheck describes a check.
func NewCheck(c xray.Check) Check {
	return Check{ID: c.ID, Subject: c.Subject, Title: c.Title, Why: c.Why, Source: c.Source, Fix: c.Fix, Needs: c.Needs}
}

// NewChecks describes checks.
func NewChecks(checks []xray.Check) []Check {
	out := []Check{}
	for _, c := range checks {
		out = append(out, NewCheck(c))
	}
	return out
}

// Checks writes a table of checks.
func Checks(w io.Writer, checks []Check) error {
	return table(w, "CHECK\tSUBJECT\tWHAT IS RIGHT", func(t io.Writer) {
		for _, c := range checks {
			fmt.Fprintf(t, "%s\t%s\t%s\n", c.ID, c.Subject, c.Title)
		}
	})
}

// Text writes all that there is to know of a check.
func (c Check) Text(w io.Writer, width int) error {
	p := &page{width: width}
	fmt.Fprintf(&p.out, "%s\n\n", c.ID)
	const indent = 10
	for _, row := range []struct{ label, text string }{
		{"subject", string(c.Subject)}, {"right is", c.Title}, {"why", c.Why}, {"source", c.Source}, {"fix", c.Fix}, {"seen with", ways(c.Needs)},
	} {
		p.item(fmt.Sprintf("%-*s", indent, row.label), indent, row.text)
	}
	_, err := p.out.WriteTo(w)
	return err
}

// ways says with which flags a check sees something.
func ways(needs []evidence.Way) string {
	var out []string
	for _, w := range needs {
		out = append(out, wayFlags[w])
	}
	return strings.Join(out, ", or ")
}

var wayFlags = map[evidence.Way]string{
	evidence.Machines: "machines (--cluster, --file or --machines)", evidence.API: "the API (--cluster or --kubeconfig)",
	evidence.Folder: "a folder of files (--dir)",
}

// ChecksDoc writes the page of the documentation about checks, as Markdown.
func ChecksDoc(w io.Writer, checks []Check) error {
	var b strings.Builder
	b.WriteString(checksIntro)
	var subject xray.Subject
	for _, c := range checks {
		if c.Subject != subject {
			subject = c.Subject
			fmt.Fprintf(&b, "\n## %s\n", subject)
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s.\n\n- Why: %s\n- Known from: %s\n- Fix: %s\n- Seen with: %s\n",
			c.ID, c.Title, c.Why, link(c.Source), c.Fix, ways(c.Needs))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const checksIntro = `# Checks of haplane xray

This page is generated from the checks (` + "`UPDATE_GOLDEN=1 go test ./internal/view -run TestChecksDoc`" + `).
` + "`haplane xray --explain ID`" + ` shows the same of one check. Where a check needs a way in that was not given, it
is skipped and says so; it never passes.

| status | what it means | exit code |
|---|---|---|
| pass | it was looked at and is right | 0 |
| skip | no way in that was given shows it, or it does not apply | 0 |
| warn | it is not as good as it could be | 0, or 3 with ` + "`--fail-on warn`" + ` |
| error | it could not be looked at, though it should have been possible | 1, unless something failed |
| fail | it is wrong | 3 |
`

func link(source string) string {
	if strings.HasPrefix(source, "https://") {
		return "<" + source + ">"
	}
	return source
}
