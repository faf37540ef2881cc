package xrayhtml

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/view/xrayhtml/xrayhtmltest"
	"github.com/haplane/haplane/internal/xray"
)

// An element is one of a page, with the text in it.
type element struct {
	xml.StartElement
	begin int // in the text of the page
	text  string
}

func (e element) attr(name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// read writes a report and returns its elements in the order in which they end.
func read(t *testing.T, r xray.Report) []element {
	t.Helper()
	var page bytes.Buffer
	if err := Write(&page, r); err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(&page)
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var open, out []element
	var text strings.Builder
	for {
		switch token, err := d.RawToken(); x := token.(type) {
		case xml.StartElement:
			if slices.Contains(xml.HTMLAutoClose, x.Name.Local) {
				out = append(out, element{StartElement: x.Copy()})
			} else {
				open = append(open, element{StartElement: x.Copy(), begin: text.Len()})
			}
		case xml.EndElement:
			last := open[len(open)-1]
			if last.Name != x.Name {
				t.Fatalf("</%s> closes <%s>", x.Name.Local, last.Name.Local)
			}
			last.text = text.String()[last.begin:]
			open, out = open[:len(open)-1], append(out, last)
		case xml.CharData:
			text.Write(x)
		case nil:
			if err != io.EOF {
				t.Fatal(err)
			}
			return out
		}
	}
}

func pick(elements []element, name, class string) []element {
	var out []element
	for _, e := range elements {
		if e.Name.Local == name && slices.Contains(strings.Fields(e.attr("class")), class) {
			out = append(out, e)
		}
	}
	return out
}

func TestEveryFindingIsShown(t *testing.T) {
	for _, c := range cases() {
		elements := read(t, c.Report)
		for _, status := range statuses {
			shown := slices.Concat(pick(elements, "div", "finding"), pick(elements, "li", string(status.status)))
			for _, f := range ofStatus(c.Report.Findings, status.status) {
				if !slices.ContainsFunc(shown, func(e element) bool { return tells(e.text, f) }) {
					t.Errorf("%s: finding is not shown: %+v", c.Name, f)
				}
			}
		}
	}
}

// tells reports whether a text has all that somebody has to know of a finding.
func tells(text string, f xray.Finding) bool {
	want := []string{f.Node, f.Observed, f.Source}
	if slices.Contains(troubles, f.Status) {
		want = append(want, f.Expected, f.Fix)
	}
	return !slices.ContainsFunc(want, func(part string) bool { return !strings.Contains(text, plain(part)) })
}

// Each finding is at one part, and each part that has something to look at is
// marked in the picture.
func TestPicturesMarkFindings(t *testing.T) {
	for _, c := range cases() {
		p := newPage(c.Report)
		var given int
		var bad, whole []xray.Finding
		for _, part := range p.Parts {
			given += len(part.Findings)
			bad = append(bad, part.Bad()...)
			if part == p.Whole {
				whole = part.Bad()
			}
		}
		if given != len(c.Report.Findings) {
			t.Errorf("%s: parts have %d findings, want %d", c.Name, given, len(c.Report.Findings))
		}
		for _, d := range p.Drawings {
			got := said(tally(append(marked(d.Boxes), whole...)))
			if want := said(tally(bad)); got != want {
				t.Errorf("%s, %s: marks %s, want %s", c.Name, d.Name, got, want)
			}
		}
	}
}

// marked are the badges of boxes as so many findings.
func marked(boxes []box) []xray.Finding {
	var out []xray.Finding
	for _, b := range boxes {
		for _, g := range b.Badges {
			n := 0
			for _, digit := range g.Text[strings.Index(g.Text, " ")+1:] {
				n = 10*n + int(digit-'0')
			}
			out = append(out, slices.Repeat([]xray.Finding{{Status: xray.Status(g.Status)}}, n)...)
		}
		out = append(out, marked(b.Inner)...)
	}
	return out
}

func TestPolicyAllowsTheStyleOnly(t *testing.T) {
	elements := read(t, cases()[0].Report)
	i := slices.IndexFunc(elements, func(e element) bool { return e.attr("http-equiv") == "Content-Security-Policy" })
	j := slices.IndexFunc(elements, func(e element) bool { return e.Name.Local == "style" })
	if i < 0 || j < i {
		t.Fatalf("policy is element %d, style %d: the policy has to come first", i, j)
	}
	hash := sha256.Sum256([]byte(elements[j].text))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'; base-uri 'none'; form-action 'none'"
	if diff := cmp.Diff(want, elements[i].attr("content")); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
}

func TestWriteIsDeterministic(t *testing.T) {
	write := func(r xray.Report) string {
		var out strings.Builder
		if err := Write(&out, r); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	again := xrayhtmltest.Cases()
	for i, c := range cases() {
		if diff := cmp.Diff(write(c.Report), write(again[i].Report)); diff != "" {
			t.Errorf("%s: two pages of the same report differ:\n%s", c.Name, diff)
		}
	}
}

type broken struct{ error }

func (b broken) Write([]byte) (int, error) { return 0, b.error }

func TestWriteReturnsTheErrorOfTheWriter(t *testing.T) {
	want := errors.New("no space left on device")
	if err := Write(broken{want}, cases()[0].Report); !errors.Is(err, want) {
		t.Errorf("error is %v, want %v", err, want)
	}
}
