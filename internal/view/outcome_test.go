package view

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/cluster"
)

func TestOutcome(t *testing.T) {
	measured := wholeOutcome()
	measured.Compared = false
	proved := wholeOutcome()
	proved.Report = nil
	for name, c := range map[string]struct {
		outcome *cluster.Outcome
		want    string
	}{
		"nothing was done": {&cluster.Outcome{Plan: &cluster.Plan{}}, ""},
		"certificates, nothing measured": {proved, `certificates: 2 changed on the nodes that stay, 40 are those from before
  cp-1:/etc/kubernetes/pki/apiserver.crt  a1a1a1a1a1a1a1a1 -> b2b2b2b2b2b2b2b2
  cp-2:/etc/kubernetes/kubelet.conf (client-certificate-data)  none -> c3c3c3c3c3c3c3c3
x-ray: 1 new failures
`},
		"no certificate changed": {&cluster.Outcome{Compared: true, CertificatesKept: 42, XRayed: true},
			"certificates: all 42 on the nodes that stay are those from before\nx-ray: no new failure\n"},
		"of a cluster that did not answer": {&cluster.Outcome{Compared: true, CertificatesKept: 42, CertificatesUnread: []string{"cp-2"}},
			"certificates: all 42 on the nodes that stay are those from before\ncertificates: could not be read, before or after, on cp-2\n" +
				"x-ray: none of before and after\n"},
		"measured, and cut off before the proof": {measured, `LANE     REQUESTS   FAILED   DEFERRED   LONGEST GAP   P50      P99      MAX
lb-new   240        1        0          80 ms         0.0 ms   0.0 ms   0.0 ms

WRITES  240 acknowledged, 0 of them lost

WATCH  240 events, 0 missed, delay p50 0.0 ms, p99 0.0 ms, max 0.0 ms; resumed 0 times, begun again 0 times

OUTAGES
  lb-new       10:00:00.000 for 0.0 ms+  1 failed, first: EOF

LATE  this process itself was late by up to 1000 ms; failed requests that were due or under way then: 0 of 1
  10:00:00.000 for 1000 ms

MARKS
  10:00:00.000  restart@cp-1/kube-apiserver

12.0 s, 0 requests a second; this process took 0.0 s of CPU, 0% of one

`},
	} {
		t.Run(name, func(t *testing.T) {
			var w bytes.Buffer
			Outcome(&w, c.outcome)
			if d := cmp.Diff(c.want, w.String()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// Scripts find what they look for: the proof stands behind the table.
func TestOutcomeHasTheProofLast(t *testing.T) {
	var w bytes.Buffer
	Outcome(&w, wholeOutcome())
	if lanes, proof := strings.Index(w.String(), "LANE "), strings.Index(w.String(), "\ncertificates: 2 changed"); lanes != 0 || proof < 0 {
		t.Errorf("the table is at %d, the proof at %d of:\n%s", lanes, proof, w.String())
	}
}
