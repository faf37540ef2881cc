//go:build e2e

package e2e

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/haplane/haplane/internal/view/xrayhtml"
	"github.com/haplane/haplane/internal/view/xrayhtml/xrayhtmltest"
)

//go:embed testdata/look.js
var look string

// followed are the cases in which every part of the picture is selected, and which
// are printed: between them they have parts of all kinds.
var followed = []string{"many-faults", "ghosts", "external-etcd"}

// TestXrayPage looks at the reports of `haplane xray -o html` as a reader does: in
// a window, on a phone, in light and dark, and on paper. It needs no cluster.
func TestXrayPage(t *testing.T) {
	b := newBrowser(t)
	dir := t.TempDir()
	t.Run("what is wrong is seen", func(t *testing.T) { b.checkLook(t, dir) })
	for _, c := range xrayhtmltest.Cases() {
		var page bytes.Buffer
		if err := xrayhtml.Write(&page, c.Report); err != nil {
			t.Fatal(err)
		}
		url := write(t, dir, c.Name, page.String())
		t.Run(c.Name, func(t *testing.T) {
			for _, width := range []int64{1280, 390} {
				b.checkPage(t, url, width)
				if slices.Contains(followed, c.Name) {
					b.checkEvidence(t)
				}
			}
			if slices.Contains(followed, c.Name) {
				b.checkPaper(t)
			}
		})
	}
}

func write(t *testing.T, dir, name, page string) string {
	t.Helper()
	path := filepath.Join(dir, name+".html")
	if err := os.WriteFile(path, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	return "file://" + path
}

// checkLook shows a page that has everything that a report must not have: a test
// that does not see it proves nothing of other pages.
func (b *browser) checkLook(t *testing.T, dir string) {
	t.Helper()
	url := write(t, dir, "wrong", `<!DOCTYPE html><meta http-equiv="Content-Security-Policy" content="script-src 'none'">
		<body style="margin:0;background:#fff"><script>1</script><img src="other.png"><p style="color:#999">faint</p><div style="width:2000px">wide</div>
		<svg class="picture" width="300" height="99"><g><rect class="box" width="50" height="50" fill="#eee"/>
		<text x="5" y="20">leaves its box</text><text x="5" y="24">another</text><text style="display:none">secret</text></g></svg>`)
	requests, complaints := b.visit(t, url, 1280)
	contains(t, "what was requested", strings.Join(requests, "\n"), "other.png")
	contains(t, "the console", strings.Join(complaints, "\n"), "Content Security Policy")
	contains(t, "what is wrong", strings.Join(b.look(t), "\n"), "2000 px wide", "faint: contrast 2.8",
		"leaves its box: not within its box", "leaves its box: lies over another", "secret: not shown")
}

// look returns what a reader of the page would object to.
func (b *browser) look(t *testing.T) []string {
	t.Helper()
	return evaluate[[]string](t, b, look+"; objections()")
}

func (b *browser) checkPage(t *testing.T, url string, width int64) {
	t.Helper()
	requests, complaints := b.visit(t, url, width)
	if len(requests)+len(complaints) > 0 {
		t.Errorf("%d px: the page requested %q, the console has %q", width, requests, complaints)
	}
	for _, scheme := range []string{"light", "dark"} {
		b.media(t, "", scheme)
		for _, o := range b.look(t) {
			t.Errorf("%d px, %s: %s", width, scheme, o)
		}
	}
}

// checkEvidence selects each part of the picture, and follows the first finding of
// the part to where it is explained.
func (b *browser) checkEvidence(t *testing.T) {
	t.Helper()
	for _, href := range evaluate[[]string](t, b, look+"; partsOfPicture()") {
		at := evaluate[[]float64](t, b, look+fmt.Sprintf("; cornerOf(%q)", href))
		b.do(t, chromedp.MouseClickXY(at[0], at[1]))
		b.waitOpen(t, "a click on the part "+href, href)
		if finding := evaluate[string](t, b, look+fmt.Sprintf("; followFinding(%q)", href)); finding != "" {
			b.waitOpen(t, "a click on a finding of "+href, finding)
		}
	}
}

// waitOpen waits until the target of a link is shown.
func (b *browser) waitOpen(t *testing.T, after, href string) {
	t.Helper()
	wait(t, 30*time.Second, after, func(context.Context) error {
		if got := evaluate[string](t, b, look+fmt.Sprintf("; opened(%q)", href)); got != "shown" {
			return fmt.Errorf("%s is not open: %s", href, got)
		}
		return nil
	})
}

var pageOfPDF = regexp.MustCompile(`/Type\s*/Page\b`)

// checkPaper prints: what has to be selected on a screen is all on paper.
func (b *browser) checkPaper(t *testing.T) {
	t.Helper()
	b.media(t, "print", "dark")
	b.do(t, chromedp.EmulateViewport(700, 990)) // what A4 leaves between its margins
	for _, o := range append(b.look(t), evaluate[[]string](t, b, look+"; hiddenOnPaper()")...) {
		t.Errorf("on paper: %s", o)
	}
	pdf, err := chromedp.Run(b.ctx, chromedp.PrintToPDF(chromedp.PDFPreferCSSPageSize()))
	if err != nil {
		t.Fatalf("print: %v", err)
	}
	if n := len(pageOfPDF.FindAll(pdf, -1)); n < 1 || n > 25 {
		t.Errorf("printed on %d pages", n)
	}
}
