package xray

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

func withServer(node string, change func(*evidence.Server)) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { change(evidencetest.Server(e, node)) }
}

// serverStopped is an API server that does not run while its machine does.
func serverStopped(node string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		s := evidencetest.Server(e, node)
		*s = evidence.Server{Node: node, Address: s.Address, ServerName: s.ServerName, Err: "connect: connection refused"}
		*evidencetest.Request(e, node, evidence.LocalAPIServer) = evidence.Request{Purpose: evidence.LocalAPIServer, Err: "connection refused"}
	}
}

func stopAgent(nodes ...string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		for _, node := range nodes {
			evidencetest.Stop(evidencetest.Program(e, node, evidence.HaplaneAgent))
			*evidencetest.Request(e, node, evidence.AgentHealth) = evidence.Request{Purpose: evidence.AgentHealth, Err: "connection refused"}
		}
	}
}

// noHaplane leaves a shared cluster without a trace of haplane.
func noHaplane(e *evidence.Evidence) {
	for _, node := range []string{"cp-1", "cp-2", "cp-3"} {
		evidencetest.DropProgram(e, node, evidence.HaplaneAgent)
	}
	dropLease("haplane-agent")(e)
}

// led is what the leading agent says.
func led(node string, before time.Duration) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		evidencetest.Request(e, node, evidence.AgentHealth).Answer = fmt.Sprintf(`{"ok":true,"leader":true,"lastSync":%q}`, evidencetest.At.Add(-before).Format(time.RFC3339Nano))
	}
}

func pointTo(machine, path, hostPort string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { evidencetest.SetServer(e, machine, path, "https://"+hostPort) }
}

// onlyCP1 leaves one machine of whose addresses nothing is known, in a folder.
func onlyCP1(e *evidence.Evidence) {
	e.Machines = e.Machines[:1]
	evidencetest.DropProgram(e, "cp-1", evidence.EtcdServer)
	evidencetest.DropFlag(evidencetest.Program(e, "cp-1", evidence.Kubelet), "node-ip")
}

func onlyFirst(e *evidence.Evidence) {
	evidencetest.DropMachine(e, "cp-2")
	evidencetest.DropMachine(e, "cp-3")
	e.API.Nodes = slices.DeleteFunc(e.API.Nodes, func(n corev1.Node) bool { return n.Name == "cp-2" || n.Name == "cp-3" })
}

var identityCases = slices.Concat(whoCases, reconcilerCases, peerCases, kubeconfigCases, directCases)

