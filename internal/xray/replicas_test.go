package xray

import (
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

// configure gives a program a configuration file in place of flags.
func configure(node, program string, config map[string]any) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		p := evidencetest.Program(e, node, program)
		evidencetest.SetFlag(p, "config", "/etc/kubernetes/"+program+".yaml")
		p.Config = config
	}
}

func stopProgram(node, program string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { evidencetest.Stop(evidencetest.Program(e, node, program)) }
}

var replicaCases = []checkCase{
	{check: "one-leader-election", name: "healthy", status: Pass, says: "kube-scheduler: Lease kube-system/kube-scheduler, on cp-1, cp-2, cp-3"},
	{check: "one-leader-election", name: "another name", status: Fail, node: "cp-3", says: "Lease kube-system/elsewhere: it may lead beside", change: setFlag("cp-3", scheduler, "leader-elect-resource-name", "elsewhere")},
	{check: "one-leader-election", name: "another name of a pod", of: apiOnlyKubeadm, status: Fail, node: "cp-2", says: "elsewhere", change: func(e *evidence.Evidence) {
		p := e.Machine("cp-2").Program(manager)
		p.Argv = append(p.Argv, "--leader-elect-resource-name=elsewhere")
	}},
	{check: "one-leader-election", name: "another namespace", status: Fail, node: "cp-1", says: "Lease default/kube-controller-manager", change: setFlag("cp-1", manager, "leader-elect-resource-namespace", "default")},
	{check: "one-leader-election", name: "another lock", status: Fail, node: "cp-1", says: "Endpoints kube-system/kube-scheduler", change: setFlag("cp-1", scheduler, "leader-elect-resource-lock", "endpoints")},
	{check: "one-leader-election", name: "on the way to another lock", status: Pass, change: setFlag("cp-1", scheduler, "leader-elect-resource-lock", "endpointsleases")},
	{check: "one-leader-election", name: "no election", status: Fail, node: "cp-2", says: "no election", change: setFlag("cp-2", manager, "leader-elect", "false")},
	{check: "one-leader-election", name: "no election at all", status: Fail, node: "cp-2,cp-3", says: "no election", change: setFlags(scheduler, "leader-elect", "false")},
	{check: "one-leader-election", name: "another name on all", status: Pass, says: "kube-system/elsewhere", change: setFlags(scheduler, "leader-elect-resource-name", "elsewhere")},
	{check: "one-leader-election", name: "in the configuration", status: Fail, node: "cp-3", says: "Lease kube-system/elsewhere",
		change: configure("cp-3", scheduler, map[string]any{"leaderElection": map[string]any{"resourceName": "elsewhere"}})},
	{check: "one-leader-election", name: "a configuration that was not read", status: Skip, says: "was not read", change: configure("cp-3", scheduler, nil)},
	{check: "one-leader-election", name: "a scheduler for others", status: Pass, says: "kube-scheduler for batch", change: configure("cp-3", scheduler,
		map[string]any{"leaderElection": map[string]any{"resourceName": "batch"}, "profiles": []any{map[string]any{"schedulerName": "batch"}}})},
	{check: "one-leader-election", name: "a scheduler for others, too", status: Fail, node: "cp-3", says: "kube-system/batch", change: configure("cp-3", scheduler,
		map[string]any{"leaderElection": map[string]any{"resourceName": "batch"}, "profiles": []any{map[string]any{"schedulerName": "batch"}, map[string]any{}}})},
	{check: "one-leader-election", name: "one that was stopped", status: Pass, change: changes(setFlag("cp-3", scheduler, "leader-elect-resource-name", "elsewhere"), stopProgram("cp-3", scheduler))},
	{check: "one-leader-election", name: "alone", status: Skip, says: "seen here only", change: leaveNodes("cp-1")},
	{check: "leader-leases", name: "a Lease of another name on one", status: Fail, says: "no such Lease", change: setFlag("cp-3", scheduler, "leader-elect-resource-name", "elsewhere")},

	{check: "one-store", name: "healthy", status: Pass, says: "--etcd-prefix: the same on cp-1, cp-2, cp-3"},
	{check: "one-store", name: "healthy cluster of members", status: Pass, says: "etcd cluster: the same on cp-1, cp-2, cp-3"},
	{check: "one-store", name: "another prefix", status: Fail, node: "cp-2", says: "/elsewhere", change: setFlag("cp-2", server, "etcd-prefix", "/elsewhere")},
	{check: "one-store", name: "the default, written", status: Pass, change: setFlag("cp-2", server, "etcd-prefix", "registry/")},
	{check: "one-store", name: "another cluster", status: Fail, node: "cp-3", says: "etcd cluster: ef37ad9dc622a7c4", change: func(e *evidence.Evidence) { evidencetest.Machine(e, "cp-3").Etcd.ClusterID = "1" }},
	{check: "one-store", name: "members of two clusters", status: Fail, node: "cp-2", says: "1, ef37ad9dc622a7c4", change: changes(setFlag("cp-2", server, "etcd-servers", "https://10.10.10.11:2379,https://10.10.10.13:2379"),
		setFlag("cp-3", server, "etcd-servers", "https://10.10.10.11:2379"), func(e *evidence.Evidence) { evidencetest.Machine(e, "cp-3").Etcd.ClusterID = "1" })},
	{check: "one-store", name: "some resources elsewhere", status: Fail, node: "cp-1", says: "/events", change: setFlag("cp-1", server, "etcd-servers-overrides", "/events#https://10.10.10.31:2379;https://10.10.10.32:2379")},
	{check: "one-store", name: "events apart on all", status: Pass, says: "kept apart", change: changes(setFlags(server, "etcd-servers-overrides", "/events#https://127.0.0.1:4001"),
		setFlag("cp-1", server, "etcd-servers-overrides", "/events#https://10.10.10.11:4001"))},
	{check: "one-store", name: "files", of: folderShared, status: Fail, node: "cp-2", says: "/elsewhere", change: setFlag("cp-2", server, "etcd-prefix", "/elsewhere")},
	{check: "one-store", name: "files of another etcd beside it", of: folderShared, status: Warn, node: "cp-2", says: "4002", change: setFlag("cp-2", server, "etcd-servers", "https://127.0.0.1:4002")},
	{check: "one-store", name: "files of an etcd elsewhere", of: folderShared, status: Pass, change: setFlag("cp-2", server, "etcd-servers", "https://10.10.10.12:2379")},

	{check: "one-service-range", name: "healthy", status: Pass, says: "--service-cluster-ip-range: the same on cp-1, cp-2, cp-3"},
	{check: "one-service-range", name: "another", status: Fail, node: "cp-2", says: "10.98.0.0/16", change: setFlag("cp-2", server, "service-cluster-ip-range", "10.98.0.0/16")},
	{check: "one-service-range", name: "written in another way", status: Pass, change: setFlag("cp-2", server, "service-cluster-ip-range", "10.96.0.1/12")},
	{check: "one-service-range", name: "the default", status: Fail, node: "cp-2", says: "10.0.0.0/24 (the default)", change: func(e *evidence.Evidence) {
		evidencetest.DropFlag(evidencetest.Program(e, "cp-2", server), "service-cluster-ip-range")
	}},
	{check: "one-service-range", name: "the default, written on one", status: Pass, change: changes(setFlags(server, "service-cluster-ip-range", "10.0.0.0/24"), func(e *evidence.Evidence) {
		evidencetest.DropFlag(evidencetest.Program(e, "cp-2", server), "service-cluster-ip-range")
	})},
	{check: "one-service-range", name: "other ports", status: Fail, node: "cp-3", says: "8000-9000", change: setFlag("cp-3", server, "service-node-port-range", "8000-9000")},
	{check: "one-service-range", name: "the same ports", status: Pass, change: setFlag("cp-3", server, "service-node-port-range", "30000+2767")},

	{check: "service-account-issuer-accepted", name: "healthy", status: Pass, says: "https://kubernetes.default.svc.cluster.local, accepted on cp-1, cp-2, cp-3"},
	{check: "service-account-issuer-accepted", name: "another", status: Fail, node: "cp-2", says: "https://b", change: setFlag("cp-2", server, "service-account-issuer", "https://b")},
	{check: "service-account-issuer-accepted", name: "it signs as one that others do not know", status: Fail, node: "cp-2", says: "tokens that cp-1 accepts", change: func(e *evidence.Evidence) {
		p := evidencetest.Program(e, "cp-2", server)
		p.Argv = append([]string{p.Argv[0], "--service-account-issuer=https://b"}, p.Argv[1:]...)
	}},
	{check: "service-account-issuer-accepted", name: "other audiences", status: Fail, node: "cp-3", says: "--api-audiences=b", change: setFlag("cp-3", server, "api-audiences", "b")},
	{check: "service-account-issuer-accepted", name: "one audience in common", status: Pass, change: setFlag("cp-3", server, "api-audiences", "b,https://kubernetes.default.svc.cluster.local")},
	{check: "service-account-issuer-accepted", name: "half-way to another", status: Pass, change: func(e *evidence.Evidence) {
		setFlags(server, "service-account-issuer", "https://a")(e)
		for _, node := range []string{"cp-1", "cp-2", "cp-3"} {
			p := evidencetest.Program(e, node, server)
			if node == "cp-2" {
				p.Argv = append([]string{p.Argv[0], "--service-account-issuer", "https://b"}, p.Argv[1:]...)
			} else {
				p.Argv = append(p.Argv, "--service-account-issuer=https://b")
			}
		}
	}},
}

