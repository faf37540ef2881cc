package xray

import (
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// Replicas that are none: each looks healthy by itself, and together they do harm.

var identityReplicaChecks = []Check{
	{
		ID: "one-service-range", Subject: Identity, Title: "API servers hand out Service addresses and node ports of the same ranges",
		Why:    "Every API server hands out addresses of Services and node ports, and repairs what was handed out, by its own flags. With other ranges on one of them there are two allocators: what the one hands out the other refuses or reports as wrong, and which of them is asked is chance. Since 1.33 the address ranges that count are objects, and an API server whose flag differs reports the object as inconsistent.",
		Source: "https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/",
		Fix:    "Give kube-apiserver the range of the others and restart it; then look for Services with addresses or node ports outside of it, and create them anew.",
		Needs:  anyWay, Run: oneServiceRange,
	},
	{
		ID: "service-account-issuer-accepted", Subject: Identity, Title: "Every API server accepts the issuer by which the others sign tokens",
		Why:    "An API server signs tokens of service accounts as the first --service-account-issuer, and accepts those of all that it lists, for the audiences of --api-audiences, which are the issuers by default. Where one does not know the issuer of another, pods are turned away with 401 whenever the load balancer takes them there.",
		Source: "https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery",
		Fix:    "List all issuers in use on every API server, and restart one after the other: from 1.22 on --service-account-issuer may be given several times, and the first one signs. Before that the last one counts alone; give all the same, and pods started before need new tokens.",
		Needs:  anyWay, Run: issuerAccepted,
	},
}

var etcdReplicaChecks = []Check{
	{
		ID: "one-store", Subject: Etcd, Title: "API servers keep everything in the same place of the same etcd cluster",
		Why:    "An API server with another --etcd-prefix, another etcd cluster, or another place for some resources is another cluster behind the same load balancer: what is written through the one does not exist for the other. It replaces nobody when the others fail.",
		Source: "https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/",
		Fix:    "Take the API server out of the load balancer, give it the --etcd-prefix, --etcd-servers and --etcd-servers-overrides of the others, and restart it. What was written through it stays behind in the other place.",
		Needs:  anyWay, Run: oneStore,
	},
}

// apart is what the verdict says of replicas that are none.
var apart = []struct {
	check func(*Scene) []Finding
	says  string
}{
	{oneLeaderElection, "%s may lead beside the elected one"},
	{oneStore, "%s keeps other data"},
	{oneServiceRange, "%s hands out other Service addresses or ports"},
}

// apartNow names the nodes that are no replicas of the others, and what else no number of
// replicas helps against.
func (s *Scene) apartNow() string {
	var out []string
	for _, a := range apart {
		if nodes := failedOn(a.check(s)); len(nodes) > 0 {
			out = append(out, fmt.Sprintf(a.says, list(nodes)))
		}
	}
	if len(failedOn(webhooksFailClosed(s))) > 0 {
		out = append(out, "what a webhook guards is refused now")
	}
	return strings.Join(out, "; ")
}

// failedOn are the nodes of findings that failed, each once.
func failedOn(findings []Finding) []string {
	var out []string
	for _, f := range findings {
		if f.Status == Fail && !slices.Contains(out, f.Node) {
			out = append(out, f.Node)
		}
	}
	return out
}

// live are the instances of a program, but for those that were seen not to run.
func (s *Scene) live(program string) []Instance {
	return slices.DeleteFunc(s.Instances(program), func(i Instance) bool { return stopped(i.Machine, program) })
}

// issuerAccepted compares with the issuer by which most sign.
func issuerAccepted(s *Scene) []Finding {
	var all []said
	var issuers, audiences [][]string
	for _, a := range s.live(evidence.APIServer) {
		v, w := a.List("service-account-issuer"), a.List("api-audiences")
		if len(w) == 0 {
			w = v
		}
		if len(v) > 0 {
			all, issuers, audiences = append(all, said{at: a.at(), value: v[0]}), append(issuers, v), append(audiences, w)
		}
	}
	if len(all) < 2 {
		return nil
	}
	signs := mostCommon(all, func(s said) string { return s.value })
	right := slices.IndexFunc(all, func(s said) bool { return s.value == signs })
	var out []Finding
	var nodes []string
	for i, one := range all {
		nodes = append(nodes, one.at.node)
		switch observed := "--service-account-issuer=" + strings.Join(issuers[i], ","); {
		case !slices.Contains(issuers[i], signs):
			out = append(out, one.at.fail(signs+" among the issuers, as which "+all[right].at.node+" signs", observed))
		case !slices.Contains(issuers[right], one.value):
			out = append(out, one.at.fail("tokens that "+all[right].at.node+" accepts, of "+list(issuers[right]), observed))
		case !slices.ContainsFunc(audiences[i], func(a string) bool { return slices.Contains(audiences[right], a) }):
			out = append(out, one.at.fail("an audience of "+list(audiences[right])+", as on "+all[right].at.node, "--api-audiences="+strings.Join(audiences[i], ",")).
				fixed("Give --api-audiences of kube-apiserver on %s the values of the others, or leave it out everywhere, and restart it.", one.at.node))
		}
	}
	return orPass(out, at{source: all[right].at.source}, "%s, accepted on %s", signs, list(nodes))
}