var whoCases = []checkCase{
	{check: "identity", name: "shared", status: Pass, says: "shared: cp-1 advertises 10.10.10.3"},
	{check: "identity", name: "kubeadm", of: evidencetest.Kubeadm, status: Pass, says: "perNode: "},
	{check: "identity", name: "API only", of: apiOnly(healthy(spec.Shared)), status: Pass, says: "only endpoint"},
	{check: "identity", name: "one is another", status: Fail, node: "cp-2", says: "shared, as most are", change: setFlag("cp-2", server, "advertise-address", "10.10.10.12")},
	{check: "identity", name: "not the expected one", status: Fail, node: "cp-1,cp-2,cp-3", says: "perNode", expect: Expectation{Identity: spec.PerNode}},
	{check: "identity", name: "not that of the cluster file", of: healthy(spec.PerNode), status: Fail, node: "cp-1,cp-2,cp-3", says: "sharedCertificate | perNode",
		expect: Expectation{Cluster: &spec.Cluster{Spec: spec.Spec{Identity: spec.SharedCertificate}}}},
	{check: "identity", name: "by the API not the expected one", of: apiOnly(healthy(spec.Shared)), status: Fail, says: "perNode | shared: ", expect: Expectation{Identity: spec.PerNode}},
	{check: "identity", name: "two kinds and no majority", status: Fail, says: "one identity | cp-1 advertises its own", change: twoKinds},
	{check: "identity", name: "nothing tells", of: inFolder(evidencetest.Kubeadm), status: Skip, change: func(e *evidence.Evidence) { e.Machines = e.Machines[3:] }},

	{check: "serving-cert-shared", name: "healthy", status: Pass, says: "cp-1, cp-2, cp-3"},
	{check: "serving-cert-shared", name: "one has another", status: Fail, node: "cp-2", says: "as on cp-1", change: withServingNames("cp-2", add("extra.example.org"))},
	{check: "serving-cert-shared", name: "one each in sharedCertificate", of: healthy(spec.SharedCertificate), status: Fail, node: "cp-2,cp-3", change: changes(withServingNames("cp-2", add("b")), withServingNames("cp-3", add("c")))},
	{check: "serving-cert-shared", name: "one of a shared one in perNode", of: healthy(spec.PerNode), status: Warn, node: "cp-3", change: withServingNames("cp-3", add("c"))},
	{check: "serving-cert-shared", name: "one has another's in perNode", of: evidencetest.Kubeadm, status: Warn, node: "cp-2", says: "which cp-1 has too", change: certificateOf("cp-1", "cp-2")},
	{check: "serving-cert-names", name: "one has another's in perNode", of: evidencetest.Kubeadm, status: Fail, node: "cp-2", says: "with these names as well as those that it has", change: certificateOf("cp-1", "cp-2")},
	{check: "serving-cert-names", name: "what helps in a shared identity", status: Fail, node: "cp-2", says: "lacks", change: withServingNames("cp-2", drop("10.10.10.3"))},
	{check: "serving-cert-shared", name: "kubeadm", of: evidencetest.Kubeadm, status: Skip, says: "of its own"},

	{check: "kubernetes-service-ip", name: "healthy", status: Pass, says: "10.96.0.1"},
	{check: "kubernetes-service-ip", name: "another address", status: Fail, says: "10.96.0.10", change: func(e *evidence.Evidence) { e.API.Service.Spec.ClusterIP = "10.96.0.10" }},
	{check: "kubernetes-service-ip", name: "no such Service", status: Fail, says: "no such Service", change: func(e *evidence.Evidence) { e.API.Service = &corev1.Service{} }},
	{check: "kubernetes-service-ip", name: "not in a certificate", status: Fail, node: "cp-3", says: "a certificate with 10.96.0.1", change: withServingNames("cp-3", drop("10.96.0.1"))},
	{check: "kubernetes-service-ip", name: "no network was seen", of: apiOnly(healthy(spec.Shared)), status: Skip, change: func(e *evidence.Evidence) { e.API.ServiceCIDRs = nil }},
	{check: "kubernetes-service-ip", name: "another network", status: Fail, node: ",cp-1,cp-2,cp-3", says: "10.32.0.1", change: setFlags(server, "service-cluster-ip-range", "10.32.0.0/16")},
}

