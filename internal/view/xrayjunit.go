package view

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/haplane/haplane/internal/xray"
)

// Elements and attributes are those of the schema that Jenkins and JUnit 5 have in
// common, in its order.
type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name      string      `xml:"name,attr"`
	Tests     int         `xml:"tests,attr"`
	Failures  int         `xml:"failures,attr"`
	Errors    int         `xml:"errors,attr"`
	Skipped   int         `xml:"skipped,attr"`
	Timestamp string      `xml:"timestamp,attr"`
	Cases     []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	Skipped *string       `xml:"skipped"`
	Error   *junitProblem `xml:"error"`
	Failure *junitProblem `xml:"failure"`
	Out     *junitText    `xml:"system-out"`
}

type junitProblem struct {
	Type    string `xml:"type,attr"`
	Message string `xml:"message,attr"`
	Text    string `xml:",cdata"`
}

type junitText struct {
	Text string `xml:",cdata"`
}

// XrayJUnit writes a report as JUnit has the results of tests: a suite for each
// subject, a case for each finding. A warning is a failure where that is the threshold.
func XrayJUnit(w io.Writer, r xray.Report, threshold xray.Status) error {
	all := junitSuites{Name: "haplane xray"}
	for _, g := range xray.Grouped(r.Findings) {
		suite := junitSuite{Name: string(g.Subject), Timestamp: r.At.UTC().Format("2006-01-02T15:04:05")}
		names := map[string]int{}
		for _, c := range g.Checks {
			for _, f := range c.Findings {
				suite.add(newJUnitCase(f, threshold), names)
			}
		}
		all.Suites = append(all.Suites, suite)
		all.Tests, all.Failures, all.Errors = all.Tests+suite.Tests, all.Failures+suite.Failures, all.Errors+suite.Errors
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// add counts a case, and gives it a name that the suite does not have yet.
func (s *junitSuite) add(c junitCase, names map[string]int) {
	s.Tests++
	switch {
	case c.Skipped != nil:
		s.Skipped++
	case c.Error != nil:
		s.Errors++
	case c.Failure != nil:
		s.Failures++
	}
	names[c.Name]++
	if n := names[c.Name]; n > 1 {
		c.Name += fmt.Sprintf(" #%d", n)
	}
	s.Cases = append(s.Cases, c)
}

func newJUnitCase(f xray.Finding, threshold xray.Status) junitCase {
	c := junitCase{Class: f.Check, Name: strings.TrimSpace(f.Check + " " + f.Node)}
	problem := &junitProblem{Type: string(f.Status), Message: clean(f.Observed), Text: junitLines(f)}
	switch {
	case f.Status == xray.Fail, f.Status == xray.Warn && threshold == xray.Warn:
		c.Failure = problem
	case f.Status == xray.Error:
		c.Error = problem
	case f.Status == xray.Skip:
		c.Skipped = new(clean(f.Observed))
	case f.Status == xray.Warn:
		c.Out = &junitText{"warning\n" + junitLines(f)}
	}
	return c
}

func junitLines(f xray.Finding) string {
	var b strings.Builder
	for _, row := range []struct{ label, text string }{
		{"check", f.Title}, {"on", cmp.Or(f.Node, "the cluster")}, {"expected", f.Expected}, {"observed", f.Observed}, {"seen in", f.Source}, {"fix", f.Fix},
	} {
		if row.text != "" {
			fmt.Fprintf(&b, "%s: %s\n", row.label, clean(row.text))
		}
	}
	return b.String()
}
