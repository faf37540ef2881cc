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

const (
	anew = "make the cluster anew with `haplane down` and `haplane up`"
	// beside is the way where all that runs would have to change at once.
	beside = "bring up a cluster that has it beside this one, under another name, move what runs here there, and take this one down"
)

// rules has a row for each field but spec.nodes, in the order of the file.
var rules = []rule{
	{"metadata.name", one(func(c *Cluster) string { return c.Metadata.Name }), nil,
		"machines, certificates and the kubeconfig context are named after it", "bring up a cluster of that name beside this one"},
	{"spec.identity", one(func(c *Cluster) string { return string(c.Spec.Identity) }), always, "", ""},
	{"spec.endpointReconciler", one(func(c *Cluster) string { return string(c.Spec.EndpointReconciler) }), always, "", ""},
	{"spec.kubernetesVersion", one(func(c *Cluster) string { return c.Spec.KubernetesVersion }), emptied,
		"another version is an upgrade, and a cluster keeps its version", "leave it as it was, or empty: `haplane upgrade --to VERSION` changes it, in the file too"},
	{"spec.components.dir", one(func(c *Cluster) string { return c.Spec.Components.Dir }), nil, otherPrograms, keepPrograms},
	{"spec.components.url", one(func(c *Cluster) string { return c.Spec.Components.URL }), nil, otherPrograms, keepPrograms},
	{"spec.components.sha256", func(c *Cluster) map[string]string { return keyed("", c.Spec.Components.SHA256) }, nil, otherPrograms, keepPrograms},
	{"spec.certificates.externalCA", one(func(c *Cluster) string { return list(c.Spec.Certificates.ExternalCA) }), always, "", ""},
	{"spec.controlPlane.kubelet", one(func(c *Cluster) string { return flag(c.Spec.ControlPlane.Kubelet) }), always, "", ""},
	{"spec.etcd.snapshots.schedule", one(func(c *Cluster) string { return c.Spec.Etcd.Snapshots.Schedule }), always, "", ""},
	{"spec.etcd.snapshots.retain", one(func(c *Cluster) string { return number(c.Spec.Etcd.Snapshots.Retain) }), always, "", ""},
	{"spec.etcd.snapshots.recipients", one(func(c *Cluster) string { return list(c.Spec.Etcd.Snapshots.Recipients) }), always, "", ""},
	{"spec.loadBalancer.kind", one(func(c *Cluster) string { return string(c.Spec.LoadBalancer.Kind) }), nil,
		"clients would have to move from load balancers of one kind to those of another, which haplane does not do yet", beside},
	// Of a load balancer of the cluster's own, diffNodes says whether its machine can.
	{"spec.loadBalancer.address", one(func(c *Cluster) string { return c.Spec.LoadBalancer.Address }), always, "", ""},
	{"spec.loadBalancer.port", one(func(c *Cluster) string { return strconv.Itoa(c.Spec.LoadBalancer.Port) }), always, "", ""},
	{"spec.loadBalancer.additionalPorts", one(func(c *Cluster) string { return list(c.Spec.LoadBalancer.AdditionalPorts) }), always, "", ""},
	{"spec.loadBalancer.nodeLocal", one(func(c *Cluster) string { return flag(&c.Spec.LoadBalancer.NodeLocal) }), always, "", ""},
	{"spec.loadBalancer.dnsNames", one(func(c *Cluster) string { return list(c.Spec.LoadBalancer.DNSNames) }), always, "", ""},
	{"spec.network.machineCIDR", one(func(c *Cluster) string { return c.Spec.Network.MachineCIDR }), nil,
		"every machine has its address from it", beside},
	{"spec.network.podCIDR", one(func(c *Cluster) string { return c.Spec.Network.PodCIDR }), nil,
		"every node and every pod has addresses from it", beside},
	{"spec.network.serviceCIDR", one(func(c *Cluster) string { return c.Spec.Network.ServiceCIDR }), nil,
		"Services have their addresses from it, which Kubernetes never changes, and the serving certificate has one of them", beside},
	{"spec.network.dnsDomain", one(func(c *Cluster) string { return c.Spec.Network.DNSDomain }), nil,
		"the serving certificate, the issuer of tokens and the DNS configuration of every pod name it", beside},
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

func number(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}

func list[T any](values []T) string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = fmt.Sprint(v)
	}
	return strings.Join(out, ",")
}