var reconcilerCases = []checkCase{
	{check: "endpoint-reconciler", name: "shared", status: Pass, says: "--endpoint-reconciler-type=none"},
	{check: "endpoint-reconciler", name: "lease in shared", status: Fail, node: "cp-1", says: "empties the endpoints", change: setFlag("cp-1", server, "endpoint-reconciler-type", "lease")},
	{check: "endpoint-reconciler", name: "the default in shared", status: Fail, node: "cp-2", says: "lease is the default", change: setFlag("cp-2", server, "endpoint-reconciler-type", "")},
	{check: "endpoint-reconciler", name: "kubeadm", of: evidencetest.Kubeadm, status: Pass, says: "lease is the default"},
	{check: "endpoint-reconciler", name: "none in perNode", of: healthy(spec.PerNode), status: Fail, node: "cp-3", says: "nobody adds", change: setFlag("cp-3", server, "endpoint-reconciler-type", "none")},
	{check: "endpoint-reconciler", name: "none in perNode, with somebody else", of: healthy(spec.PerNode), status: Warn, node: "cp-3", says: "my-operator", change: changes(setFlag("cp-3", server, "endpoint-reconciler-type", "none"),
		withSlice(func(s *discoveryv1.EndpointSlice) { s.Labels[discoveryv1.LabelManagedBy] = "my-operator" }))},
	{check: "endpoint-reconciler", name: "none in perNode, and slices that are copies", of: healthy(spec.PerNode), status: Fail, node: "cp-3", says: "nobody adds", change: changes(setFlag("cp-3", server, "endpoint-reconciler-type", "none"),
		withSlice(func(s *discoveryv1.EndpointSlice) { s.Labels[discoveryv1.LabelManagedBy] = mirroring }))},
	{check: "endpoint-reconciler", name: "k0s", of: evidencetest.K0s, status: Pass, says: "k0s keeps the endpoints"},
	{check: "endpoint-reconciler", name: "one that k0s did not start", of: evidencetest.K0s, status: Fail, node: "cp-1,cp-2,cp-3", says: "nobody adds", change: func(e *evidence.Evidence) { evidencetest.DropProgram(e, "cp-3", evidence.K0s) }},
	{check: "endpoint-reconciler", name: "master-count", of: healthy(spec.SharedCertificate), status: Warn, node: "cp-1", says: "a node that died", change: setFlag("cp-1", server, "endpoint-reconciler-type", "master-count")},
	{check: "endpoint-reconciler", name: "no identity in common", status: Fail, node: "cp-1", says: "lease | --endpoint-reconciler-type=none", change: twoKinds},
	{check: "endpoint-reconciler", name: "an unknown identity", of: inFolder(healthy(spec.PerNode)), status: Skip, says: "identity is not known", change: func(e *evidence.Evidence) {
		for _, m := range e.Machines {
			delete(m.Certificates, evidencetest.ServingCert)
		}
	}},
	{check: "endpoint-reconciler", name: "no such kind", of: healthy(spec.PerNode), status: Fail, node: "cp-1", says: "sometimes", change: setFlag("cp-1", server, "endpoint-reconciler-type", "sometimes")},

	{check: "endpoint-owner", name: "healthy", status: Pass, says: "haplane agent leads: cp-1"},
	{check: "endpoint-owner", name: "an agent is stopped", status: Fail, node: "cp-2", says: "haplane-agent.service is inactive", change: stopAgent("cp-2")},
	{check: "endpoint-owner", name: "all are", status: Fail, node: ",cp-1,cp-2,cp-3", says: "nobody holds it", change: changes(stopAgent("cp-1", "cp-2", "cp-3"), released("haplane-agent"))},
	{check: "endpoint-owner", name: "one is not there", status: Fail, node: "cp-3", says: "no haplane agent", change: func(e *evidence.Evidence) { evidencetest.DropProgram(e, "cp-3", evidence.HaplaneAgent) }},
	{check: "endpoint-owner", name: "one does something else", status: Fail, node: "cp-3", says: "no haplane agent", change: func(e *evidence.Evidence) {
		evidencetest.Program(e, "cp-3", evidence.HaplaneAgent).Argv = []string{"haplane", "xray"}
	}},
	{check: "endpoint-owner", name: "one does not answer", status: Fail, node: "cp-1", says: "i/o timeout", change: func(e *evidence.Evidence) {
		*evidencetest.Request(e, "cp-1", evidence.AgentHealth) = evidence.Request{Purpose: evidence.AgentHealth, Err: "i/o timeout"}
	}},
	{check: "endpoint-owner", name: "one answers badly", status: Fail, node: "cp-1", says: "404", change: func(e *evidence.Evidence) { evidencetest.Request(e, "cp-1", evidence.AgentHealth).Status = 404 }},
	{check: "endpoint-owner", name: "not asked", status: Pass, says: "its health was not asked", change: func(e *evidence.Evidence) { evidencetest.Machine(e, "cp-1").Requests = nil }},
	{check: "endpoint-owner", name: "one is not running and no unit", status: Fail, node: "cp-1", says: "does not run", change: func(e *evidence.Evidence) {
		p := evidencetest.Program(e, "cp-1", evidence.HaplaneAgent)
		p.Running, p.Unit = false, nil
	}},
	{check: "endpoint-owner", name: "the leader has just begun", status: Pass, says: "just begun to lead", change: func(e *evidence.Evidence) {
		evidencetest.Request(e, "cp-1", evidence.AgentHealth).Answer = `{"ok":true,"leader":true}`
	}},
	{check: "endpoint-owner", name: "an answer that is none", status: Pass, says: "it runs and answers", change: func(e *evidence.Evidence) { evidencetest.Request(e, "cp-1", evidence.AgentHealth).Answer = "ok" }},
	{check: "endpoint-owner", name: "it keeps something else", status: Fail, node: "cp-2", says: "--endpoint=10.10.10.4:6443", change: setFlag("cp-2", evidence.HaplaneAgent, "endpoint", "10.10.10.4:6443")},
	{check: "endpoint-owner", name: "the leader looks", status: Pass, says: "9s ago", change: led("cp-1", 8*time.Second)},
	{check: "endpoint-owner", name: "the leader does not look", status: Fail, node: "cp-1", says: "5m1s ago", change: led("cp-1", 5*time.Minute)},
	{check: "endpoint-owner", name: "nobody renews the Lease", status: Fail, says: "last renewed it 31s ago", change: renewedBefore("haplane-agent", 30*time.Second)},
	{check: "endpoint-owner", name: "a node died", status: Pass, change: dead("cp-3")},
	{check: "endpoint-owner", name: "k0s", of: evidencetest.K0s, status: Pass, says: "it runs"},
	{check: "endpoint-owner", name: "k0s is stopped", of: evidencetest.K0s, status: Fail, node: "cp-2", says: "k0scontroller.service is inactive", change: k0sStopped("cp-2")},
	{check: "endpoint-owner", name: "k0s in a folder", of: inFolder(evidencetest.K0s), status: Skip, says: "not seen in a folder"},
	{check: "endpoint-owner", name: "API servers do it", of: evidencetest.Kubeadm, status: Skip, says: "themselves"},
	{check: "endpoint-owner", name: "lease in shared", status: Skip, says: "see endpoint-reconciler", change: setFlags(server, "endpoint-reconciler-type", "lease")},
	{check: "endpoint-owner", name: "nobody", status: Fail, says: "nobody was seen", change: noHaplane},
	{check: "endpoint-owner", name: "somebody else", status: Warn, says: "my-operator", change: changes(noHaplane, withSlice(func(s *discoveryv1.EndpointSlice) { s.Labels[discoveryv1.LabelManagedBy] = "my-operator" }))},
	{check: "endpoint-owner", name: "machines only", status: Skip, says: "is not seen", change: changes(noHaplane, func(e *evidence.Evidence) { e.API = nil })},
	{check: "endpoint-owner", name: "API only", of: apiOnly(healthy(spec.Shared)), status: Pass, says: "cp-1"},
	{check: "endpoint-owner", name: "in a folder", of: inFolder(healthy(spec.Shared)), status: Skip, says: "not seen in a folder"},
}

