package xrayhtml

import (
	"slices"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/view/xrayhtml/xrayhtmltest"
)

// The page has these elements and attributes and no others, whatever a machine or
// the API puts into names: nothing runs, nothing loads.
var (
	elementsOfPages = strings.Fields(`html head meta title style body header main footer section article figure figcaption
		h1 h2 h3 h4 p div span b i small code cite time bdi ul li dl dt dd details summary a svg g rect path text desc`)
	attributesOfPages = strings.Fields(`lang charset http-equiv content name class id href rel title role tabindex viewBox
		width height x y rx d data-id aria-label aria-hidden aria-labelledby`)
)

func TestPagesHaveKnownMarkupOnly(t *testing.T) {
	for _, c := range cases() {
		for _, e := range read(t, c.Report) {
			if !slices.Contains(elementsOfPages, e.Name.Local) {
				t.Errorf("%s: there is a <%s> in the page: %s", c.Name, e.Name.Local, e.text)
			}
			for _, a := range e.Attr {
				if !slices.Contains(attributesOfPages, a.Name.Local) {
					t.Errorf("%s: <%s> has an attribute %s=%q", c.Name, e.Name.Local, a.Name.Local, a.Value)
				}
			}
		}
	}
}

// Links lead into the page, where there is one target each, or to the source of a
// check, which learns nothing of where the reader came from.
func TestLinksLeadSomewhere(t *testing.T) {
	for _, c := range cases() {
		elements := read(t, c.Report)
		ids := map[string]int{}
		for _, e := range elements {
			if id := e.attr("id"); id != "" {
				ids[id]++
			}
		}
		for id, n := range ids {
			if n > 1 {
				t.Errorf("%s: %d elements have the ID %s", c.Name, n, id)
			}
		}
		for _, e := range elements {
			href := e.attr("href")
			anchor, inside := strings.CutPrefix(href, "#")
			switch {
			case href == "":
			case inside && ids[anchor] != 1:
				t.Errorf("%s: nothing has the ID of the link %s", c.Name, href)
			case !inside && (!strings.HasPrefix(href, "https://") || e.attr("rel") != "noreferrer noopener"):
				t.Errorf("%s: link to %s, rel %q", c.Name, href, e.attr("rel"))
			}
		}
	}
}

// Markup is shown as it was seen.
func TestHostileNamesAreText(t *testing.T) {
	elements := read(t, caseOf(t, "hostile").Report)
	title := slices.IndexFunc(elements, func(e element) bool {
		return e.Name.Local == "h2" && strings.Contains(e.text, xrayhtmltest.Markup)
	})
	if title < 0 {
		t.Errorf("no part has the title %s", xrayhtmltest.Markup)
	}
	for _, e := range elements {
		if i := strings.IndexFunc(e.text, func(r rune) bool { return r == '\u202e' || r < ' ' && r != '\n' }); i >= 0 {
			t.Errorf("<%s> has %q", e.Name.Local, e.text[i:min(len(e.text), i+20)])
		}
	}
}

// What is drawn of a part is looked up from the picture: each opens its evidence.
func TestPartsOpenTheirEvidence(t *testing.T) {
	for _, c := range cases() {
		p := newPage(c.Report)
		for _, d := range p.Drawings {
			for _, part := range p.Parts {
				if len(part.Bad()) > 0 && part != p.Whole && !opens(d.Boxes, part.Anchor) {
					t.Errorf("%s, %s: no box opens %s", c.Name, d.Name, part.Name)
				}
			}
		}
	}
}

func opens(boxes []box, anchor string) bool {
	return slices.ContainsFunc(boxes, func(b box) bool { return b.Href == anchor || opens(b.Inner, anchor) })
}

func TestAnchorsDiffer(t *testing.T) {
	var ps parts
	seen := map[string]string{}
	for _, name := range []string{"cp-1", "CP-1", "cp.1", "cp 1", "", "漢字", "漢", strings.Repeat("endless", 20), strings.Repeat("endless", 21)} {
		anchor := ps.get(name).Anchor
		if other, taken := seen[anchor]; taken {
			t.Errorf("%q and %q have the anchor %s", name, other, anchor)
		}
		if strings.Trim(anchor, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			t.Errorf("%q has the anchor %q", name, anchor)
		}
		seen[anchor] = name
	}
}
