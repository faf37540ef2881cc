package view

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"slices"
	"testing"

	"github.com/haplane/haplane/internal/xray"
)

func TestXrayJUnitCountsWhatTheReportCounts(t *testing.T) {
	for name, c := range xrayCases {
		for _, threshold := range []xray.Status{xray.Fail, xray.Warn} {
			t.Run(name+"/"+string(threshold), func(t *testing.T) {
				r := c.report()
				counts := r.Verdict.Counts
				failures := counts[xray.Fail]
				if threshold == xray.Warn {
					failures += counts[xray.Warn]
				}
				all := readJUnit(t, r, threshold)
				if all.Tests != len(r.Findings) || all.Failures != failures || all.Errors != counts[xray.Error] {
					t.Errorf("%d tests, %d failures, %d errors of %v", all.Tests, all.Failures, all.Errors, counts)
				}
				var cases, skipped int
				for _, s := range all.Suites {
					names := map[string]bool{}
					for _, c := range s.Cases {
						names[c.Name] = true
						if c.Skipped != nil {
							skipped++
						}
					}
					if len(names) != s.Tests {
						t.Errorf("%s: %d names of %d cases", s.Name, len(names), s.Tests)
					}
					cases += len(s.Cases)
				}
				if cases != all.Tests || skipped != counts[xray.Skip] {
					t.Errorf("%d cases, %d skipped of %v", cases, skipped, counts)
				}
			})
		}
	}
}

func readJUnit(t *testing.T, r xray.Report, threshold xray.Status) (all junitSuites) {
	t.Helper()
	var w bytes.Buffer
	if err := XrayJUnit(&w, r, threshold); err != nil {
		t.Fatal(err)
	}
	if err := xml.Unmarshal(w.Bytes(), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// Rules and results fit together, and a result has a level exactly if it was judged.
func TestXraySARIFIsSound(t *testing.T) {
	for name, c := range xrayCases {
		t.Run(name, func(t *testing.T) {
			r := c.report()
			var w bytes.Buffer
			if err := XraySARIF(&w, r, NewChecks(xray.Catalogue()), ""); err != nil {
				t.Fatal(err)
			}
			var log sarifLog
			if err := json.Unmarshal(w.Bytes(), &log); err != nil {
				t.Fatal(err)
			}
			run := log.Runs[0]
			if want := len(r.Findings) - r.Verdict.Counts[xray.Pass]; len(run.Results) != want || want == 0 {
				t.Errorf("%d results, want %d", len(run.Results), want)
			}
			for _, result := range run.Results {
				if !slices.ContainsFunc(run.Tool.Driver.Rules, func(r sarifRule) bool { return r.ID == result.RuleID }) {
					t.Errorf("no rule %s", result.RuleID)
				}
				if (result.Level == "none") != (result.Kind != "fail") || result.Message.Text == "" {
					t.Errorf("%+v", result)
				}
				for _, l := range result.Locations {
					if p := l.Physical; p != nil && (run.Bases[p.Artifact.Base].Description.Text == "" || p.Artifact.URI == "") {
						t.Errorf("%s: %+v has no base", result.RuleID, p)
					}
				}
			}
		})
	}
}

func TestFileIn(t *testing.T) {
	for source, want := range map[string]string{
		"process pid 231":                               "",
		"unit /etc/systemd/system/etcd.service":         "/etc/systemd/system/etcd.service",
		"/etc/kubernetes/pki/ca.key":                    "/etc/kubernetes/pki/ca.key",
		"/etc/kubernetes/admin.conf: clusters.x.server": "/etc/kubernetes/admin.conf",
		"https://10.10.10.11:2379":                      "",
		"kube-system/etcd-cp-1":                         "",
		"/":                                             "",
	} {
		if got := fileIn(source); got != want {
			t.Errorf("%q: %q, want %q", source, got, want)
		}
	}
}

func TestChecksDoc(t *testing.T) {
	compare(t, "../../docs/checks.md", func(w io.Writer) error { return ChecksDoc(w, NewChecks(xray.Catalogue())) })
}