var peerCases = []checkCase{
	{check: "peer-advertise-ip", name: "off in shared", status: Pass, says: interoperability + "=false"},
	{check: "peer-advertise-ip", name: "on in shared", status: Fail, node: "cp-1", says: "10.10.10.3", change: changes(setFlag("cp-1", server, "feature-gates", ""), setFlag("cp-1", server, "peer-ca-file", "/etc/kubernetes/pki/ca.crt"))},
	{check: "peer-advertise-ip", name: "on in shared with the flag", status: Fail, node: "cp-1,cp-2,cp-3", says: "10.10.10.3", change: changes(setFlags(server, "feature-gates", interoperability+"=true"),
		setFlags(server, "peer-ca-file", "/etc/kubernetes/pki/ca.crt"), setFlag("cp-1", server, "peer-advertise-ip", "10.10.10.11"))},
	{check: "peer-advertise-ip", name: "on in shared and unused", status: Warn, node: "cp-2", says: "none uses it yet", change: setFlag("cp-2", server, "feature-gates", "")},
	{check: "peer-advertise-ip", name: "older than the feature", status: Pass, says: "off unless set in 1.35.3", change: changes(setFlags(server, "feature-gates", "Other=true"), func(e *evidence.Evidence) {
		for i := range e.Servers {
			e.Servers[i].Version = "v1.35.3"
		}
	})},
	{check: "peer-advertise-ip", name: "no version", of: inFolder(healthy(spec.Shared)), status: Skip, says: "depends on the version", change: setFlag("cp-1", server, "feature-gates", "")},
	{check: "peer-advertise-ip", name: "its address is not known", of: inFolder(healthy(spec.Shared)), status: Skip, says: "is not known", change: changes(onlyCP1, setFlags(server, "feature-gates", interoperability+"=true"))},
	{check: "peer-advertise-ip", name: "its own", of: healthy(spec.PerNode), status: Pass, says: "--peer-advertise-ip=10.10.10.11"},
	{check: "peer-advertise-ip", name: "another's", of: healthy(spec.PerNode), status: Fail, node: "cp-2", says: "10.10.10.11, which is not its own", change: setFlag("cp-2", server, "peer-advertise-ip", "10.10.10.11")},
	{check: "peer-advertise-ip", name: "no address", of: healthy(spec.PerNode), status: Fail, node: "cp-2", says: "here", change: setFlag("cp-2", server, "peer-advertise-ip", "here")},
	{check: "peer-advertise-ip", name: "not set", of: healthy(spec.SharedCertificate), status: Warn, node: "cp-3", says: "it publishes 10.10.10.13", change: setFlag("cp-3", server, "peer-advertise-ip", "")},
	{check: "peer-advertise-ip", name: "one asks nobody", of: healthy(spec.PerNode), status: Warn, node: "cp-3", says: "passes no request on", change: changes(setFlag("cp-3", server, "peer-advertise-ip", ""), setFlag("cp-3", server, "peer-ca-file", ""),
		setFlag("cp-3", server, "peer-advertise-port", ""))},
	{check: "peer-advertise-ip", name: "another's in its Lease", of: healthy(spec.PerNode), status: Fail, node: "cp-2", says: "its Lease has 10.10.10.3:6443", change: func(e *evidence.Evidence) {
		for i := range e.API.Leases {
			if l := &e.API.Leases[i]; l.Labels[corev1.LabelHostname] == "cp-2" {
				l.Annotations[corev1.AnnotationPeerAdvertiseAddress] = "10.10.10.3:6443"
			}
		}
	}},
	{check: "peer-advertise-ip", name: "off in perNode", of: healthy(spec.PerNode), status: Skip, says: "no request is passed on", change: changes(setFlags(server, "feature-gates", interoperability+"=false"))},
	{check: "peer-advertise-ip", name: "kubeadm", of: evidencetest.Kubeadm, status: Pass, says: "no --peer-ca-file"},
}

