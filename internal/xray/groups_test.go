package xray

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFindingsAreGroupedWorstFirst(t *testing.T) {
	var findings []Finding
	for _, text := range []string{
		"network a skip", "network a pass", "network b skip", // judged in part, and not at all
		"etcd c pass", "etcd d warn", "etcd d error", "etcd e warn", "etcd d pass",
		"nodes f new", // one that is not known yet
		"certificates g pass", "certificates h fail",
	} {
		word := strings.Fields(text)
		findings = append(findings, Finding{Subject: Subject(word[0]), Check: word[1], Status: Status(word[2])})
	}
	var got []string
	for _, g := range Grouped(findings) {
		for _, c := range g.Checks {
			got = append(got, fmt.Sprint(g.Subject, " ", c.Check, " ", c.Status, " ", len(c.Findings)))
		}
	}
	want := []string{
		"certificates h fail 1", "certificates g pass 1",
		"etcd d error 3", "etcd e warn 1", "etcd c pass 1",
		"nodes f new 1",
		"network a pass 2", "network b skip 1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
