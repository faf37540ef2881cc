package xray

import (
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

var extensionChecks = []Check{
	{
		ID: "webhooks-fail-closed", Subject: Nodes, Title: "Webhooks do not stop what the cluster lives by",
		Why:    "With failurePolicy: Fail, which is the default, an API server refuses each write that a webhook guards while that does not answer, and with a conversion webhook also reads. Where these are Leases, nodes or the pods of kube-system, the webhook's failure is the cluster's: nodes are lost, leaders step down, and what would start the webhook again may be among what is refused. A webhook that hangs holds each request up for its timeoutSeconds, whatever its failurePolicy.",
		Source: "https://kubernetes.io/docs/concepts/cluster-administration/admission-webhooks-good-practices/",
		Fix:    "Exempt kube-system and kube-node-lease by namespaceSelector (kubernetes.io/metadata.name, which namespaces have since 1.21), name resources in place of *, run two replicas on different nodes, or set failurePolicy: Ignore. Webhooks are not asked about webhook configurations: these can always be changed.",
		Needs:  []evidence.Way{evidence.API}, Run: webhooksFailClosed,
	},
	{
		ID: "aggregated-apis", Subject: Nodes, Title: "Every API that another server serves is available",
		Why:    "While an aggregated API is not available, its group is missing from discovery. Namespaces that are deleted stay Terminating, for nobody can tell what is left in them, quotas and garbage collection of the group stand still, and kubectl warns at each command.",
		Source: "https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/",
		Fix:    "Start the server behind the APIService's Service, or delete the APIService if what it belongs to is gone.",
		Needs:  []evidence.Way{evidence.API}, Run: aggregatedAPIs,
	},
}

func webhooksFailClosed(s *Scene) []Finding {
	if s.API == nil || s.API.Webhooks == nil {
		return nil
	}
	out := s.slowLeases()
	closed := 0
	for _, w := range s.API.Webhooks {
		if w.FailClosed && len(w.Rules) > 0 {
			closed++
			out = append(out, s.failClosed(w)...)
		}
	}
	if f, ok := s.ledNowhere(); ok {
		out = append(out, f)
	}
	return orPass(out, at{}, "%s, of which %d fail closed: none of them stops Leases, nodes or the pods of kube-system", plural(len(s.API.Webhooks), "webhook"), closed)
}

// failClosed judges a webhook without whose answer nothing is written.
func (s *Scene) failClosed(w evidence.Webhook) []Finding {
	where := at{source: w.Kind + " " + w.Object}
	stops := s.vitalOf(w)
	fault, alone := s.backedBy(w)
	name := "webhook " + w.Name
	switch {
	case fault != "" && w.Conditional:
		return []Finding{where.warn(name+" that answers", fmt.Sprintf("%s, of what its matchConditions hold for: %s", fault, refused(stops, w))).fixed("%s", mendWebhook(w))}
	case fault != "":
		return []Finding{where.fail(name+" that answers", fmt.Sprintf("%s: %s", fault, refused(stops, w))).fixed("%s", mendWebhook(w))}
	case slices.Contains(stops, electing) && s.nobodyRenews():
		return []Finding{where.fail(name+" that lets Leases be renewed", fmt.Sprintf("it guards %s, and no leader renews its Lease any more%s", list(stops), comma(alone))).fixed("%s", mendWebhook(w))}
	case len(stops) > 0 && !onlyPods(stops):
		return []Finding{where.warn(name+" that leaves alone what the cluster lives by", fmt.Sprintf("it guards %s%s", list(stops), comma(alone)))}
	case s.guardsItself(w):
		return []Finding{where.warn(name+" that leaves its own pods alone", "it guards the pods of its own namespace "+w.Service.Namespace+comma(alone)+": after all of them are gone, none can be made").
			fixed("Exempt namespace %s by the namespaceSelector of %s.", w.Service.Namespace, w.Object)}
	case w.Service == nil && (len(stops) > 0 || guards(w, podsAnywhere)):
		return []Finding{where.warn(name+" that was seen to answer", "it guards pods, "+alone).fixed("See that %s answers every control-plane node.", w.URL)}
	case alone != "" && (len(stops) > 0 || guards(w, podsAnywhere)):
		return []Finding{where.warn(name+" by two pods on different nodes", "it guards pods, "+alone)}
	}
	return nil
}

// ledNowhere judges the way from API servers to the Services of webhooks that fail closed.
func (s *Scene) ledNowhere() (f Finding, ok bool) {
	off, asked := s.offNodes(), []string{}
	for _, w := range s.API.Webhooks {
		if w.FailClosed && len(w.Rules) > 0 && w.Service != nil {
			asked = append(asked, w.Name)
		}
	}
	if len(off) == 0 || len(asked) == 0 {
		return f, false
	}
	return at{source: "webhook configurations"}.warn("API servers that reach the Services of webhooks", fmt.Sprintf("those of %s run on machines without kubelet and kube-proxy, and have no --egress-selector-config-file: how they reach %s was not seen",
		list(off), list(distinct(asked)))).fixed("Let kubelet and kube-proxy run there, or konnectivity lead API servers to Services; until then set failurePolicy: Ignore where these webhooks are named."), true
}

// offNodes are the machines of API servers that are no nodes: addresses of Services and
// pods lead nowhere there, unless something else takes them.
func (s *Scene) offNodes() []string {
	var out []string
	for _, a := range s.live(evidence.APIServer) {
		_, egress := a.Flag("egress-selector-config-file")
		if a.Machine.Way == evidence.Machines && !egress && a.Machine.Program(evidence.Kubelet) == nil && a.Machine.Program(evidence.KubeProxy) == nil {
			out = append(out, a.Machine.Name)
		}
	}
	return out
}

func comma(text string) string {
	if text == "" {
		return ""
	}
	return ", " + text
}

// refused says what is refused.
func refused(vital []string, w evidence.Webhook) string {
	what := "writes of " + guarded(w)
	if w.Kind == evidence.Conversion {
		what = "reads and " + what
	}
	switch {
	case len(vital) > 0:
		what = list(vital) + ", and all " + what
	case w.Namespaces != nil && !matches(w.Namespaces, nil), w.Objects != nil && !matches(w.Objects, nil):
		what += " that its selectors match"
	}
	return "it stops " + what
}

// guarded names the resources of the rules.
func guarded(w evidence.Webhook) string {
	var out []string
	for _, r := range w.Rules {
		for _, resource := range r.Resources {
			for _, group := range r.APIGroups {
				if group != "" && resource != "*" && resource != "*/*" {
					out = append(out, resource+"."+group)
				} else if group == "*" || group == "" {
					out = append(out, resource)
				} else {
					out = append(out, group+"/"+resource)
				}
			}
		}
	}
	return list(distinct(out))
}

func mendWebhook(w evidence.Webhook) string {
	answer := "what answers at " + w.URL
	if w.Service != nil {
		answer = fmt.Sprintf("what answers for Service %s/%s", w.Service.Namespace, w.Service.Name)
	}
	if w.Kind == evidence.Conversion {
		return fmt.Sprintf("Start %s: until then %s can be neither read nor written in other versions than the stored one.", answer, w.Object)
	}
	return fmt.Sprintf("Start %s; set failurePolicy: Ignore in %s %s until it does, which is always possible; or delete it, if what it belongs to is gone.", answer, w.Kind, w.Object)
}

// backedBy is why nobody answers for a webhook, or whether one machine or pod alone does.
func (s *Scene) backedBy(w evidence.Webhook) (fault, alone string) {
	if w.Service == nil {
		return "", "asked at " + w.URL + ", of which it was not seen whether it answers"
	}
	b := s.backing(*w.Service)
	if b == nil {
		return "", ""
	}
	return b.fault(*w.Service), b.alone(len(s.API.Nodes))
}

// A backed is the Service of a webhook or an aggregated API.
type backed struct{ evidence.Backing }

func (s *Scene) backing(r evidence.ServiceRef) *backed {
	for _, b := range s.API.Backings {
		if b.Namespace == r.Namespace && b.Name == r.Name {
			b.Headless = b.Headless && !s.routesToEndpoints()
			return &backed{b}
		}
	}
	return nil
}

// routesToEndpoints tells of API servers that go to pods themselves, also where a Service has no
// address.
func (s *Scene) routesToEndpoints() bool {
	all := s.live(evidence.APIServer)
	return len(all) > 0 && !slices.ContainsFunc(all, func(a Instance) bool { return a.FlagOr("enable-aggregator-routing", "") != "true" })
}

// fault is why an API server gets no answer.
func (b *backed) fault(r evidence.ServiceRef) string {
	name := "Service " + b.Namespace + "/" + b.Name
	switch {
	case !b.Exists:
		return name + " does not exist"
	case b.External != "":
		return ""
	case b.Headless:
		return name + " is headless, where API servers cannot be led"
	case len(b.Ports) > 0 && !slices.Contains(b.Ports, r.Port):
		return fmt.Sprintf("%s has no port %d", name, r.Port)
	case len(b.Ready) == 0 && b.NotReady > 0:
		return fmt.Sprintf("%s has no ready endpoint, and %d that are not", name, b.NotReady)
	case len(b.Ready) == 0:
		return name + " has no endpoint"
	}
	return ""
}

// alone tells of what is answered by one pod, or by pods of one node of several. Where there is
// one node, that is no more alone than all else.
func (b *backed) alone(nodes int) string {
	on := distinct(b.Ready)
	switch {
	case b.External != "" || len(b.Ready) == 0 || nodes == 1:
		return ""
	case len(b.Ready) == 1 && on[0] == "":
		return "and one endpoint alone answers"
	case len(b.Ready) == 1:
		return "and one pod alone answers, on " + on[0]
	case len(on) == 1 && on[0] != "" && nodes > 1:
		return fmt.Sprintf("and all %d pods that answer are on %s", len(b.Ready), on[0])
	}
	return ""
}

func aggregatedAPIs(s *Scene) []Finding {
	if s.API == nil || s.API.APIServices == nil {
		return nil
	}
	var out []Finding
	var names []string
	for _, a := range s.API.APIServices {
		where, expected := at{source: "APIService " + a.Name}, "an API that is available"
		observed := strings.TrimSuffix(a.Reason, ".")
		if b := s.backing(a.Service); b != nil && b.fault(a.Service) != "" {
			observed = b.fault(a.Service)
		}
		switch {
		case a.Available == "True":
			names = append(names, a.Name)
		case a.Available == "False":
			out = append(out, where.fail(expected, "not available: "+observed))
		default:
			out = append(out, where.warn(expected, "nobody has found out yet whether it is: "+observed))
		}
	}
	return orPass(out, at{}, "of other servers: %s", list(names))
}