var kubeconfigCases = []checkCase{
	{check: "kubeconfig-servers", name: "files without units", of: withoutUnits(inFolder(evidencetest.Kubeadm)), status: Pass, node: "cp-1,cp-2,cp-3,worker-1", says: "kubelet to 10.10.10.3:6443"},
	{check: "kubeconfig-servers", name: "files without units, of kubelets that lead to the first master", of: withoutUnits(inFolder(evidencetest.Kubeadm)), status: Fail, node: "cp-2,worker-1", says: "kubelet asks 10.10.10.11:6443, which is cp-1",
		change: func(e *evidence.Evidence) {
			for _, name := range []string{"cp-1", "cp-2", "worker-1"} {
				evidencetest.SetServer(e, name, evidencetest.KubeletConf, "https://10.10.10.11:6443")
			}
		}},
	{check: "kubeconfig-servers", name: "healthy", status: Pass, says: "kube-scheduler to 127.0.0.1:6443"},
	{check: "kubeconfig-servers", name: "kubeadm", of: evidencetest.Kubeadm, status: Pass, says: "kubelet to 10.10.10.12:6443"},
	{check: "kubeconfig-servers", name: "kubeadm with etcd elsewhere, in a folder", of: etcdElsewhere, status: Pass, says: "kube-scheduler to 10.10.10.12:6443"},
	{check: "kubeconfig-servers", name: "etcd elsewhere, no address is advertised", of: etcdElsewhere, status: Pass, says: "kube-scheduler to 10.10.10.12:6443", change: noAdvertised},
	{check: "kubeconfig-servers", name: "etcd elsewhere, a scheduler asks another node", of: etcdElsewhere, status: Fail, node: "cp-2", says: "which is cp-1", change: pointTo("cp-2", evidencetest.SchedulerConf, "10.10.10.11:6443")},
	{check: "kubeconfig-servers", name: "etcd elsewhere, everybody asks one node", of: etcdElsewhere, status: Fail, node: "cp-2,cp-3,etcd-1,etcd-2,etcd-3,worker-1", says: "which is cp-1", change: func(e *evidence.Evidence) {
		toFirstNode(e)
		for _, m := range e.Machines[:3] {
			evidencetest.SetServer(e, m.Name, evidencetest.AdminConf, "https://10.10.10.11:6443")
		}
	}},
	{check: "kubeconfig-servers", name: "etcd elsewhere, all kubelets ask one node", of: etcdElsewhere, status: Fail, node: "cp-2,cp-3,etcd-1,etcd-2,etcd-3,worker-1", says: "which is cp-1", change: toFirstNode},
	{check: "kubeconfig-servers", name: "a kubelet is tied to one node", status: Fail, node: "worker-1", says: "10.10.10.11:6443, which is cp-1", change: pointTo("worker-1", evidencetest.KubeletConf, "10.10.10.11:6443")},
	{check: "kubeconfig-servers", name: "all kubelets are", of: evidencetest.Kubeadm, status: Fail, node: "cp-2,cp-3,worker-1", says: "which is cp-1", change: toFirstNode},
	{check: "kubeconfig-servers", name: "a kube-proxy is", status: Fail, node: "cp-3", says: "kube-proxy asks 10.10.10.11:6443", change: pointTo("cp-3", evidencetest.KubeProxyConf, "10.10.10.11:6443")},
	{check: "kubeconfig-servers", name: "a scheduler asks another node", status: Fail, node: "cp-2", says: "kube-scheduler asks 10.10.10.11:6443", change: pointTo("cp-2", evidencetest.SchedulerConf, "10.10.10.11:6443")},
	{check: "kubeconfig-servers", name: "a controller-manager asks the load balancer", status: Warn, node: "cp-2", says: "another machine", change: pointTo("cp-2", evidencetest.ManagerConf, evidencetest.Endpoint)},
	{check: "kubeconfig-servers", name: "a controller-manager asks its own address", status: Pass, says: "kube-controller-manager to 10.10.10.12:6443", change: pointTo("cp-2", evidencetest.ManagerConf, "10.10.10.12:6443")},
	{check: "kubeconfig-servers", name: "a scheduler asks a closed port", status: Fail, node: "cp-1", says: "nothing listens", change: pointTo("cp-1", evidencetest.SchedulerConf, "127.0.0.1:8443")},
	{check: "kubeconfig-servers", name: "an agent asks another node", status: Fail, node: "cp-2", says: "haplane agent asks 10.10.10.13:6443", change: pointTo("cp-2", "/etc/kubernetes/haplane-agent.conf", "10.10.10.13:6443")},
	{check: "kubeconfig-servers", name: "admin.conf asks one node", status: Warn, node: "cp-2", says: "admin.conf asks 10.10.10.11:6443", change: pointTo("cp-2", evidencetest.AdminConf, "10.10.10.11:6443")},
	{check: "kubeconfig-servers", name: "admin.conf asks its own machine by its address", status: Warn, node: "cp-2", says: "admin.conf asks 10.10.10.12:6443, its own", change: pointTo("cp-2", evidencetest.AdminConf, "10.10.10.12:6443")},
	{check: "kubeconfig-servers", name: "admin.conf asks loopback", status: Pass, says: "admin.conf to localhost:6443", change: pointTo("cp-2", evidencetest.AdminConf, "localhost:6443")},
	{check: "kubeconfig-servers", name: "admin.conf asks loopback, where nothing listens", status: Warn, node: "cp-2", says: "nothing listens", change: pointTo("cp-2", evidencetest.AdminConf, "localhost:8443")},
	{check: "kubeconfig-servers", name: "admin.conf asks loopback, of a program that is not seen", of: inFolder(healthy(spec.Shared)), status: Skip, node: "worker-1", says: "what listens there", change: func(e *evidence.Evidence) {
		evidencetest.Machine(e, "worker-1").Kubeconfigs[evidencetest.AdminConf] = evidence.Kubeconfig{Path: evidencetest.AdminConf, Server: "https://localhost:6443"}
	}},
	{check: "kubeconfig-servers", name: "a scheduler asks loopback, of a program that is not seen", of: inFolder(healthy(spec.Shared)), status: Skip, node: "cp-1", says: "kube-scheduler asks 127.0.0.1:6443: what listens there", change: func(e *evidence.Evidence) {
		evidencetest.DropProgram(e, "cp-1", server)
	}},
	{check: "kubeconfig-servers", name: "all ask their own API server, whose manifest is not there", of: ownServers, status: Warn, node: "cp-2", says: "asks 10.10.10.12:6443, its own, where no API server was seen", change: func(e *evidence.Evidence) { evidencetest.DropProgram(e, "cp-2", server) }},
	{check: "kubeconfig-servers", name: "what helps then", of: ownServers, status: Warn, node: "cp-2", says: "See that kube-apiserver runs on cp-2", change: func(e *evidence.Evidence) { evidencetest.DropProgram(e, "cp-2", server) }},
	{check: "kubeconfig-servers", name: "all ask their own API server, which a script starts", of: ownServers, status: Skip, node: "cp-2", says: "asks 10.10.10.12:6443, its own, where no API server was seen", change: byScript},
	{check: "kubeconfig-servers", name: "a kubelet asks by loopback an API server that a script starts", of: ownServers, status: Skip, node: "cp-2", says: "kubelet asks 127.0.0.1:6443", change: changes(byScript, pointTo("cp-2", evidencetest.KubeletConf, "127.0.0.1:6443"))},
	{check: "kubeconfig-servers", name: "their own API server has another port", of: ownServers, status: Warn, node: "cp-2", says: "its own, whose API server listens on 6444", change: setFlag("cp-2", server, "secure-port", "6444")},
	{check: "kubeconfig-servers", name: "all ask their own API server", of: ownServers, status: Pass, says: "kube-scheduler to 10.10.10.12:6443"},
	{check: "kubeconfig-servers", name: "kubeconfigs alone, of two addresses", of: kubeconfigsAlone, status: Skip, node: "cp-1,cp-2,cp-3,worker-1", says: "kubeconfigs name 10.10.10.11:6443, 10.10.10.3:6443"},
	{check: "kubeconfig-servers", name: "a kubelet asks nobody known", status: Warn, node: "worker-1", says: "nothing that was seen", change: pointTo("worker-1", evidencetest.KubeletConf, "api.example.org:6443")},
	{check: "kubeconfig-servers", name: "a scheduler asks nobody known", status: Warn, node: "cp-1", says: "nothing that was seen", change: pointTo("cp-1", evidencetest.SchedulerConf, "api.example.org:6443")},
	{check: "kubeconfig-servers", name: "a kubelet asks another load balancer", status: Pass, says: "kubelet to 10.10.10.3:8443", change: pointTo("worker-1", evidencetest.KubeletConf, "10.10.10.3:8443")},
	{check: "kubeconfig-servers", name: "a load balancer beside each", status: Pass, says: "kubelet to 127.0.0.1:6443", change: changes(pointTo("worker-1", evidencetest.KubeletConf, "127.0.0.1:6443"), func(e *evidence.Evidence) {
		evidencetest.Machine(e, "worker-1").LoadBalancer = evidencetest.Machine(e, "lb-1").LoadBalancer
	})},
	{check: "kubeconfig-servers", name: "whether somebody listens is not seen", of: inFolder(healthy(spec.Shared)), status: Warn, node: "worker-1", says: "127.0.0.1:7443", change: pointTo("worker-1", evidencetest.KubeletConf, "127.0.0.1:7443")},
	{check: "kubeconfig-servers", name: "a kubelet asks a proxy beside it", status: Pass, says: "kubelet to 127.0.0.1:7443", change: changes(pointTo("worker-1", evidencetest.KubeletConf, "127.0.0.1:7443"), func(e *evidence.Evidence) {
		m := evidencetest.Machine(e, "worker-1")
		m.Listening = append(m.Listening, m.Listening[0])
		m.Listening[0] = netip.MustParseAddrPort("127.0.0.1:7443")
	})},
	{check: "kubeconfig-servers", name: "a kubelet asks a proxy that is gone", status: Fail, node: "worker-1", says: "nothing listens", change: pointTo("worker-1", evidencetest.KubeletConf, "127.0.0.1:7443")},
	{check: "kubeconfig-servers", name: "the name of the load balancer", status: Pass, says: "kubelet to api.example.org:6443", change: pointTo("worker-1", evidencetest.KubeletConf, "api.example.org:6443"),
		expect: Expectation{Cluster: &spec.Cluster{Spec: spec.Spec{Identity: spec.Shared, LoadBalancer: spec.LoadBalancer{Address: "10.10.10.3", Port: 6443, DNSNames: []string{"api.example.org"}}}}}},
	{check: "kubeconfig-servers", name: "no server", status: Fail, node: "worker-1", says: "no server", change: func(e *evidence.Evidence) { evidencetest.SetServer(e, "worker-1", evidencetest.KubeletConf, "") }},
	{check: "kubeconfig-servers", name: "one control-plane node", of: evidencetest.Kubeadm, status: Pass, says: "kubelet to 10.10.10.11:6443", change: changes(onlyFirst, toFirstNode, pointTo("cp-1", evidencetest.AdminConf, "10.10.10.11:6443"))},
	{check: "kubeconfig-servers", name: "one control-plane node, under a name", of: evidencetest.Kubeadm, status: Pass, says: "kube-scheduler to api.example.org:6443", change: changes(onlyFirst, func(e *evidence.Evidence) {
		for _, path := range []string{evidencetest.KubeletConf, evidencetest.SchedulerConf, evidencetest.AdminConf} {
			pointTo("cp-1", path, "api.example.org:6443")(e)
		}
		pointTo("worker-1", evidencetest.KubeletConf, "api.example.org:6443")(e)
	})},
}

