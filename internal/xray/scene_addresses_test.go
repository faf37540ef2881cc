package xray

import (
	"slices"
	"testing"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

// Where etcd is elsewhere, files tell a machine's address by its API server alone.
func TestBackendsOfFilesWithExternalEtcd(t *testing.T) {
	external := func() *evidence.Evidence {
		e := evidencetest.Folder(evidencetest.Healthy(spec.PerNode))
		for _, name := range []string{"cp-1", "cp-2", "cp-3"} {
			evidencetest.DropProgram(e, name, evidence.EtcdServer)
			evidencetest.DropFlag(evidencetest.Program(e, name, evidence.Kubelet), "node-ip")
		}
		return e
	}
	without := func(e *evidence.Evidence) {
		lb := evidencetest.Machine(e, "lb-1").LoadBalancer
		lb.Backends = slices.DeleteFunc(lb.Backends, func(b evidence.Backend) bool { return b.Name == "cp-3" })
	}
	tests := []struct {
		name   string
		change func(*evidence.Evidence)
		want   checkCase
	}{
		{"healthy", func(*evidence.Evidence) {}, checkCase{status: Pass, says: "cp-3 (10.10.10.13:6443)"}},
		{"one is missing", without, checkCase{status: Fail, node: "lb-1", says: "cp-3 (10.10.10.13:6443)"}},
		{"it is in the certificate alone", func(e *evidence.Evidence) {
			without(e)
			for _, name := range []string{"cp-1", "cp-2", "cp-3"} {
				own := evidencetest.Program(e, name, evidence.APIServer).FlagOr("advertise-address", "")
				evidencetest.DropFlag(evidencetest.Program(e, name, evidence.APIServer), "advertise-address")
				evidencetest.Reissue(e, name, evidencetest.ServingCert, func(r *evidencetest.Row) {
					r.Names = []string{own, evidencetest.LoadBalancerAddress, evidencetest.ServiceIP}
				})
			}
		}, checkCase{status: Fail, node: "lb-1", says: "cp-3 (10.10.10.13:6443)"}},
		{"all share one address", func(e *evidence.Evidence) {
			evidencetest.SetFlagEverywhere(e, evidence.APIServer, "advertise-address", evidencetest.LoadBalancerAddress)
			for _, m := range e.Machines {
				if certs, ok := e.Machines[0].Certificates[evidencetest.ServingCert]; ok && m.Program(evidence.APIServer) != nil {
					m.Certificates[evidencetest.ServingCert] = certs
				}
			}
			without(e)
		}, checkCase{status: Skip, says: "addresses are not known"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := external()
			test.change(e)
			findings := lbBackends(NewScene(e, Expectation{}))
			if err := test.want.judge(findings); err != nil {
				t.Errorf("%v\n%s", err, show(findings))
			}
		})
	}
}
