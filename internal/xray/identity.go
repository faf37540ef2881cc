package xray

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

var identityChecks = []Check{
	{
		ID: "identity", Subject: Identity, Title: "All API servers have one identity, the one that is expected",
		Why:    "The identity says who an API server claims to be: by the names in its certificate, the address that it advertises, and the endpoints of the kubernetes Service. Where API servers do not agree, each undoes what the others publish.",
		Source: "https://kubernetes.io/docs/setup/best-practices/certificates/",
		Fix:    "Give all API servers the same kind of --advertise-address and the certificate that belongs to it, and restart them one after the other.",
		Needs:  anyWay, Run: oneIdentity,
	},
	{
		ID: "serving-cert-shared", Subject: Identity, Title: "All API servers present one serving certificate",
		Why:    "In the shared identities any API server may answer under the load balancer's name, and a certificate is renewed for all of them at once. One that has another was left out, and the client that meets it is the one that fails.",
		Source: "https://kubernetes.io/docs/setup/best-practices/certificates/",
		Fix:    "Copy the certificate and key of the others to the node; API servers load them within a minute, those before 1.17 when they are restarted.",
		Needs:  anyWay, Run: servingCertShared,
	},
	{
		ID: "kubernetes-service-ip", Subject: Identity, Title: "The kubernetes Service has the first address of the service network, which is in every serving certificate",
		Why:    "Pods reach the API by this address, which API servers take from --service-cluster-ip-range, and verify the certificate for it.",
		Source: "https://kubernetes.io/docs/tasks/access-application-cluster/access-cluster/#accessing-the-api-from-a-pod",
		Fix:    "Reissue the serving certificate with the address. Where the Service has another one, see first that all API servers have the same --service-cluster-ip-range; then delete it, and an API server makes it again.",
		Needs:  anyWay, Run: kubernetesServiceIP,
	},
	{
		ID: "endpoint-reconciler", Subject: Identity, Title: "API servers keep the endpoints of the kubernetes Service only where each has one of its own",
		Why:    "With lease, an API server that stops in order deletes its key and writes the endpoints. Where all advertise one address they have one key: the Service loses its endpoints while other API servers serve. Measured: up to 100 of 300 connections of pods failed within 24 s around a stop, none with the reconciler off. Where each advertises its own address, nothing but lease takes out one that died.",
		Source: "measured, docs/design.md#why-nobody-reconciles-endpoints-in-shared",
		Fix:    "Set --endpoint-reconciler-type of kube-apiserver (1.9 and later): lease, or none where all advertise the load balancer, as soon as haplane agent runs and keeps the endpoints.",
		Needs:  anyWay, Run: endpointReconciler,
	},
	{
		ID: "endpoint-owner", Subject: Identity, Title: "Where API servers do not keep the endpoints of the kubernetes Service, somebody else does",
		Why:    "With --endpoint-reconciler-type=none no API server repairs default/kubernetes: once it is changed or deleted, no pod reaches the API any more. haplane agent repairs it within a second, on whichever node holds its Lease.",
		Source: "measured, docs/design.md#haplane-agent",
		Fix:    "Start haplane-agent.service (k0s: k0scontroller.service) on all control-plane nodes, or have another program keep the Endpoints and the EndpointSlice.",
		Needs:  []evidence.Way{evidence.Machines, evidence.API}, Run: endpointOwner,
	},
	{
		ID: "peer-advertise-ip", Subject: Identity, Title: "API servers find each other at their own addresses",
		Why:    "API servers of different versions pass requests on to each other (UnknownVersionInteroperabilityProxy, on since 1.36), by the address that each publishes in its Lease. v1.37 publishes --advertise-address there, whatever --peer-advertise-ip says: where that is the load balancer's, a request that is passed on may come back.",
		Source: "https://kubernetes.io/docs/concepts/architecture/mixed-version-proxy/",
		Fix:    "In the shared identity leave the --peer flags out and set --feature-gates=UnknownVersionInteroperabilityProxy=false (1.28 and later). Otherwise set --peer-advertise-ip and --peer-advertise-port (1.28 and later) to the node's own.",
		Needs:  anyWay, Run: peerAdvertiseIP,
	},
	{
		ID: "kubeconfig-servers", Subject: Identity, Title: "Nodes and users ask the load balancer, controller-managers and schedulers the API server beside them",
		Why:    "A kubelet that is tied to one API server on another machine is NotReady when that one fails. A controller-manager or scheduler fails with its own machine anyway; tied to another one, it fails with two.",
		Source: "https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/high-availability/",
		Fix:    "Set the server in the kubeconfig and restart the program: the load balancer for kubelet, kube-proxy and users, the local API server for kube-controller-manager and kube-scheduler.",
		Needs:  fromConfiguration, Run: kubeconfigServers,
	},
	{
		ID: "direct-access", Subject: Identity, Title: "Every API server answers, is ready, and has a certificate that verifies",
		Why:    "Behind the load balancer an API server that is gone is not missed until the next one fails. Asked directly each one shows itself. Its certificate is verified for kubernetes.default, since a node's own address need not be in it.",
		Source: "https://kubernetes.io/docs/reference/using-api/health-checks/",
		Fix:    "Start kube-apiserver on the node; if it runs, see its log, its certificate and packet filters.",
		Needs:  []evidence.Way{evidence.Machines, evidence.API}, Run: directAccess,
	},
}

