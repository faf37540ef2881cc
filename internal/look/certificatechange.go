package look

import (
	"cmp"
	"slices"
)

// A CertificateChange is what lay in one place before and after. Before is zero
// for one that was added, After for one that was removed.
type CertificateChange struct {
	Node string `json:"node"`
	Path string `json:"path"`
	// Part tells the certificates of one file apart: empty for its first one, else such
	// as 2, client-certificate-data or certificate-authority-data 2.
	Part   string      `json:"part,omitempty"`
	Before Certificate `json:"before,omitempty,omitzero"`
	After  Certificate `json:"after,omitempty,omitzero"`
}

type place struct{ node, path, part string }

// CompareCertificates tells in which places the certificates of nodes differ, by
// fingerprint, sorted by node, path and part. A node that joins has its first
// certificates and one that leaves takes its own away: neither counts as added or removed.
// A certificate that was replaced in its place counts on every node.
func CompareCertificates(before, after map[string][]Certificate, leaving, joining []string) (changed, added, removed []CertificateChange) {
	was, is := byPlace(before), byPlace(after)
	for p, old := range was {
		now, there := is[p]
		switch {
		case !there && !slices.Contains(leaving, p.node):
			removed = append(removed, CertificateChange{p.node, p.path, p.part, old, now})
		case there && now.Fingerprint != old.Fingerprint:
			changed = append(changed, CertificateChange{p.node, p.path, p.part, old, now})
		}
	}
	for p, now := range is {
		if old, there := was[p]; !there && !slices.Contains(joining, p.node) {
			added = append(added, CertificateChange{p.node, p.path, p.part, old, now})
		}
	}
	for _, list := range [][]CertificateChange{changed, added, removed} {
		slices.SortFunc(list, func(a, b CertificateChange) int {
			return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Part, b.Part))
		})
	}
	return changed, added, removed
}

func byPlace(nodes map[string][]Certificate) map[place]Certificate {
	places := map[place]Certificate{}
	for node, list := range nodes {
		for _, c := range list {
			places[place{node, c.Path, c.Part}] = c
		}
	}
	return places
}
