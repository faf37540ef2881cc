package view

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/cluster"
)

const wholePlanText = `warning: a change was cut off
ETCD NOW: 3 voters, 2 healthy, tolerates 0
STEPS: 4
   1  issue-certificates                   certificate apiserver-cp-4: there is none
   2  member-promote@cp-4                  spec.nodes[cp-4]: control-plane 10.10.10.14
                                           etcd: 3 voters, tolerates 1 -> 4 voters, tolerates 1
   3  restart@cp-1/kube-apiserver          kube-apiserver; flag v: 2 -> 3
   4  lb-backends@lb-1                     to cp-1, cp-4
certificates reissued: 1; keys and certificates made: 1

KEYS AND CERTIFICATES TO MAKE: 2
  apiserver-cp-4                 there is none
  apiserver-cp-1                 ends in 9 days
                                 serial a1 -> b1

FILES TO WRITE: 2, TO REMOVE: 1
  changed cp-1:/etc/kubernetes/apiserver.yaml
-x
+y
  new     cp-4:/etc/kubernetes/pki/apiserver.key
  removed cp-1:/etc/old

OBJECTS TO APPLY: 1
  changed Deployment kube-system/coredns
`

func TestPlanOfAChange(t *testing.T) {
	for name, c := range map[string]struct {
		plan *cluster.Plan
		want string
	}{
		"with everything": {wholePlan(), wholePlanText},
		"nothing to do": {&cluster.Plan{Etcd: &change.Tolerance{Voters: 1, Healthy: 1}}, `nothing to do
`},
		"nothing to do, and a warning": {&cluster.Plan{Warnings: []string{"2 etcd members tolerate no failure"}}, `warning: 2 etcd members tolerate no failure
nothing to do
`},
		"no certificate, and one that cannot be left": {
			&cluster.Plan{Etcd: &change.Tolerance{Voters: 1, Healthy: 1}, Steps: []change.Step{
				{ID: "stop@worker-1", Verb: change.Stop, Node: "worker-1", Units: []string{"*"}, Why: []change.Reason{{What: "spec.nodes[worker-1]", Old: "worker 10.10.10.21"}}},
				{ID: "lb-backends@lb-1", Verb: change.SetBackends, Node: "lb-1"}}},
			`ETCD NOW: 1 voter, tolerates 0
STEPS: 2
   1  stop@worker-1                        spec.nodes[worker-1]: was worker 10.10.10.21
   2  lb-backends@lb-1
certificates reissued: none

KEYS AND CERTIFICATES TO MAKE: 0

FILES TO WRITE: 0

OBJECTS TO APPLY: 0
`},
	} {
		t.Run(name, func(t *testing.T) {
			var w bytes.Buffer
			Plan(&w, c.plan)
			if d := cmp.Diff(c.want, w.String()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// What is asked about is short: no differences of files.
func TestSteps(t *testing.T) {
	var w bytes.Buffer
	Steps(&w, wholePlan())
	want, _, _ := bytes.Cut([]byte(wholePlanText), []byte("\n\n"))
	if d := cmp.Diff(string(want)+"\n", w.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
