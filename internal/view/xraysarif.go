package view

import (
	"cmp"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/xray"
)

// XraySARIF writes what is not a pass of a report as SARIF 2.1.0, with all checks as
// rules. The version is haplane's.
func XraySARIF(w io.Writer, r xray.Report, checks []Check, version string) error {
	run := sarifRun{
		Tool: sarifTool{Driver: sarifDriver{Name: "haplane xray", Version: version, Rules: sarifRules(checks)}},
		// Whether something could not be looked at is in the results: the tool did run.
		Invocations: []sarifInvocation{{ExecutionSuccessful: true, EndTime: r.At.UTC().Format(time.RFC3339)}},
		Results:     []sarifResult{},
	}
	for _, f := range r.Findings {
		if f.Status != xray.Pass {
			run.add(f)
		}
	}
	return JSON(w, sarifLog{
		Schema:  "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
		Version: "2.1.0", Runs: []sarifRun{run},
	})
}

func sarifRules(checks []Check) []sarifRule {
	out := []sarifRule{}
	for _, c := range checks {
		rule := sarifRule{ID: c.ID, Short: sarifText{c.Title}, Full: sarifText{c.Why}, Help: sarifText{c.Fix},
			Properties: map[string][]string{"tags": {string(c.Subject)}}}
		if strings.HasPrefix(c.Source, "https://") {
			rule.HelpURI = c.Source
		}
		out = append(out, rule)
	}
	return out
}

// sarifKinds: what was not judged has no level, as section 3.27.10 has it.
var sarifKinds = map[xray.Status]struct{ kind, level string }{
	xray.Fail: {"fail", "error"}, xray.Warn: {"fail", "warning"}, xray.Error: {"open", "none"}, xray.Skip: {"notApplicable", "none"},
}

func (run *sarifRun) add(f xray.Finding) {
	k := sarifKinds[f.Status]
	run.Results = append(run.Results, sarifResult{RuleID: f.Check, Kind: k.kind, Level: k.level,
		Message: sarifText{sarifMessage(f)}, Locations: run.locations(f)})
}

func sarifMessage(f xray.Finding) string {
	text := cmp.Or(f.Node, "the cluster") + ": " + f.Observed
	if f.Expected != "" {
		text += "; expected: " + f.Expected
	}
	if f.Fix != "" {
		text += ". Fix: " + f.Fix
	}
	return clean(text)
}

// locations are the node, and the file on it where the source names one.
func (run *sarifRun) locations(f xray.Finding) []sarifLocation {
	var l sarifLocation
	if f.Node != "" {
		l.Logical = append(l.Logical, sarifLogical{Name: f.Node, FullName: f.Node, Kind: "node"})
	}
	file := fileIn(f.Source)
	if file == "" && f.Source != "" {
		l.Logical = append(l.Logical, sarifLogical{FullName: strings.TrimPrefix(f.Node+"/"+f.Source, "/"), Kind: "object"})
	}
	if file != "" {
		base := strings.ToUpper(cmp.Or(f.Node, "cluster"))
		if run.Bases == nil {
			run.Bases = map[string]sarifBase{}
		}
		run.Bases[base] = sarifBase{sarifText{"the root folder of " + cmp.Or(f.Node, "the cluster's machines")}}
		l.Physical = &sarifPhysical{sarifArtifact{URI: strings.TrimPrefix((&url.URL{Path: file}).EscapedPath(), "/"), Base: base}}
	}
	if l.Logical == nil && l.Physical == nil {
		return nil
	}
	return []sarifLocation{l}
}

// fileIn is the first absolute path in a source, or "".
func fileIn(source string) string {
	for _, word := range strings.Fields(source) {
		if word = strings.TrimRight(word, ":,;"); strings.HasPrefix(word, "/") && len(word) > 1 {
			return word
		}
	}
	return ""
}
