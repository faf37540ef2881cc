// Package xrayhtml writes what an x-ray came to as one HTML file: the picture of
// the cluster, drawn from the evidence, and every finding. The file loads nothing
// and runs nothing, and its policy forbids both.
package xrayhtml

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray"
	"github.com/haplane/haplane/internal/xray/evidence"
)

//go:embed page.html picture.html findings.html style.css
var files embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"plain": plain, "sign": signOf, "word": wordOf, "join": strings.Join,
	"shows": func(p *part) bool { return len(p.Roles)+len(p.Facts)+len(p.Findings) > 0 },
	"link":  func(s string) bool { return strings.HasPrefix(s, "https://") },
}).ParseFS(files, "*.html"))

// A page is what the templates show.
type page struct {
	Policy   string
	Style    template.CSS
	Subject  string // what was looked at
	Report   xray.Report
	Tone     string
	Number   string // of tolerated failures
	Counts   []count
	Parts    []*part
	Whole    *part
	Drawings []drawing
	Kinds    []string // of wires that are drawn, for the legend
	Subjects []subject
	Ways     []string
	At       string
}

// Write writes the report. It is pure but for the writer: nothing is written when
// it cannot be made.
func Write(w io.Writer, r xray.Report) error {
	var out bytes.Buffer
	if err := pages.ExecuteTemplate(&out, "page.html", newPage(r)); err != nil {
		return err
	}
	_, err := out.WriteTo(w)
	return err
}

func newPage(r xray.Report) page {
	style, _ := files.ReadFile("style.css") // embedded: it is there
	hash := sha256.Sum256(style)
	parts := &parts{}
	c := newCluster(r.Picture, parts)
	describe(c, r.Findings)
	p := page{
		Policy:  "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'; base-uri 'none'; form-action 'none'",
		Style:   template.CSS(style),
		Subject: cmp.Or(r.Picture.Endpoint, "a control plane"),
		Report:  r,
		Counts:  counts(r.Verdict.Counts),
		Parts:   parts.list, Whole: parts.get(wholeCluster),
		Subjects: subjectsOf(r.Findings),
		At:       r.At.UTC().Format("2006-01-02 15:04:05 UTC"),
	}
	p.Number, p.Tone = verdict(r.Verdict)
	for _, w := range r.Ways {
		p.Ways = append(p.Ways, cmp.Or(wayNames[w], string(w)))
	}
	if c.hasEndpoint() || c.hasService() || len(c.columns)+len(c.members) > 0 {
		p.Drawings = []drawing{c.wide(), c.narrow()}
		for i := range p.Drawings {
			p.Drawings[i].Title, p.Drawings[i].Desc = "The control plane of "+p.Subject, c.desc()
		}
		p.Kinds = p.Drawings[0].kinds()
	}
	return p
}

var wayNames = map[evidence.Way]string{
	evidence.Machines: "the machines, over SSH", evidence.API: "the API, with a kubeconfig", evidence.Folder: "a folder of files",
}

// kinds are those of a drawing's wires, with the states that they have.
func (d drawing) kinds() []string {
	var out []string
	add := func(w wire) {
		for _, k := range []string{w.Kind, w.State} {
			if k != "" && !slices.Contains(out, k) {
				out = append(out, k)
			}
		}
	}
	for _, bundle := range d.Bundles {
		for _, w := range bundle {
			add(w)
		}
	}
	for _, b := range d.Boxes {
		for _, w := range b.Wires {
			add(w)
		}
	}
	return out
}
