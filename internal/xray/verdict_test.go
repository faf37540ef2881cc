package xray

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

// externalEtcd moves the members to machines of their own.
func externalEtcd(e *evidence.Evidence) {
	for _, name := range []string{"cp-1", "cp-2", "cp-3"} {
		m := evidencetest.Machine(e, name)
		own := *m
		own.Name, own.Hostname = "etcd-"+name, "etcd-"+name
		own.Programs = slices.Clone(m.Programs[:1])
		own.Requests, own.Addresses = nil, nil
		e.Machines = append(e.Machines, &own)
		m.Etcd = nil
		evidencetest.DropProgram(e, name, evidence.EtcdServer)
	}
}

// Numbers are machines, whichever they are; absent is what is not known.
func TestVerdict(t *testing.T) {
	const absent = -9
	tests := []struct {
		name    string
		of      func() *evidence.Evidence
		change  func(*evidence.Evidence)
		number  int
		summary string // its beginning, up to what failed
		single  []string
	}{
		{"one load balancer", healthy(spec.Shared), nil, 0,
			"tolerates 1 control-plane node failure now (3 API servers, 3 etcd members, quorum 2); lb-1, the only load balancer, is a single point of failure", []string{"lb-1"}},
		{"two load balancers", healthy(spec.Shared), secondLB("keepalived"), 1,
			"tolerates 1 control-plane node failure now (3 API servers, 3 etcd members, quorum 2); 1 of 2 load balancers may fail", nil},
		{"two that do not take over", healthy(spec.Shared), secondLB(), 0,
			"tolerates 1 control-plane node failure now (3 API servers, 3 etcd members, quorum 2); lb-1, which has the load balancers' address for good, is a single point of failure", []string{"lb-1"}},
		{"one of two that may take over", healthy(spec.Shared), func(e *evidence.Evidence) {
			secondLB("keepalived")(e)
			evidencetest.DropMachine(e, "lb-2")
		}, 1, "tolerates 1 control-plane node failure now (3 API servers, 3 etcd members, quorum 2); whether another load balancer takes over from lb-1 was not seen", nil},
		{"somebody else's load balancer", evidencetest.Kubeadm, nil, 1,
			"tolerates 1 control-plane node failure now (3 API servers, 3 etcd members, quorum 2); what is behind 10.10.10.3:6443 was not seen", nil},
		{"no load balancer", evidencetest.Kubeadm, toFirstNode, 0,
			"tolerates 1 control-plane node failure now (3 API servers, 3 etcd members, quorum 2); cp-1, whose address all clients use, is a single point of failure", []string{"cp-1"}},
		{"etcd on machines of its own", healthy(spec.Shared), externalEtcd, 0,
			"tolerates 1 control-plane or etcd machine failure now (3 API servers, 3 etcd members, quorum 2); lb-1, the only load balancer, is a single point of failure", []string{"lb-1"}},
		{"a dead node", healthy(spec.Shared), func(e *evidence.Evidence) { evidencetest.Fail(e, "cp-3") }, 0,
			"tolerates no control-plane node failure now (2 of 3 API servers, 2 of 3 etcd members, quorum 2); lb-1, the only load balancer, is a single point of failure", []string{"cp-1", "cp-2", "lb-1"}},
		{"k0s is stopped on a node", evidencetest.K0s, k0sStopped("cp-2"), 0,
			"tolerates no control-plane node failure now (2 of 3 API servers, 2 of 3 etcd members, quorum 2); lb-1,", []string{"cp-1", "cp-3", "lb-1"}},
		{"a stopped API server", healthy(spec.Shared), apiServerStops, 0,
			"tolerates 1 control-plane node failure now (2 of 3 API servers, 3 etcd members, quorum 2); lb-1,", []string{"lb-1"}},
		{"no quorum", healthy(spec.Shared), func(e *evidence.Evidence) { evidencetest.Fail(e, "cp-3"); evidencetest.Fail(e, "cp-2") }, -1,
			"the API is not served: 1 of 3 etcd members serving, quorum 2; ", nil},
		{"a dead load balancer", healthy(spec.Shared), nobodyAtTheEndpoint, -1, "the API is not served: nobody answers at 10.10.10.3:6443; ", nil},
		{"a node that is alone", healthy(spec.Shared), leaveNodes("cp-1"), 0,
			"tolerates no control-plane node failure now (1 API server, 1 etcd member, quorum 1); lb-1,", []string{"cp-1", "lb-1"}},
		{"one member behind all API servers", evidencetest.Kubeadm, func(e *evidence.Evidence) {
			evidencetest.SetFlagEverywhere(e, evidence.APIServer, "etcd-servers", "https://10.10.10.12:2379")
		}, 0, "tolerates no control-plane node failure now (3 API servers, 3 etcd members, quorum 2); what is behind", []string{"cp-2"}},
		{"static pods through the API", apiOnlyKubeadm, nil, absent,
			"how many control-plane node failures are tolerated is not known: no etcd member was asked, which is done over SSH (3 API servers serving); what is behind 10.10.10.3:6443 was not seen", nil},
		{"k3s", evidencetest.K3s, nil, 0,
			"how many control-plane node failures are tolerated is not known: what k3s keeps its data in was not asked, for it does not say how (3 API servers serving); lb-1,", []string{"lb-1"}},
		{"units through the API", apiOnlyShared, nil, absent,
			"how many control-plane node failures are tolerated is not known: it was not seen whether the API server of cp-1, cp-2, cp-3 serves, and no etcd member was asked, which is done over SSH; what is behind 10.10.10.3:6443 was not seen", nil},
		{"a machine that refuses us", evidencetest.Kubeadm, func(e *evidence.Evidence) { refuse(e, "cp-3") }, absent,
			"how many control-plane node failures are tolerated is not known: it was not seen whether the etcd member of cp-3 serves (3 API servers serving); ", nil},
		{"files", folderShared, nil, absent,
			"how many failures are tolerated is not known: files do not show what serves (they are for 3 API servers, 3 etcd members and 1 load balancer)", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := test.of()
			if test.change != nil {
				test.change(e)
			}
			v := Evaluate(e, Options{}).Verdict
			number := absent
			if v.ToleratedFailures != nil {
				number = *v.ToleratedFailures
			}
			if number != test.number {
				t.Errorf("%d tolerated, want %d: %s", number, test.number, v.Summary)
			}
			if !strings.HasPrefix(v.Summary, test.summary) {
				t.Errorf("summary\n     %s\nwant %s", v.Summary, test.summary)
			}
			if got, want := list(v.SinglePoints), list(test.single); got != want {
				t.Errorf("single points %s, want %s", got, want)
			}
		})
	}
}

