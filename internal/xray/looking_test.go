package xray

import (
	"testing"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

func alsoMissing(m evidence.Missing) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { e.Missing = append(e.Missing, m) }
}

func garbageKubeconfig(e *evidence.Evidence) {
	m := evidencetest.Machine(e, "worker-1")
	m.Kubeconfigs[evidencetest.KubeProxyConf] = evidence.Kubeconfig{Path: evidencetest.KubeProxyConf, Err: "yaml: line 3: did not find expected node content"}
	m.Certificates[evidencetest.KubeProxyConf] = []evidence.Certificate{{Err: "no certificate"}}
}

func garbageCertificate(e *evidence.Evidence) {
	evidencetest.Machine(e, "cp-2").Certificates[evidencetest.ServingCert] = []evidence.Certificate{{Err: "x509: malformed certificate"}, {Err: "x509: trailing data"}}
}

func silentMember(e *evidence.Evidence) {
	m := evidencetest.Machine(e, "cp-3")
	m.Etcd = &evidence.Etcd{Endpoint: m.Etcd.Endpoint, Err: "remote error: tls: bad certificate"}
}

var lookingCases = []checkCase{
	{check: "evidence-complete", name: "healthy", status: Pass, says: "5 machines and the API"},
	{check: "evidence-complete", name: "through the API alone", of: apiOnlyShared, status: Pass, says: "nothing is missing of the API"},
	{check: "evidence-complete", name: "files alone", of: folderShared, status: Pass, says: "nothing is missing of 5 machines"},
	{check: "evidence-complete", name: "a machine without power", status: Error, node: "worker-1", says: "i/o timeout | Start the machine", change: func(e *evidence.Evidence) { evidencetest.Fail(e, "worker-1") }},
	{check: "evidence-complete", name: "the API hangs", status: Error, says: "no answer within 10s", change: alsoMissing(evidence.Missing{Way: evidence.API, Source: "nodes", Err: "no answer within 10s", Fix: "x"})},
	{check: "evidence-complete", name: "missing without a fix", status: Error, node: "cp-1", says: "look again", change: alsoMissing(evidence.Missing{Way: evidence.Machines, Node: "cp-1", Source: "/etc/x", Err: "permission denied"})},
	{check: "evidence-complete", name: "a garbage kubeconfig", status: Error, node: "worker-1", says: "line 3", change: garbageKubeconfig},
	{check: "evidence-complete", name: "a garbage certificate", status: Error, node: "cp-2", says: "malformed", change: garbageCertificate},
	{check: "evidence-complete", name: "the load balancer's configuration", status: Error, node: "lb-1", says: "permission denied", change: withLB(func(lb *evidence.LoadBalancer) { lb.Err = "permission denied" })},
	{check: "evidence-complete", name: "etcd does not let us in", status: Error, node: "cp-3", says: "bad certificate", change: silentMember},
	{check: "evidence-complete", name: "a copy lacks files", of: folderShared, status: Warn, node: "cp-2", says: "not in the copy, and so not judged: /var/lib/kubelet/config.yaml, /x", change: func(e *evidence.Evidence) {
		evidencetest.Machine(e, "cp-2").Unjudged = []evidence.Unjudged{{Source: "/var/lib/kubelet/config.yaml", Why: evidence.NotInCopy}, {Source: "/x", Why: evidence.NotInCopy}}
	}},
	{check: "evidence-complete", name: "a unit is disabled", of: folderShared, status: Warn, node: "lb-1", says: "haproxy.service is not enabled", change: func(e *evidence.Evidence) {
		evidencetest.Machine(e, "lb-1").Unjudged = []evidence.Unjudged{{Source: "/etc/haproxy/haproxy.cfg", Why: "haproxy.service is not enabled"}}
	}},
	{check: "evidence-complete", name: "etcd elsewhere, and nobody looked there", of: etcdElsewhere, status: Skip, says: "etcd at 10.10.10.31, 10.10.10.32, 10.10.10.33, which API servers or other members name", change: func(e *evidence.Evidence) {
		for _, name := range []string{"etcd-1", "etcd-2", "etcd-3"} {
			evidencetest.DropMachine(e, name)
		}
	}},
	{check: "evidence-complete", name: "a member that others name", of: folderShared, status: Skip, says: "etcd at 10.10.10.19,", change: setFlag("cp-1", evidence.EtcdServer, "initial-cluster", "cp-1=https://10.10.10.11:2380,cp-9=https://10.10.10.19:2380")},
	{check: "evidence-complete", name: "no etcd beside an API server", of: folderShared, status: Skip, says: "the API server of cp-3 asks on its own machine was not seen there", change: func(e *evidence.Evidence) {
		evidencetest.DropProgram(e, "cp-3", evidence.EtcdServer)
	}},
	{check: "evidence-complete", name: "no scheduler anywhere", of: folderShared, status: Warn, says: "none on any machine", change: func(e *evidence.Evidence) {
		for _, name := range []string{"cp-1", "cp-2", "cp-3"} {
			evidencetest.DropProgram(e, name, evidence.Scheduler)
		}
	}},
	{check: "evidence-complete", name: "files of an API server that was not seen", of: folderShared, status: Warn, node: "cp-3", says: "cp-3 was not judged as a control-plane node", change: func(e *evidence.Evidence) {
		evidencetest.DropProgram(e, "cp-3", evidence.APIServer)
	}},
	{check: "evidence-complete", name: "a static pod of no program that is known", of: folderShared, status: Skip, node: "cp-2", says: "in /etc/kubernetes/manifests/x.yaml (runs /opt/start.sh)", change: func(e *evidence.Evidence) {
		evidencetest.Machine(e, "cp-2").Unrecognised = []evidence.Unrecognised{{Source: "/etc/kubernetes/manifests/x.yaml", Runs: "/opt/start.sh"}}
	}},
	{check: "evidence-complete", name: "a scheduler by its name alone, which is missing as that", of: folderShared, status: Pass, change: func(e *evidence.Evidence) {
		for _, name := range []string{"cp-1", "cp-2", "cp-3"} {
			evidencetest.DropProgram(e, name, evidence.Scheduler)
		}
		evidencetest.Machine(e, "cp-2").Unrecognised = []evidence.Unrecognised{{Source: "/x", Like: evidence.Scheduler}}
	}},
	{check: "evidence-complete", name: "no API server", of: folderShared, status: Error, says: "no API server was seen on 2 machines", change: func(e *evidence.Evidence) {
		for _, name := range []string{"cp-1", "cp-2", "cp-3"} {
			evidencetest.DropMachine(e, name)
		}
	}},
	{check: "evidence-complete", name: "the load balancer's configuration is not in the copy", of: folderShared, status: Warn, node: "lb-1", says: "haproxy.cfg", change: func(e *evidence.Evidence) {
		m := evidencetest.Machine(e, "lb-1")
		m.LoadBalancer = &evidence.LoadBalancer{Kind: evidence.HAProxy, Path: "/etc/haproxy/haproxy.cfg", Err: evidence.NotInCopy}
		m.Unjudged = []evidence.Unjudged{{Source: "/etc/haproxy/haproxy.cfg", Why: evidence.NotInCopy}}
	}},
	{check: "evidence-complete", name: "a load balancer of something else", of: folderShared, status: Warn, node: "worker-1", says: "no server in /etc/haproxy/haproxy.cfg is known", change: func(e *evidence.Evidence) {
		evidencetest.DropMachine(e, "lb-1")
		evidencetest.Machine(e, "worker-1").Unbalancing = []string{"/etc/haproxy/haproxy.cfg"}
	}},
	{check: "evidence-complete", name: "a load balancer of something else beside that of the API", of: folderShared, status: Pass, change: func(e *evidence.Evidence) {
		evidencetest.Machine(e, "worker-1").Unbalancing = []string{"/etc/nginx/nginx.conf"}
	}},
	{check: "evidence-complete", name: "kube-vip is the load balancer", of: folderShared, status: Pass, change: func(e *evidence.Evidence) {
		evidencetest.DropMachine(e, "lb-1")
		withKubeVIP(e, evidencetest.LoadBalancerAddress, "cp-1", "cp-2", "cp-3")
	}},
	{check: "evidence-complete", name: "the load balancer is not in the copy", of: folderShared, status: Skip, says: "the load balancer 10.10.10.3:6443 is not in the copy", change: func(e *evidence.Evidence) {
		evidencetest.DropMachine(e, "lb-1")
	}},
	{check: "evidence-complete", name: "etcd does not run, which was seen", status: Pass, change: func(e *evidence.Evidence) { memberStops(e, "cp-3") }},
}