// What is no replica is said in the verdict, whichever checks were asked for.
func TestVerdictOfReplicasThatAreNone(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*evidence.Evidence)
		want   string
	}{
		"two leaders": {setFlag("cp-3", scheduler, "leader-elect-resource-name", "elsewhere"), "tolerates 1 control-plane node failure now (3 API servers, 3 etcd members, quorum 2); lb-1, the only load balancer, is a single point of failure; cp-3 may lead beside the elected one"},
		"two stores":  {setFlag("cp-2", server, "etcd-prefix", "/elsewhere"), "tolerates 1 control-plane node failure now (2 of 3 API servers, 3 etcd members, quorum 2); lb-1, the only"},
		"other data":  {setFlag("cp-2", server, "etcd-prefix", "/elsewhere"), "single point of failure; cp-2 keeps other data"},
		"two etcds of one token, whose member keeps its ID": {func(e *evidence.Evidence) { evidencetest.Machine(e, "cp-3").Etcd.ClusterID = "1" },
			"tolerates no control-plane node failure now (2 of 3 API servers, 2 of 3 etcd members, quorum 2)"},
		"two ranges": {setFlag("cp-2", server, "service-cluster-ip-range", "10.98.0.0/16"), "; cp-2 hands out other Service addresses or ports"},
	} {
		t.Run(name, func(t *testing.T) {
			e := evidencetest.Healthy(spec.Shared)
			c.change(e)
			v := Evaluate(e, Options{Only: []string{"nodes-ready"}}).Verdict
			if !strings.Contains(v.Summary, c.want) {
				t.Errorf("summary\n     %s\nwant %s", v.Summary, c.want)
			}
		})
	}
}