func oneIdentity(s *Scene) []Finding {
	if s.Identity.Identity == "" {
		return nil
	}
	wanted, tells := s.ExpectedIdentity(), strings.Join(s.Identity.Tells, "; ")
	if wanted == Mixed {
		return []Finding{at{}.fail("one identity", tells)}
	}
	expected := string(wanted)
	if s.wantedIdentity() == "" {
		expected += ", as most are"
	}
	var out []Finding
	for _, a := range s.Instances(evidence.APIServer) {
		if id := s.Identity.ByNode[a.Machine.Name]; id != "" && id != wanted {
			_, tell := s.identityOf(a)
			out = append(out, a.at().fail(expected, fmt.Sprintf("%s: %s", id, tell)))
		}
	}
	if len(out) == 0 && s.Identity.Identity != wanted { // inferred from the API
		out = append(out, at{}.fail(expected, fmt.Sprintf("%s: %s", s.Identity.Identity, tells)))
	}
	return orPass(out, at{}, "%s: %s", s.Identity.Identity, tells)
}

// identityAt is the identity that a machine's API server is to be judged by: where
// there is no common one, its own.
func (s *Scene) identityAt(m *evidence.Machine) spec.Identity {
	if id := s.ExpectedIdentity(); id != Mixed {
		return id
	}
	return s.Identity.ByNode[m.Name]
}

// servingCertShared: in perNode haplane has one certificate for all, kubeadm one for
// each; both are sound, and a mixture is a renewal that was not finished.
func servingCertShared(s *Scene) []Finding {
	var all, named []said
	foreign := map[at]bool{}
	for _, c := range s.servings() {
		if print := c.cert.Fingerprint(); print != "" && c.machine != nil {
			foreign[c.at] = len(without(s.ownName(c.machine), c.cert.Names())) > 0
			all = append(all, said{c.at, print, fmt.Sprintf("SHA-256 %.16s", print)})
		}
	}
	for _, a := range s.Instances(evidence.APIServer) {
		for _, c := range namedCertificates(a) {
			named = append(named, said{c.at(), c.Fingerprint(), fmt.Sprintf("SHA-256 %.16s", c.Fingerprint())})
		}
	}
	out := s.oneOrEachItsOwn("the serving certificate", all, foreign)
	passes := func(f Finding) bool { return f.Status == Pass }
	one := slices.ContainsFunc(out, passes) // else one for some names is not the one that all present
	for path, of := range bySource(named) {
		out = append(out, s.oneOrEachItsOwn("the certificate of --tls-sni-cert-key="+path, of, nil)...)
	}
	if !one {
		out = slices.DeleteFunc(out, passes)
	}
	return out
}

func bySource(all []said) iter.Seq2[string, []said] {
	by := map[string][]said{}
	for _, one := range all {
		by[one.at.source] = append(by[one.at.source], one)
	}
	return func(yield func(string, []said) bool) {
		for _, source := range slices.Sorted(maps.Keys(by)) {
			if !yield(source, by[source]) {
				return
			}
		}
	}
}

// oneOrEachItsOwn judges certificates, of which those that lack their own machine's address
// are foreign to it.
func (s *Scene) oneOrEachItsOwn(what string, all []said, foreign map[at]bool) []Finding {
	count := map[string]bool{}
	for _, one := range all {
		count[one.value] = true
	}
	switch id := s.ExpectedIdentity(); {
	case len(count) <= 1 || id == spec.Shared || id == spec.SharedCertificate:
		return agree(what, all, Fail)
	case len(count) == len(all):
		return []Finding{at{}.skip("%s: each API server has one of its own, which the identity allows", what)}
	}
	if out := borrowed(what, all, foreign); len(out) > 0 {
		return out
	}
	out := agree(what, all, Warn)
	for i, f := range out {
		out[i] = f.fixed("See which of them is right: give %s the certificate of the others only if that has this node's address, else give each node one of its own.", cmp.Or(f.Node, "the node"))
	}
	return out
}

// borrowed are the certificates that are another machine's: it has the same, and they lack the
// address of their own. To copy one to further nodes would break these as well.
func borrowed(what string, all []said, foreign map[at]bool) []Finding {
	var out []Finding
	for _, one := range all {
		i := slices.IndexFunc(all, func(o said) bool { return o.value == one.value && o.at.node != one.at.node })
		if i >= 0 && foreign[one.at] {
			out = append(out, one.at.warn(what+": one of its own, as others have", one.text()+", which "+all[i].at.node+" has too, and which lacks this node's address").
				fixed("Reissue the certificate of kube-apiserver on %s with this node's own address and names, and leave those of the others.", one.at.node))
		}
	}
	return out
}

func kubernetesServiceIP(s *Scene) []Finding {
	if !s.ServiceIP.IsValid() {
		return nil
	}
	var out []Finding
	if s.API != nil && s.API.Service != nil {
		ip := s.API.Service.Spec.ClusterIP
		observed := ip
		if ip == "" {
			observed = "no address, or no such Service"
		}
		out = append(out, at{source: "Service default/kubernetes"}.judge(ip == s.ServiceIP.String(), Fail, s.ServiceIP.String(), observed))
	}
	for _, c := range s.servings() {
		if c.cert.Certificate != nil {
			names := c.cert.Names()
			out = append(out, c.at.judge(slices.Contains(names, s.ServiceIP.String()), Fail, "a certificate with "+s.ServiceIP.String(), list(names)))
		}
	}
	return out
}
