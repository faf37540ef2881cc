package xray

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

var anyWay = []evidence.Way{evidence.Machines, evidence.Folder, evidence.API}

var articleChecks = []Check{
	{
		ID: "serving-cert-names", Subject: Article, Title: "The serving certificate has the names that the identity asks for, and no other",
		Why:    "Clients verify the name by which they reach an API server: the load balancer's, 127.0.0.1, the kubernetes Service's. Where nodes share a certificate, the address of one of them in it means that it has to be reissued, copied and loaded everywhere whenever a node comes or goes.",
		Source: "https://kubernetes.io/docs/setup/best-practices/certificates/",
		Fix:    "Reissue the certificate with exactly these names and copy it to the control-plane nodes; API servers load it within a minute, those before 1.17 when they are restarted.",
		Needs:  anyWay, Run: servingCertNames,
	},
	{
		ID: "advertise-address", Subject: Article, Title: "Every API server advertises the address that its identity asks for",
		Why:    "The advertised address becomes an endpoint of the kubernetes Service. In the shared identity it is the load balancer's on all nodes; otherwise it is the node's own, and two nodes that advertise the same one hide each other.",
		Source: "https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/",
		Fix:    "Set --advertise-address of kube-apiserver and restart it, one node after the other.",
		Needs:  anyWay, Run: advertiseAddress,
	},
	{
		ID: "kubernetes-service-endpoints", Subject: Article, Title: "The kubernetes Service leads to API servers that serve",
		Why:    "Pods reach the API through the endpoints of default/kubernetes. One that is stale fails its share of all connections; one that is missing carries nothing; none at all cuts off every controller, operator and DNS server in the cluster.",
		Source: "https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster/#accessing-the-api-from-a-pod",
		Fix:    "In the shared identity let haplane agent own both objects. Otherwise let the API servers keep them (--endpoint-reconciler-type=lease, the default since 1.11; 1.9 and later), and restart one whose endpoint is missing.",
		Needs:  []evidence.Way{evidence.API}, Run: kubernetesServiceEndpoints,
	},
	{
		ID: "leader-elect-flags", Subject: Article, Title: "Schedulers and controller-managers elect a leader",
		Why:    "Several schedulers or controller-managers that all believe to lead act against each other; one that does not take part in the election acts without having been elected.",
		Source: "https://kubernetes.io/docs/concepts/architecture/leases/#leader-election",
		Fix:    "Set --leader-elect=true (which is the default) and restart it.",
		Needs:  anyWay, Run: leaderElectFlags,
	},
	{
		ID: "equal-on-all-nodes", Subject: Article, Title: "Replicas run with equal flags",
		Why:    "The load balancer sends a request to any API server, and any controller-manager or scheduler may lead next. Where one of them is configured differently, the cluster behaves differently depending on who happens to answer or to lead.",
		Source: "https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/high-availability/",
		Fix:    "Give the flag the same value on all control-plane nodes, and restart the program there, one node after the other.",
		Needs:  anyWay, Run: equalOnAllNodes,
	},
}

func advertiseAddress(s *Scene) []Finding {
	var out []Finding
	for _, a := range s.Instances(evidence.APIServer) {
		value, flag := advertisedText(a)
		observed := "--" + flag + "=" + value
		if flag == "bind-address" {
			observed = "no --advertise-address: " + observed
		}
		if value == "" {
			observed = "no --advertise-address: the address of the default route"
		}
		out = append(out, s.advertised(a, value, observed))
	}
	return out
}

func (s *Scene) advertised(a Instance, value, observed string) Finding {
	own, tell := s.advertisesOwn(a)
	if _, err := netip.ParseAddr(value); err != nil && value != "" {
		if strings.Contains(value, "$") && !a.Running {
			return a.at().skip("%s: what that is does not show in files", observed)
		}
		return a.at().fail("an IP address", observed)
	}
	id := s.ExpectedIdentity()
	switch {
	case tell == "" || id == "":
		return a.at().skip("%s; the identity is not known", observed)
	case id == Mixed:
		return a.at().fail("one identity on all nodes", fmt.Sprintf("%s, which makes it %s", observed, s.Identity.ByNode[a.Machine.Name]))
	case id != spec.Shared:
		return a.at().judge(own, Fail, "an address of its own: "+list(s.addressesOf(a.Machine)), observed)
	}
	if _, err := netip.ParseAddr(host(s.Endpoint)); err != nil { // a name, or not known
		return a.at().judge(!own, Fail, "the address of the load balancer", observed)
	}
	return a.at().judge(value == host(s.Endpoint), Fail, "--advertise-address="+host(s.Endpoint), observed)
}

func leaderElectFlags(s *Scene) []Finding {
	var out []Finding
	for _, name := range elected {
		for _, p := range s.Instances(name) {
			value, source := leaderElect(p)
			out = append(out, p.at().judge(value != "false", Fail, name+" with --leader-elect=true", name+": "+source))
		}
	}
	return out
}

// leaderElect tells whether a program takes part in the election: the flag, else
// the configuration file, else the default, which is true.
func leaderElect(p Instance) (value, source string) {
	if v, ok := p.Flag("leader-elect"); ok {
		return strings.ToLower(v), "--leader-elect=" + v
	}
	if section, ok := p.Config["leaderElection"].(map[string]any); ok {
		if v, ok := section["leaderElect"].(bool); ok {
			return fmt.Sprint(v), fmt.Sprintf("leaderElection.leaderElect: %t in its configuration", v)
		}
	}
	return "true", "neither flag nor configuration: the default is true"
}
