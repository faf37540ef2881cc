package cluster

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/look"
)

func TestCompareCertificates(t *testing.T) {
	at := func(path, fingerprint string) look.Certificate {
		return look.Certificate{Path: path, Fingerprint: fingerprint}
	}
	before := map[string][]look.Certificate{
		"cp-1": {at("/a", "1"), at("/b", "2")},
		"cp-2": {at("/a", "1"), at("/old", "3")},
		"cp-3": {at("/a", "1")}, // leaves
		"cp-9": nil,             // off before and after
	}
	for name, c := range map[string]struct {
		after   map[string][]look.Certificate
		changed []string
		kept    int
	}{
		"the same": {map[string][]look.Certificate{"cp-1": before["cp-1"], "cp-2": before["cp-2"], "cp-4": {at("/a", "1")}}, nil, 4},
		"one in its place, one more, one less": {map[string][]look.Certificate{"cp-1": {at("/a", "1"), at("/b", "5"), at("/c", "6")}, "cp-2": {at("/a", "1")}},
			[]string{"cp-1:/b 2 5", "cp-1:/c  6", "cp-2:/old 3 "}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			o := &Outcome{}
			o.compare(before, c.after)
			var changed []string
			for _, d := range o.Certificates {
				changed = append(changed, d.Node+":"+d.Path+" "+d.Before.Fingerprint+" "+d.After.Fingerprint)
			}
			if d := cmp.Diff(c.changed, changed); d != "" || !o.Compared || o.CertificatesKept != c.kept {
				t.Errorf("compared %v, %d kept, want %d; changed (-want +got):\n%s", o.Compared, o.CertificatesKept, c.kept, d)
			}
			if data, err := json.Marshal(o.Certificates); err != nil || strings.Contains(string(data), "null") {
				t.Errorf("%s, %v: scripts read a list", data, err)
			}
		})
	}
}

func TestAnEmptyPlanHasNoNull(t *testing.T) {
	data, err := json.Marshal(newPlan())
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"steps":[],"warnings":[],"files":[],"keys":[],"reissue":[],"objects":[]}`; string(data) != want {
		t.Errorf("got %s, want %s", data, want)
	}
}