var directCases = []checkCase{
	{check: "direct-access", name: "healthy", status: Pass, says: "verifies for kubernetes.default"},
	{check: "direct-access", name: "stopped", status: Fail, node: "cp-3", says: "connection refused", change: serverStopped("cp-3")},
	{check: "direct-access", name: "a node died", status: Fail, node: "cp-2", says: "i/o timeout", change: dead("cp-2")},
	{check: "direct-access", name: "another certificate", status: Fail, node: "cp-1", says: "unknown authority", change: withServer("cp-1", func(s *evidence.Server) { s.VerifyErr, s.Ready = "x509: unknown authority", nil })},
	{check: "direct-access", name: "not ready", status: Fail, node: "cp-1", says: "not ready: etcd", change: withServer("cp-1", func(s *evidence.Server) { s.Ready, s.ReadyDetail = new(false), "etcd" })},
	{check: "direct-access", name: "readiness was not asked", status: Pass, says: "readiness was not asked", change: withServer("cp-1", func(s *evidence.Server) { s.Ready = nil })},
	{check: "direct-access", name: "out of our reach", status: Warn, node: "cp-1", says: "on its own machine it answers", change: withServer("cp-1", func(s *evidence.Server) { s.Err = "i/o timeout" })},
	{check: "direct-access", name: "out of reach by all that is seen", status: Warn, node: "cp-2", says: "perhaps only", of: apiOnly(evidencetest.Kubeadm), change: func(e *evidence.Evidence) {
		e.Servers = append(e.Servers, evidence.Server{Node: "cp-2", Address: "10.10.10.12:6443", Err: "i/o timeout"})
	}},
	{check: "direct-access", name: "nobody asked", status: Skip, change: func(e *evidence.Evidence) {
		e.Servers = nil
		for _, m := range e.Machines {
			m.Requests = nil
		}
	}},
	{check: "direct-access", name: "only its own machine asked", status: Pass, says: "200 on its own machine", change: func(e *evidence.Evidence) { e.Servers = nil }},
	{check: "direct-access", name: "its own machine asked in vain", status: Fail, node: "cp-3", says: "connection refused", change: changes(serverStopped("cp-3"), func(e *evidence.Evidence) { e.Servers = nil })},
	{check: "direct-access", name: "its own machine got no answer that counts", status: Fail, node: "cp-3", says: "500", change: func(e *evidence.Evidence) {
		e.Servers = nil
		evidencetest.Request(e, "cp-3", evidence.LocalAPIServer).Status = 500
	}},
	{check: "direct-access", name: "one was not asked", status: Skip, says: "not asked", change: func(e *evidence.Evidence) {
		e.Servers = e.Servers[:3]
		evidencetest.Machine(e, "cp-3").Requests = nil
	}},
}

