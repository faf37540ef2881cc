package spec

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDefaultIsTheArticlesDemo(t *testing.T) {
	c := Default("demo")
	if errs := Validate(c); len(errs) > 0 {
		t.Fatal(errs)
	}
	want := []Node{
		{"cp-1", RoleControlPlane, "10.10.10.11"},
		{"cp-2", RoleControlPlane, "10.10.10.12"},
		{"cp-3", RoleControlPlane, "10.10.10.13"},
		{"worker-1", RoleWorker, "10.10.10.21"},
		{"lb-1", RoleLoadBalancer, "10.10.10.3"},
	}
	if diff := cmp.Diff(want, c.Spec.Nodes); diff != "" {
		t.Error(diff)
	}
	if c.Spec.LoadBalancer.Address != "10.10.10.3" || c.Spec.LoadBalancer.Port != 6443 {
		t.Errorf("load balancer %+v", c.Spec.LoadBalancer)
	}
	if c.Spec.Identity != Shared || c.Spec.EndpointReconciler != ReconcilerNone || !*c.Spec.Network.NAT {
		t.Errorf("defaults %+v", c.Spec)
	}
}

const head = "apiVersion: haplane/v1alpha1\nkind: Cluster\n"

func TestParse(t *testing.T) {
	c, err := Parse("f.yaml", []byte(head+`
metadata: {name: blue}
spec:
  loadBalancer: {address: 10.9.0.200}
  network: {machineCIDR: 10.9.0.0/24, nat: false}
  nodes:
  - role: control-plane
  - {role: worker, name: big, address: 10.9.0.77}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := []Node{
		{"cp-1", RoleControlPlane, "10.9.0.11"},
		{"big", RoleWorker, "10.9.0.77"},
		{"lb-1", RoleLoadBalancer, "10.9.0.200"},
	}
	if diff := cmp.Diff(want, c.Spec.Nodes); diff != "" {
		t.Error(diff)
	}
	if *c.Spec.Network.NAT {
		t.Error("nat: false was lost")
	}
}

func TestParseReportsEveryProblemWithItsPath(t *testing.T) {
	tests := map[string]struct {
		file string
		want []string // one for each line of the error
	}{
		"empty":       {"", []string{"is empty"}},
		"not YAML":    {"a: [", []string{"not valid YAML"}},
		"not a map":   {"- a", []string{"is not a mapping"}},
		"same key":    {head + "spec: {}\nspec: {}\n", []string{`key "spec" already set`}},
		"api version": {"kind: Cluster", []string{`apiVersion: Required value: must be "haplane/v1alpha1"`}},
		"unknown fields and wrong types": {
			head + "spec:\n  identiy: shared\n  loadBalancer: {port: high}\n  nodes: [{role: 1}, x]\n  network: {nat: 3}\n",
			[]string{`spec.identiy: Invalid value: unknown field; did you mean "identity"?`,
				`spec.loadBalancer.port: Invalid value: "high": must be a whole number`,
				`spec.network.nat: Invalid value: 3: must be true or false`,
				"spec.nodes[0].role", "spec.nodes[1]: Invalid value"},
		},
		"identity": {head + "spec: {identity: twin}", []string{`spec.identity: Invalid value: "twin"`}},
		"reconciler none without an owner": {head + "spec: {identity: perNode, endpointReconciler: none}",
			[]string{"nobody would write the endpoints"}},
		"networks": {head + "spec: {network: {machineCIDR: 10.10.10.7/24, podCIDR: 10.0.0.0/8, serviceCIDR: fd00::/108, dnsDomain: -}}",
			[]string{`did you mean "10.10.10.0/24"?`, "serviceCIDR: Invalid value: \"fd00::/108\": is IPv6, but machineCIDR is IPv4", "dnsDomain"}},
		"overlap with a default": {head + "spec: {network: {podCIDR: 10.96.0.0/16}}",
			[]string{"spec.network.podCIDR: Invalid value: \"10.96.0.0/16\": overlaps with serviceCIDR, by default (10.96.0.0/12)"}},
		"a default that overlaps": {head + "spec: {network: {machineCIDR: 10.244.7.0/24}}",
			[]string{"spec.network.machineCIDR: Invalid value: \"10.244.7.0/24\": overlaps with podCIDR, by default (10.244.0.0/16)"}},
		"overlap": {head + "spec: {network: {podCIDR: 10.8.0.0/16, serviceCIDR: 10.8.4.0/24}}",
			[]string{"spec.network.serviceCIDR: Invalid value: \"10.8.4.0/24\": overlaps with podCIDR (10.8.0.0/16)"}},
		"nodes": {head + `spec:
  nodes:
  - {role: worker, name: a, address: 10.10.10.255}
  - {role: worker, name: a, address: 10.10.11.1}
  - {role: worker, name: UP, address: x}
  - {role: worker, name: b, address: 10.10.10.1}
  - {role: worker, name: c, address: 10.10.10.3}
  - {role: worker, name: d, address: 10.10.10.3}
  - {role: master}
`, []string{"broadcast", "nodes[0] has this name", "outside of spec.network.machineCIDR", "has capital letters", "must be an IP address",
			"host's own", "spec.nodes[6].role", "node c has this address"}}, // nobody knows what the seventh was to be
		"no control-plane node": {head + "spec: {nodes: [{role: worker}]}", []string{"spec.nodes: Required value: at least one node with role \"control-plane\" (line 3)"}},

		"authorities": {head + "spec: {certificates: {externalCA: [ca, kubernetes, ca]}}",
			[]string{`spec.certificates.externalCA[1]: Invalid value: "kubernetes": must be "ca" or "etcd-ca" or "front-proxy-ca"`, "spec.certificates.externalCA[2]: Duplicate value"}},
		"name": {head + "metadata: {name: a-name-that-is-much-too-long}", []string{"metadata.name: Too long"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("f.yaml", []byte(test.file))
			if err == nil {
				t.Fatal("no error")
			}
			t.Log(err)
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no line with %q in:\n%v", want, err)
				}
			}
			if lines := strings.Split(err.Error(), "\n"); len(lines) != len(test.want) {
				t.Errorf("%d lines, want %d:\n%v", len(lines), len(test.want), err)
			}
		})
	}
}
