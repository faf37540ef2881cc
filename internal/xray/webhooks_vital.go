package xray

import (
	"fmt"
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// A write is a request that a webhook may guard.
type write struct {
	what                         string
	group, resource, subresource string
	namespace                    string // "" for what is in none, and anyNamespace
	operation                    admissionv1.OperationType
}

const anyNamespace = "*"

const (
	electing     = "leader election"
	podsOfSystem = "the pods of kube-system"
)

// vital are the writes that a cluster lives by.
var vital = []write{
	{"the heartbeat of nodes", "coordination.k8s.io", "leases", "", "kube-node-lease", admissionv1.Update},
	{electing, "coordination.k8s.io", "leases", "", "kube-system", admissionv1.Update},
	{"the status of nodes", "", "nodes", "status", "", admissionv1.Update},
	{"the joining of nodes", "", "nodes", "", "", admissionv1.Create},
	{"taints of nodes", "", "nodes", "", "", admissionv1.Update},
	{"endpoints of kube-system", "discovery.k8s.io", "endpointslices", "", "kube-system", admissionv1.Update},
	{podsOfSystem, "", "pods", "", "kube-system", admissionv1.Create},
}

var podsAnywhere = write{"pods", "", "pods", "", anyNamespace, admissionv1.Create}

// onlyPods: what is guarded of kube-system are its pods, as many webhooks do. That is no
// danger while two of them answer.
func onlyPods(stops []string) bool { return len(stops) == 1 && stops[0] == podsOfSystem }

// vitalOf are the vital writes that a webhook guards.
func (s *Scene) vitalOf(w evidence.Webhook) []string {
	var out []string
	for _, v := range vital {
		if guards(w, v) && s.selects(w, v) {
			out = append(out, v.what)
		}
	}
	return out
}

// guards goes by the rules of a webhook alone. With matchPolicy: Equivalent, which is the
// default, other versions of a resource count as the one that is named.
func guards(w evidence.Webhook, v write) bool {
	return slices.ContainsFunc(w.Rules, func(r admissionv1.RuleWithOperations) bool {
		return oneOf(r.APIGroups, v.group) && (!w.Exact || oneOf(r.APIVersions, "v1")) && inScope(r, v) && slices.ContainsFunc(r.Resources, v.isOf) &&
			slices.ContainsFunc(r.Operations, func(o admissionv1.OperationType) bool { return o == admissionv1.OperationAll || o == v.operation })
	})
}

func oneOf(names []string, name string) bool {
	return slices.Contains(names, "*") || slices.Contains(names, name)
}

// isOf: * is every resource without its subresources, and */* all of both.
func (v write) isOf(rule string) bool {
	resource, sub, _ := strings.Cut(rule, "/")
	return (resource == "*" || resource == v.resource) && (sub == "*" || sub == v.subresource)
}

func inScope(r admissionv1.RuleWithOperations, v write) bool {
	if r.Scope == nil || *r.Scope == admissionv1.AllScopes {
		return true
	}
	return (*r.Scope == admissionv1.NamespacedScope) == (v.namespace != "")
}

// selects goes by the selectors. That of namespaces does not concern what is in none.
func (s *Scene) selects(w evidence.Webhook, v write) bool {
	if v.namespace != "" && !matches(w.Namespaces, s.labelsOf(v.namespace)) {
		return false
	}
	return slices.ContainsFunc(s.objectsOf(v), func(l map[string]string) bool { return matches(w.Objects, l) })
}

// labelsOf are those of a namespace. Every one has its name since 1.21.
func (s *Scene) labelsOf(namespace string) map[string]string {
	if l, ok := s.API.Namespaces[namespace]; ok {
		return l
	}
	return map[string]string{"kubernetes.io/metadata.name": namespace}
}

// objectsOf are the labels of the objects that would be written, as far as they were seen.
func (s *Scene) objectsOf(v write) []map[string]string {
	out := []map[string]string{}
	switch v.resource {
	case "nodes":
		for _, n := range s.API.Nodes {
			out = append(out, n.Labels)
		}
	case "pods":
		for _, p := range s.API.Pods {
			out = append(out, p.Labels)
		}
	}
	if len(out) == 0 {
		out = append(out, nil)
	}
	return out
}

// matches: a selector that nobody can read selects nothing, as API servers have it.
func matches(selector *metav1.LabelSelector, of map[string]string) bool {
	if selector == nil {
		return true
	}
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(labels.Set(of))
}

// guardsItself tells a webhook without which its own pods cannot be made. These have the labels
// that its Service selects, and many exempt themselves by those.
func (s *Scene) guardsItself(w evidence.Webhook) bool {
	return w.Service != nil && guards(w, podsAnywhere) && matches(w.Namespaces, s.labelsOf(w.Service.Namespace)) && matches(w.Objects, s.selected(*w.Service))
}

// selected are the labels by which a Service selects pods.
func (s *Scene) selected(r evidence.ServiceRef) map[string]string {
	if b := s.backing(r); b != nil {
		return b.Selector
	}
	return nil
}

// leaderPatience is how long a leader tries to renew its Lease by default.
const leaderPatience = 10 * time.Second

// slowLeases adds up how long webhooks that hang may hold a Lease: mutating ones are asked
// one after the other, validating ones all at once.
func (s *Scene) slowLeases() []Finding {
	var one, others time.Duration
	var names []string
	for _, w := range s.API.Webhooks {
		hits := slices.ContainsFunc(vital[:2], func(v write) bool { return guards(w, v) && s.selects(w, v) })
		if fault, _ := s.backedBy(w); !hits || fault != "" || w.Kind == evidence.Conversion { // who is not there is not waited for
			continue
		}
		names = append(names, w.Name)
		if w.Kind == evidence.Mutating {
			others += w.Timeout
		} else {
			one = max(one, w.Timeout)
		}
	}
	if one+others < leaderPatience {
		return nil
	}
	return []Finding{at{source: "webhook configurations"}.warn(fmt.Sprintf("Leases that wait less than %s for webhooks", leaderPatience),
		fmt.Sprintf("up to %s, if they hang: %s", one+others, list(names))).
		fixed("Exempt kube-system and kube-node-lease by namespaceSelector (kubernetes.io/metadata.name), or leave Leases out of the rules, or set shorter timeoutSeconds.")}
}

// nobodyRenews tells that the Leases of leaders stand still, all that there are.
func (s *Scene) nobodyRenews() bool {
	stand := 0
	for _, name := range elected {
		switch {
		case s.lease(name) == nil:
		case s.judgeLease(name, name).Status != Fail:
			return false
		default:
			stand++
		}
	}
	return stand > 0
}