// What is somebody else's by the cluster file is said to be, and bears nothing that would be known.
func TestVerdictOfSomebodyElsesLoadBalancer(t *testing.T) {
	file := &spec.Cluster{}
	file.Spec.LoadBalancer.Kind = spec.ExternalBalancer
	report := Evaluate(evidencetest.Kubeadm(), Options{Expectation: Expectation{Cluster: file}})
	const says = "the load balancer at 10.10.10.3:6443 is somebody else's, and was not looked into"
	if v := report.Verdict; !strings.Contains(v.Summary, says) || v.ToleratedFailures == nil || *v.ToleratedFailures != 1 {
		t.Errorf("verdict is %+v", v)
	}
	if !slices.ContainsFunc(report.Findings, func(f Finding) bool {
		return f.Check == "lb-backends" && f.Status == Skip && strings.Contains(f.Observed, "is somebody else's by the cluster file, and was not looked into")
	}) {
		t.Error("lb-backends does not say why it is left out")
	}
}

// Each node with a load balancer of its own has no part that all depend on.
func TestVerdictOfLocalLoadBalancers(t *testing.T) {
	e := evidencetest.Healthy(spec.Shared)
	lb := evidencetest.Machine(e, "lb-1").LoadBalancer
	evidencetest.DropMachine(e, "lb-1")
	for _, m := range e.Machines {
		m.LoadBalancer = lb
		evidencetest.SetServer(e, m.Name, evidencetest.KubeletConf, "https://127.0.0.1:7443")
	}
	v := Evaluate(e, Options{}).Verdict
	if v.ToleratedFailures == nil || *v.ToleratedFailures != 1 || strings.Contains(v.Summary, "load balancer") {
		t.Errorf("want one, without a word of load balancers: %v, %s", v.ToleratedFailures, v.Summary)
	}
	if diff := cmp.Diff(map[string]int{"apiServers": 2, "etcdMembers": 1}, v.Tolerated); diff != "" {
		t.Errorf("tolerated (-want +got):\n%s", diff)
	}
}

// A load balancer of the cluster file that was not seen may or may not serve.
func TestVerdictOfUnseenLoadBalancer(t *testing.T) {
	e := evidencetest.Healthy(spec.Shared)
	cluster := *clusterFile
	cluster.Spec.Nodes = append(slices.Clone(clusterFile.Spec.Nodes), spec.Node{Name: "lb-2", Role: spec.RoleLoadBalancer})
	v := Evaluate(e, Options{Expectation: Expectation{Cluster: &cluster}}).Verdict
	if v.ToleratedFailures != nil {
		t.Errorf("%d tolerated, want it not to be known: %s", *v.ToleratedFailures, v.Summary)
	}
	if want := "; it was not seen whether the load balancer of lb-2 serves"; !strings.Contains(v.Summary, want) {
		t.Errorf("summary %q, want %q in it", v.Summary, want)
	}
}

// Scripts rely on the names, and on 0 being different from absent.
func TestVerdictInJSON(t *testing.T) {
	tests := []struct {
		of   func() *evidence.Evidence
		want map[string]any
	}{
		{healthy(spec.Shared), map[string]any{"identity": "shared", "toleratedFailures": 0.0}},
		{folderShared, map[string]any{"identity": "shared", "toleratedFailures": nil}},
	}
	for _, test := range tests {
		data, err := json.Marshal(Evaluate(test.of(), Options{}))
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Verdict map[string]any `json:"verdict"`
		}
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		for key, want := range test.want {
			if diff := cmp.Diff(want, got.Verdict[key]); diff != "" {
				t.Errorf("verdict.%s (-want +got):\n%s", key, diff)
			}
		}
		if s, _ := got.Verdict["summary"].(string); s == "" {
			t.Errorf("verdict.summary is %v", got.Verdict["summary"])
		}
	}
}
