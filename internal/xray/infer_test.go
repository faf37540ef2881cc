package xray

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

// advertise sets what the API server of cp-2 advertises.
func advertise(address string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		evidencetest.SetFlag(evidencetest.Program(e, "cp-2", evidence.APIServer), "advertise-address", address)
	}
}

// withoutAPI leaves what machines show.
func withoutAPI(e *evidence.Evidence) {
	e.API, e.Servers, e.Ways = nil, nil, []evidence.Way{evidence.Machines}
}

func TestIdentityIsInferred(t *testing.T) {
	tests := []struct {
		name   string
		of     func() *evidence.Evidence
		change func(*evidence.Evidence)
		want   spec.Identity
		tell   string // part of what tells it
	}{
		{"shared", healthy(spec.Shared), nil, spec.Shared, "cp-1 advertises 10.10.10.3, under which clients reach the API"},
		{"perNode", healthy(spec.PerNode), nil, spec.PerNode, "its certificate has 10.10.10.11"},
		{"sharedCertificate", healthy(spec.SharedCertificate), nil, spec.SharedCertificate, "none of its machine's addresses"},
		{"kubeadm", evidencetest.Kubeadm, nil, spec.PerNode, "its certificate has 10.10.10.12"},
		{"shared, machines alone", healthy(spec.Shared), withoutAPI, spec.Shared, "advertises 10.10.10.3"},
		{"the address of the load balancer is on a node now", healthy(spec.Shared), func(e *evidence.Evidence) {
			m := evidencetest.Machine(e, "cp-1")
			m.Addresses = append(m.Addresses, evidencetest.Machine(e, "lb-1").Addresses...)
		}, spec.Shared, "cp-1 advertises 10.10.10.3"},
		{"no flag", healthy(spec.PerNode), func(e *evidence.Evidence) {
			evidencetest.DropFlag(evidencetest.Program(e, "cp-2", evidence.APIServer), "advertise-address")
		}, spec.PerNode, "cp-2 advertises its own address (no --advertise-address)"},
		{"one advertises its own", healthy(spec.Shared), advertise("10.10.10.12"), Mixed, "cp-2 advertises its own address 10.10.10.12"},
		{"one advertises no address", healthy(spec.Shared), advertise("cp-2"), spec.Shared, "cp-1"},
		{"one presents a certificate of its own", healthy(spec.SharedCertificate), func(e *evidence.Evidence) {
			evidencetest.Reissue(e, "cp-2", evidencetest.ServingCert, func(r *evidencetest.Row) { r.Names = append(r.Names, "10.10.10.12") })
		}, Mixed, "its certificate has 10.10.10.12"},
		{"files, shared", func() *evidence.Evidence { return evidencetest.Folder(evidencetest.Healthy(spec.Shared)) }, nil, spec.Shared, "10.10.10.3"},
		{"files, perNode", func() *evidence.Evidence { return evidencetest.Folder(evidencetest.Healthy(spec.PerNode)) }, nil, spec.PerNode, "10.10.10.13"},
		{"files, sharedCertificate", func() *evidence.Evidence { return evidencetest.Folder(evidencetest.Healthy(spec.SharedCertificate)) }, nil, spec.SharedCertificate, "none"},
		{"files, kubeadm", func() *evidence.Evidence { return evidencetest.Folder(evidencetest.Kubeadm()) }, nil, spec.PerNode, "10.10.10.13"},
		{"the API, shared", apiOnlyShared, nil, spec.Shared, "the only endpoint of default/kubernetes is 10.10.10.3"},
		{"the API, perNode", func() *evidence.Evidence { return evidencetest.APIOnly(evidencetest.Healthy(spec.PerNode)) }, nil, spec.PerNode, "has one of them"},
		{"the API, sharedCertificate", func() *evidence.Evidence { return evidencetest.APIOnly(evidencetest.Healthy(spec.SharedCertificate)) }, nil, spec.SharedCertificate, "has none of them"},
		{"the API, kubeadm", apiOnlyKubeadm, func(e *evidence.Evidence) { e.Machines = nil }, spec.PerNode, "has one of them"},
		{"the API, no endpoints", apiOnlyShared, func(e *evidence.Evidence) { e.API.Endpoints, e.API.Slices = evidencetest.Endpoints(6443) }, "", ""},
		{"the API, nobody answers behind it", func() *evidence.Evidence { return evidencetest.APIOnly(evidencetest.Healthy(spec.PerNode)) }, func(e *evidence.Evidence) {
			e.Servers = nil
		}, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := test.of()
			if test.change != nil {
				test.change(e)
			}
			got := NewScene(e, Expectation{}).Identity
			if tells := strings.Join(got.Tells, "; "); got.Identity != test.want || !strings.Contains(tells, test.tell) {
				t.Errorf("identity %q, want %q told by %q: %s", got.Identity, test.want, test.tell, tells)
			}
		})
	}
}

func TestMixedIdentity(t *testing.T) {
	e := evidencetest.Healthy(spec.Shared)
	evidencetest.Reissue(e, "cp-2", evidencetest.ServingCert, func(r *evidencetest.Row) { r.Names = append(r.Names, "10.10.10.12") })
	advertise("10.10.10.12")(e)
	s := NewScene(e, Expectation{})
	want := map[string]spec.Identity{"cp-1": spec.Shared, "cp-2": spec.PerNode, "cp-3": spec.Shared}
	if diff := cmp.Diff(want, s.Identity.ByNode); diff != "" {
		t.Errorf("by node (-want +got):\n%s", diff)
	}
	r := Evaluate(e, Options{})
	if r.Verdict.Identity != Mixed || len(r.Verdict.IdentityTells) != 3 {
		t.Errorf("verdict %q, told by %q; want %q and each of three", r.Verdict.Identity, r.Verdict.IdentityTells, Mixed)
	}
	if err := (checkCase{status: Fail, node: "cp-2", says: "10.10.10.12"}).judge(mustFind(t, "advertise-address").findings(s)); err != nil {
		t.Error(err)
	}
}

func mustFind(t *testing.T, id string) Check {
	t.Helper()
	c, ok := Find(id)
	if !ok {
		t.Fatalf("no check %s", id)
	}
	return c
}

// The user's word goes before the cluster file's, that before what most are.
func TestExpectedIdentity(t *testing.T) {
	ofFile := &spec.Cluster{Spec: spec.Spec{Identity: spec.SharedCertificate}}
	tests := []struct {
		name   string
		change func(*evidence.Evidence)
		expect Expectation
		want   spec.Identity
	}{
		{"what it is", nil, Expectation{}, spec.Shared},
		{"what the user says", nil, Expectation{Identity: spec.PerNode, Cluster: ofFile}, spec.PerNode},
		{"what the cluster file says", nil, Expectation{Cluster: ofFile}, spec.SharedCertificate},
		{"what two of three are", advertise("10.10.10.12"), Expectation{}, spec.Shared},
		{"no majority", changes(leaveNodes("cp-1", "cp-2"), advertise("10.10.10.12")), Expectation{}, Mixed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := evidencetest.Healthy(spec.Shared)
			if test.change != nil {
				test.change(e)
			}
			if got := NewScene(e, test.expect).ExpectedIdentity(); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