// One thing that could not be read is told once.
func TestEvidenceCompleteTellsThingsOnce(t *testing.T) {
	tests := []struct {
		name   string
		change func(*evidence.Evidence)
		source string // of the one finding
	}{
		{"a kubeconfig, and what is in it", garbageKubeconfig, evidencetest.KubeProxyConf},
		{"two blocks of a file", garbageCertificate, evidencetest.ServingCert},
		{"a certificate that is missing as well", func(e *evidence.Evidence) {
			garbageCertificate(e)
			alsoMissing(evidence.Missing{Way: evidence.Machines, Node: "cp-2", Source: "file " + evidencetest.ServingCert, Err: "x509: malformed certificate"})(e)
		}, "file " + evidencetest.ServingCert},
		{"a member that is missing as well", func(e *evidence.Evidence) {
			silentMember(e)
			alsoMissing(evidence.Missing{Way: evidence.Machines, Node: "cp-3", Source: "https://127.0.0.1:2379", Err: "bad certificate"})(e)
		}, "https://127.0.0.1:2379"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := evidencetest.Healthy(spec.Shared)
			test.change(e)
			found := evidenceComplete(NewScene(e, Expectation{}))
			if len(found) != 1 || found[0].Status != Error || found[0].Source != test.source {
				t.Errorf("want one error about %s, got\n%s", test.source, show(found))
			}
		})
	}
}

// The same path on another machine is another thing.
func TestEvidenceCompleteTellsMachinesApart(t *testing.T) {
	e := evidencetest.Healthy(spec.Shared)
	garbageCertificate(e)
	alsoMissing(evidence.Missing{Way: evidence.Machines, Node: "cp-1", Source: evidencetest.ServingCert, Err: "permission denied"})(e)
	if found := evidenceComplete(NewScene(e, Expectation{})); len(found) != 2 {
		t.Errorf("want two findings, got\n%s", show(found))
	}
}
