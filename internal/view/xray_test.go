package view

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray"
	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

// few are the checks of the golden reports: a new check changes none of them.
var few = []string{"advertise-address", "leader-elect-flags", "lb-backends", "lb-single-point", "lb-from-every-node",
	"etcd-quorum", "etcd-tls", "key-permissions", "certificate-expiry", "clock-skew", "evidence-complete"}

// An xrayCase is a cluster, with what of it is broken.
type xrayCase struct {
	options  xray.Options
	evidence func() *evidence.Evidence
}

var xrayCases = map[string]xrayCase{
	"healthy": {xray.Options{}, func() *evidence.Evidence { return evidencetest.Healthy(spec.Shared) }},
	"broken":  {xray.Options{}, broken},
	"folder":  {xray.Options{}, func() *evidence.Evidence { return evidencetest.Folder(evidencetest.Kubeadm()) }},
}

// broken has failures on several nodes and one, a warning, and a machine that does
// not answer.
func broken() *evidence.Evidence {
	e := evidencetest.Healthy(spec.Shared)
	evidencetest.SetFlag(evidencetest.Program(e, "cp-1", evidence.APIServer), "advertise-address", "10.10.10.11")
	for _, node := range []string{"cp-1", "cp-2"} {
		evidencetest.SetFlag(evidencetest.Program(e, node, evidence.EtcdServer), "client-cert-auth", "false")
	}
	f := evidencetest.Machine(e, "cp-2").Files["/etc/kubernetes/pki/ca.key"]
	f.Mode = 0o644
	evidencetest.Machine(e, "cp-2").Files["/etc/kubernetes/pki/ca.key"] = f
	evidencetest.Fail(e, "cp-3")
	return e
}

func (c xrayCase) report(only ...string) xray.Report {
	c.options.Only = only
	r := xray.Evaluate(c.evidence(), c.options)
	r.Took = "812ms"
	return r
}

func TestXrayGolden(t *testing.T) {
	var checks []Check
	for _, id := range few {
		c, ok := xray.Find(id)
		if !ok {
			t.Fatalf("no check %s", id)
		}
		checks = append(checks, NewCheck(c))
	}
	for name, c := range xrayCases {
		r := c.report(few...)
		golden(t, name+".txt", func(w io.Writer) error { return XrayText{Width: 100}.Write(w, r) })
		golden(t, name+".all.txt", func(w io.Writer) error { return XrayText{Width: 80, All: true}.Write(w, r) })
		golden(t, name+".junit.xml", func(w io.Writer) error { return XrayJUnit(w, r, xray.Fail) })
		golden(t, name+".sarif.json", func(w io.Writer) error { return XraySARIF(w, r, checks, "v1.2.3") })
	}
}

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, name string, write func(io.Writer) error) {
	t.Helper()
	compare(t, filepath.Join("testdata", "xray", name), write)
}

func compare(t *testing.T, file string, write func(io.Writer) error) {
	t.Helper()
	var got bytes.Buffer
	if err := write(&got); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("%s: UPDATE_GOLDEN=1 go test ./internal/view writes it anew:\n%s", file, diff)
	}
}

// Whatever the checks are: every trouble is in the text, and no line is too long
// that could be broken.
func TestXrayTextOfAllChecks(t *testing.T) {
	for name, c := range xrayCases {
		t.Run(name, func(t *testing.T) {
			r := c.report()
			var w bytes.Buffer
			if err := (XrayText{Width: 100}).Write(&w, r); err != nil {
				t.Fatal(err)
			}
			for _, f := range r.Findings {
				if !strings.Contains(w.String(), f.Check) {
					t.Errorf("%s is not in the text", f.Check)
				}
				if words := strings.Fields(clean(f.Observed)); f.Status.IsTrouble() && !strings.Contains(strings.Join(strings.Fields(w.String()), " "), strings.Join(words, " ")) {
					t.Errorf("%s %s: %q is not in the text", f.Check, f.Node, f.Observed)
				}
			}
			for line := range strings.Lines(w.String()) {
				line = strings.TrimSuffix(line, "\n")
				if utf8.RuneCountInString(line) > 100 && len(strings.Fields(line)) > 3 {
					t.Errorf("%d columns: %s", utf8.RuneCountInString(line), line)
				}
			}
		})
	}
}

func TestXrayTextColours(t *testing.T) {
	r := xrayCases["broken"].report(few...)
	var plain, colored bytes.Buffer
	if err := (XrayText{Width: 100}).Write(&plain, r); err != nil {
		t.Fatal(err)
	}
	if err := (XrayText{Width: 100, Color: true}).Write(&colored, r); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\x1b") || !strings.Contains(colored.String(), red+"FAIL   "+reset) {
		t.Errorf("plain: %q\ncolored: %q", plain.String(), colored.String())
	}
	without := colored.String()
	for _, sequence := range []string{reset, bold, faint, red, green, yellow, magenta} {
		without = strings.ReplaceAll(without, sequence, "")
	}
	if diff := cmp.Diff(plain.String(), without); diff != "" {
		t.Error(diff)
	}
}

// What a machine says moves no cursor and ends no line.
func TestXrayTextObeysNobody(t *testing.T) {
	r := xray.Report{Verdict: xray.Verdict{Counts: map[xray.Status]int{xray.Fail: 1}}, Findings: []xray.Finding{{
		Check: "x", Subject: xray.Etcd, Title: "t", Status: xray.Fail, Node: "cp-1\x1b[2J", Observed: "a\x1b]0;title\a\nFAIL b\u202ec", Source: "/x\r"}}}
	var w bytes.Buffer
	if err := (XrayText{Width: 100}).Write(&w, r); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(w.String(), "\x1b\a\r\u202e") || strings.Contains(w.String(), "\nFAIL b") {
		t.Errorf("%q", w.String())
	}
}

func TestWrap(t *testing.T) {
	for text, want := range map[string][]string{
		"":                  {""},
		"a bc def":          {"a bc", "def"},
		"abcdefgh ij":       {"abcdefgh", "ij"},
		"äöü ß é":           {"äöü", "ß é"},
		"  spaces   within": {"spaces", "within"},
	} {
		if diff := cmp.Diff(want, wrap(text, 4)); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}
