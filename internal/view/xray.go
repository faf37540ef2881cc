package view

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/haplane/haplane/internal/xray"
	"github.com/haplane/haplane/internal/xray/evidence"
)

// XrayText writes what an x-ray came to for people to read: the verdict first, then
// the findings by subject, failures first.
type XrayText struct {
	Width int  // columns that lines are wrapped at
	Color bool // colours by status; words say the same
	All   bool // what was seen of passes and skips as well
}

// Write writes the report.
func (x XrayText) Write(w io.Writer, r xray.Report) error {
	p := &page{width: x.Width, color: x.Color}
	head(p, r)
	for _, g := range xray.Grouped(r.Findings) {
		x.group(p, g)
	}
	_, err := p.out.WriteTo(w)
	return err
}

// headWidth is the column where the values of the head begin.
const headWidth = 15

func head(p *page, r xray.Report) {
	v := r.Verdict
	row := func(label, text string) {
		if text != "" {
			p.item(p.paint(bold, fmt.Sprintf("%-*s", headWidth, label)), headWidth, text)
		}
	}
	row("VERDICT", v.Summary)
	row("IDENTITY", cmp.Or(string(v.Identity), "not known"))
	for _, tell := range v.IdentityTells {
		p.item(strings.Repeat(" ", headWidth), headWidth, tell)
	}
	row("TOLERATED", tolerated(v.Tolerated))
	row("SINGLE POINTS", strings.Join(v.SinglePoints, ", "))
	row("LOOKED AT", looked(r))
	row("FINDINGS", tally(v.Counts))
}

func tolerated(parts map[string]int) string {
	var out, down []string
	for _, part := range []struct{ key, name string }{{"loadBalancers", "load balancers"}, {"apiServers", "API servers"}, {"etcdMembers", "etcd members"}} {
		if n, known := parts[part.key]; known && n >= 0 {
			out = append(out, fmt.Sprintf("%d of the %s", n, part.name))
		} else if known {
			down = append(down, part.name+" do not serve")
		}
	}
	if len(out) > 0 {
		down = append(down, strings.Join(out, ", ")+" may fail")
	}
	return strings.Join(down, "; ")
}

// wayNames are the ways in as people read them.
var wayNames = map[evidence.Way]string{
	evidence.Machines: "machines over SSH", evidence.API: "the API", evidence.Folder: "a folder of files",
}

func looked(r xray.Report) string {
	var ways []string
	for _, w := range r.Ways {
		ways = append(ways, cmp.Or(wayNames[w], string(w)))
	}
	text := cmp.Or(strings.Join(ways, ", "), "nothing") + "; " + r.At.UTC().Format("2006-01-02 15:04:05 UTC")
	if r.Took != "" {
		text += ", in " + r.Took
	}
	return text
}

// tally says how many findings have each status, worst first.
func tally(counts map[xray.Status]int) string {
	var out []string
	for _, s := range statuses {
		n := counts[s.status]
		word := s.counted
		if s.status == xray.Warn && n != 1 {
			word += "s"
		}
		if n > 0 {
			out = append(out, fmt.Sprintf("%d %s", n, word))
		}
	}
	return cmp.Or(strings.Join(out, ", "), "none")
}

// A page is text that is wrapped at a width.
type page struct {
	out   bytes.Buffer
	width int
	color bool
}

// item writes a text behind a label that is as wide as the indent of its other lines.
func (p *page) item(label string, indent int, text string) {
	p.out.WriteString(label)
	for i, line := range wrap(clean(text), p.width-indent) {
		if i > 0 {
			p.out.WriteString(strings.Repeat(" ", indent))
		}
		p.out.WriteString(line + "\n")
	}
}

// paint colours a text.
func (p *page) paint(color, text string) string {
	if !p.color || color == "" {
		return text
	}
	return color + text + reset
}
