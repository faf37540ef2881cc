// Package probehtml writes what was measured as one HTML file: a timeline of lanes,
// outages and marks, and the numbers. The file loads nothing and runs nothing, and
// its policy forbids both.
package probehtml

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"time"

	"github.com/haplane/haplane/internal/probe"
)

//go:embed page.html style.css
var files embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"clock":  func(t time.Time) string { return t.Format("15:04:05.000") },
	"millis": millis,
	"took":   func(start, end time.Time) string { return millis(float64(end.Sub(start).Microseconds()) / 1000) },
}).ParseFS(files, "page.html"))

// A page is what the template shows.
type page struct {
	Policy   string
	Style    template.CSS
	Report   probe.Report
	Verdict  string
	Tone     string
	Timeline timeline
	At       string
	Late     string // how late the process was at most; empty where it was not
	// FailedLate are the requests that failed and were due or under way then.
	FailedLate int
}

// Write writes the report. Nothing is written when the page cannot be made.
func Write(w io.Writer, r probe.Report) error {
	style, _ := files.ReadFile("style.css") // embedded: it is there
	hash := sha256.Sum256(style)
	p := page{
		Policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'; base-uri 'none'; form-action 'none'",
		Style:  template.CSS(style), Report: r, Timeline: newTimeline(r),
		At: r.Started.Format("2006-01-02 15:04:05 MST"),
	}
	p.Verdict, p.Tone = verdict(r)
	if longest, failed := r.WorstLate(); longest > 0 {
		p.Late, p.FailedLate = millis(float64(longest.Microseconds())/1000), failed
	}
	var out bytes.Buffer
	if err := pages.ExecuteTemplate(&out, "page.html", p); err != nil {
		return err
	}
	_, err := out.WriteTo(w)
	return err
}

func verdict(r probe.Report) (text, tone string) {
	requests, failed, gap := 0, 0, 0.0
	for _, l := range r.Lanes {
		requests, failed, gap = requests+l.Requests, failed+l.Failed, max(gap, l.LongestGap)
	}
	text = fmt.Sprintf("%d of %d requests failed, longest gap %s", failed, requests, millis(gap))
	switch {
	case r.Failed():
		return text, "bad"
	case len(r.Errors) > 0:
		return text, "unknown"
	}
	return text, "good"
}

func millis(f float64) string {
	switch {
	case f < 10:
		return fmt.Sprintf("%.1f ms", f)
	case f < 10_000:
		return fmt.Sprintf("%.0f ms", f)
	}
	return fmt.Sprintf("%.1f s", f/1000)
}
