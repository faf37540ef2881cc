package xrayhtml

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/haplane/haplane/internal/xray"
)

// Places for what is about no single node.
const (
	wholeCluster  = "the whole cluster"
	theService    = "Service kubernetes"
	loadBalancing = "load balancing"
	wholeEtcd     = "etcd as a whole"
	manyWorkers   = "worker nodes"
)

// A part is something in the picture with all that was found there.
type part struct {
	Name     string
	Anchor   string
	Roles    []string
	Facts    []fact
	Findings []xray.Finding
}

// A fact is something that was seen, in a list of its own.
type fact struct {
	Name   string
	Values []string
}

func (p *part) role(r string) {
	if !slices.Contains(p.Roles, r) {
		p.Roles = append(p.Roles, r)
	}
}

// fact adds what is known; nothing where no value is.
func (p *part) fact(name string, values ...string) {
	values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
	if len(values) > 0 {
		p.Facts = append(p.Facts, fact{name, values})
	}
}

// Bad are its findings that are neither passed nor skipped, as they were found.
func (p *part) Bad() []xray.Finding { return ofStatus(p.Findings, troubles...) }

// Passed and Skipped are the others.
func (p *part) Passed() []xray.Finding  { return ofStatus(p.Findings, xray.Pass) }
func (p *part) Skipped() []xray.Finding { return ofStatus(p.Findings, xray.Skip) }

// Tally counts its findings.
func (p *part) Tally() []count { return tally(p.Findings) }

// Marks counts those that somebody has to look at.
func (p *part) Marks() []count { return tally(p.Bad()) }

// Title is the accessible name of its link.
func (p *part) Title() string {
	text := p.Name
	if len(p.Roles) > 0 {
		text += ", " + strings.Join(p.Roles, ", ")
	}
	if bad := p.Marks(); len(bad) > 0 {
		return text + ": " + said(bad)
	}
	return text
}

// parts finds the part of a name. A name that it does not know becomes one.
type parts struct {
	list    []*part
	anchors map[string]bool
}

func (ps *parts) get(name string) *part {
	for _, p := range ps.list {
		if p.Name == name {
			return p
		}
	}
	p := &part{Name: name, Anchor: ps.anchor(name)}
	ps.list = append(ps.list, p)
	return p
}

func (ps *parts) has(name string) bool {
	return slices.ContainsFunc(ps.list, func(p *part) bool { return p.Name == name })
}

// anchor makes a name fit for an address. Two names never have the same.
func (ps *parts) anchor(name string) string {
	slug := strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return unicode.ToLower(r)
		}
		return '-'
	}, name)
	base := "at-" + strings.Trim(slug[:min(len(slug), 40)], "-")
	out := base
	for n := 2; ps.anchors[out]; n++ {
		out = fmt.Sprintf("%s-%d", base, n)
	}
	if ps.anchors == nil {
		ps.anchors = map[string]bool{}
	}
	ps.anchors[out] = true
	return out
}

// place is the name of the part that a finding is shown at.
func place(f xray.Finding) string {
	switch {
	case f.Node != "":
		return f.Node
	case strings.HasPrefix(f.Check, "kubernetes-service"), strings.HasPrefix(f.Check, "endpoint-"):
		return theService
	case f.Subject == xray.LoadBalancer:
		return loadBalancing
	case f.Subject == xray.Etcd:
		return wholeEtcd
	}
	return wholeCluster
}