// etcdElsewhere is what copies show of kubeadm's control plane with etcd on other machines,
// whose controller-managers and schedulers ask the API server beside them by its address.
func etcdElsewhere() *evidence.Evidence {
	e := evidencetest.Kubeadm()
	evidencetest.MoveEtcd(e)
	e = evidencetest.Folder(e)
	evidencetest.HideAddresses(e)
	for i, node := range []string{"cp-1", "cp-2", "cp-3"} {
		for _, file := range []string{evidencetest.ManagerConf, evidencetest.SchedulerConf, evidencetest.KubeletConf} {
			evidencetest.SetServer(e, node, file, fmt.Sprintf("https://10.10.10.%d:6443", 11+i))
		}
	}
	return e
}

func noAdvertised(e *evidence.Evidence) {
	for _, node := range []string{"cp-1", "cp-2", "cp-3"} {
		evidencetest.DropFlag(evidencetest.Program(e, node, evidence.APIServer), "advertise-address")
	}
}

// certificateOf has one machine serve with the certificate of another.
func certificateOf(from, to string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		taken := evidencetest.Machine(e, from).Certificates[evidencetest.ServingCert]
		evidencetest.Machine(e, to).Certificates[evidencetest.ServingCert] = taken
		evidencetest.Server(e, to).Certificates = taken
	}
}

// ownServers is a folder in which the programs of each control-plane node ask its own address.
func ownServers() *evidence.Evidence {
	e := evidencetest.Folder(evidencetest.Kubeadm())
	for i, node := range []string{"cp-1", "cp-2", "cp-3"} {
		for _, file := range []string{evidencetest.ManagerConf, evidencetest.SchedulerConf, evidencetest.KubeletConf} {
			evidencetest.SetServer(e, node, file, fmt.Sprintf("https://10.10.10.%d:6443", 11+i))
		}
	}
	return e
}

// kubeconfigsAlone are those of a folder without programs, where kubelets lead to the first
// master and administrators to the load balancer.
func kubeconfigsAlone() *evidence.Evidence {
	e := ownServers()
	for _, m := range e.Machines {
		m.Programs = nil
		if m.Kubeconfigs[evidencetest.KubeletConf].Path != "" {
			evidencetest.SetServer(e, m.Name, evidencetest.KubeletConf, "https://10.10.10.11:6443")
		}
	}
	return e
}
