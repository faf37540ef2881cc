package xray

import (
	"testing"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

// noCertificate has the API server on cp-2 not be told its certificate, but a folder for it.
func noCertificate(folder string) func(*evidence.Evidence) {
	return changes(setFlag("cp-2", server, "tls-cert-file", ""), setFlag("cp-2", server, "tls-private-key-file", ""), setFlag("cp-2", server, "cert-dir", folder))
}

// noRange has API servers that are not told a range of Services.
func noRange(e *evidence.Evidence) {
	for _, node := range everyServer {
		evidencetest.DropFlag(evidencetest.Program(e, node, evidence.APIServer), "service-cluster-ip-range")
	}
}

var defaultCases = []checkCase{
	{check: "kubernetes-service-ip", name: "no range is set", status: Fail, node: ",cp-1,cp-2,cp-3", says: "a certificate with 10.0.0.1", change: noRange},
	{check: "kubernetes-service-ip", name: "no range is set, in a folder", of: inFolder(evidencetest.Kubeadm), status: Fail, node: "cp-1,cp-2,cp-3", says: "10.0.0.1", change: noRange},
	{check: "serving-cert-names", name: "no range is set", of: inFolder(evidencetest.Kubeadm), status: Fail, node: "cp-1,cp-2,cp-3", says: "lacks 10.0.0.1", change: noRange},
	{check: "endpoint-reconciler", name: "the default before 1.11", of: evidencetest.Kubeadm, status: Warn, node: "cp-1,cp-2,cp-3", says: "master-count is the default before 1.11", change: atVersions("v1.10.3", "", "")},
	{check: "endpoint-reconciler", name: "the default since 1.11", of: evidencetest.Kubeadm, status: Pass, says: "lease is the default", change: atVersions("v1.11.0", "", "")},
	{check: "serving-cert-names", name: "no certificate is named", of: inFolder(evidencetest.Kubeadm), status: Warn, node: "cp-2", says: "it makes /var/run/kubernetes/apiserver.crt itself", change: noCertificate("")},
	{check: "serving-cert-names", name: "no certificate is named, and one is in the folder for it", of: inFolder(evidencetest.Kubeadm), status: Fail, node: "cp-2", says: "lacks 10.10.10.3, 10.96.0.1", change: changes(noCertificate("/srv"), func(e *evidence.Evidence) {
		evidencetest.SetCertificates(e, "cp-2", "/srv/apiserver.crt", evidencetest.Issue(evidencetest.Row{CA: evidencetest.OtherCA, CommonName: "10.10.10.12", Names: []string{"10.10.10.12"}}))
	})},
	{check: "advertise-address", name: "the address that it binds to", status: Fail, node: "cp-2", says: "--bind-address=10.10.10.12", change: changes(setFlag("cp-2", server, "advertise-address", ""), setFlag("cp-2", server, "bind-address", "10.10.10.12"))},
}

func TestServiceRange(t *testing.T) {
	e := evidencetest.Healthy(spec.Shared)
	noRange(e)
	if got := NewScene(e, Expectation{}).ServiceIP.String(); got != "10.0.0.1" {
		t.Errorf("without a range: %s", got)
	}
	evidencetest.SetFlagEverywhere(e, evidence.APIServer, "service-cluster-ip-range", "10.96.0.0/12")
	evidencetest.DropFlag(evidencetest.Program(e, "cp-1", evidence.APIServer), "service-cluster-ip-range")
	if got := NewScene(e, Expectation{}).ServiceIP.String(); got != "10.96.0.1" {
		t.Errorf("one of three without a range: %s", got)
	}
}
