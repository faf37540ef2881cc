package spec

import (
	"fmt"
	"strconv"
	"strings"
)

// A rule says of one field of the cluster file whether a cluster that exists can follow.
type rule struct {
	field string
	// values are the field's, or with keys behind its path, those of its entries.
	values func(*Cluster) map[string]string
	// live tells whether this change can be made; nil is never.
	live         func(old, new string) bool
	why, instead string
}

const anew = "make the cluster anew with `haplane down` and `haplane up`"

// rules has a row for each field but spec.nodes, in the order of the file.
var rules = []rule{
	{"metadata.name", one(func(c *Cluster) string { return c.Metadata.Name }), nil,
		"machines, certificates and the kubeconfig context are named after it", "bring up a cluster of that name beside this one"},
	{"spec.identity", one(func(c *Cluster) string { return string(c.Spec.Identity) }), nil,
		"serving certificate, advertised addresses and the owner of the endpoints would change on all nodes at once", anew},
	{"spec.endpointReconciler", one(func(c *Cluster) string { return string(c.Spec.EndpointReconciler) }), nil,
		"the endpoints of default/kubernetes would change owner on all nodes at once", anew},
	{"spec.kubernetesVersion", one(func(c *Cluster) string { return c.Spec.KubernetesVersion }), emptied,
		"another version is an upgrade, and a cluster keeps its version", "leave it as it was, or empty: `haplane upgrade --to VERSION` changes it, in the file too"},
	{"spec.components.dir", one(func(c *Cluster) string { return c.Spec.Components.Dir }), nil, otherPrograms, keepPrograms},
	{"spec.components.url", one(func(c *Cluster) string { return c.Spec.Components.URL }), nil, otherPrograms, keepPrograms},
	{"spec.components.sha256", func(c *Cluster) map[string]string { return keyed("", c.Spec.Components.SHA256) }, nil, otherPrograms, keepPrograms},
	{"spec.controlPlane.kubelet", one(func(c *Cluster) string { return flag(c.Spec.ControlPlane.Kubelet) }), nil,
		"control-plane nodes would become Kubernetes nodes, or cease to be, with the pods on them", anew},
	{"spec.loadBalancer.address", one(func(c *Cluster) string { return c.Spec.LoadBalancer.Address }), nil,
		"the serving certificate and every kubeconfig name it", anew},
	{"spec.loadBalancer.port", one(func(c *Cluster) string { return strconv.Itoa(c.Spec.LoadBalancer.Port) }), nil,
		"every kubeconfig and the endpoints of default/kubernetes name it", "add the port to spec.loadBalancer.additionalPorts"},
	{"spec.loadBalancer.additionalPorts", one(func(c *Cluster) string { return list(c.Spec.LoadBalancer.AdditionalPorts) }), always, "", ""},
	{"spec.loadBalancer.dnsNames", one(func(c *Cluster) string { return list(c.Spec.LoadBalancer.DNSNames) }), always, "", ""},
	{"spec.network.machineCIDR", one(func(c *Cluster) string { return c.Spec.Network.MachineCIDR }), nil,
		"every machine has its address from it", anew},
	{"spec.network.podCIDR", one(func(c *Cluster) string { return c.Spec.Network.PodCIDR }), nil,
		"every node and every pod has addresses from it", anew},
	{"spec.network.serviceCIDR", one(func(c *Cluster) string { return c.Spec.Network.ServiceCIDR }), nil,
		"Services have their addresses from it, and the serving certificate has one of them", anew},
	{"spec.network.dnsDomain", one(func(c *Cluster) string { return c.Spec.Network.DNSDomain }), nil,
		"the serving certificate, the issuer of tokens and the DNS configuration of every pod name it", anew},
	{"spec.network.nat", one(func(c *Cluster) string { return flag(c.Spec.Network.NAT) }), nil,
		"it is set up with the network, before the machines", anew},
	{"spec.extraArgs", func(c *Cluster) map[string]string {
		out := map[string]string{}
		for program, flags := range c.Spec.ExtraArgs {
			for path, value := range keyed("["+program+"]", flags) {
				out[path] = value
			}
		}
		return out
	}, always, "", ""},
}

const (
	otherPrograms = "other programs are an upgrade, and a cluster keeps its programs"
	keepPrograms  = "leave it as it was, or " + anew
)

func always(_, _ string) bool    { return true }
func emptied(_, new string) bool { return new == "" }

func one(value func(*Cluster) string) func(*Cluster) map[string]string {
	return func(c *Cluster) map[string]string { return map[string]string{"": value(c)} }
}

func keyed(at string, values map[string]string) map[string]string {
	out := make(map[string]string, len(values))
	for key, value := range values {
		out[at+"["+key+"]"] = value
	}
	return out
}

func flag(b *bool) string {
	if b == nil {
		return ""
	}
	return strconv.FormatBool(*b)
}

func list[T any](values []T) string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = fmt.Sprint(v)
	}
	return strings.Join(out, ",")
}
