package render

import (
	"bytes"
	"embed"
	"fmt"
	"text/template"

	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
)

// Manifests are applied before the first node of an upgrade has its turn: they name no API that an older version lacks from which one
// may upgrade, and drop no right that agents of an older haplane need.
//
//go:embed manifests/rbac.yaml manifests/coredns.yaml
var manifestFiles embed.FS

var manifests = template.Must(template.ParseFS(manifestFiles, "manifests/*.yaml"))

// RBAC renders the access that haplane's own users need.
func RBAC() []byte {
	return manifest("rbac.yaml", map[string]any{
		"AdminGroup": pki.AdminGroup, "KubeletClientUser": pki.KubeletClientUser, "FlannelUser": pki.FlannelUser,
		"AgentUser": pki.AgentUser, "AgentNamespaces": []string{"default", "kube-system"},
	})
}

// CoreDNS renders the cluster's DNS: two replicas on two nodes where there are two.
func CoreDNS(in Input) []byte {
	t := in.Topology
	forward := t.NAT
	for _, p := range in.Platforms {
		forward = forward || !p.Container
	}
	return manifest("coredns.yaml", map[string]any{
		"DNSDomain": t.DNSDomain, "DNSServiceIP": t.DNSServiceIP(), "DNSReplicas": min(2, len(t.KubeletNodes())),
		"ControlPlaneTaint": ControlPlaneTaint, "CoreDNSImage": in.Images.CoreDNS,
		// A machine that reaches nobody has no resolver to forward to.
		"Forward": forward,
	})
}

// KubeletNamesMap is the ConfigMap of kube-system that KubeletNames makes.
const KubeletNamesMap = "haplane-kubelets"

// KubeletNames is a manifest of what each kubelet may serve as, by node: its name and addresses. haplane agent approves
// requests of kubelets by it, and not by the Nodes, which kubelets write themselves.
func KubeletNames(t *topology.Topology) []byte {
	var w bytes.Buffer
	fmt.Fprintf(&w, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: kube-system}\ndata:\n", KubeletNamesMap)
	for _, n := range t.KubeletNodes() {
		fmt.Fprintf(&w, "  %s: \"%s,%s\"\n", n.Name, n.Name, topology.Join(n.Addresses))
	}
	return w.Bytes()
}

// NodeLabels is a manifest that labels nodes as those of the control plane, which
// kubelets may not do themselves. Applied to one that is no Node yet, it would make one.
func NodeLabels(nodes ...topology.Node) []byte {
	var w bytes.Buffer
	for _, n := range nodes {
		fmt.Fprintf(&w, "---\napiVersion: v1\nkind: Node\nmetadata: {name: %s, labels: {%s: \"\"}}\n", n.Name, ControlPlaneTaint)
	}
	return w.Bytes()
}

func manifest(name string, values map[string]any) []byte {
	var w bytes.Buffer
	if err := manifests.ExecuteTemplate(&w, name, values); err != nil {
		panic("render: " + err.Error()) // the template is ours: a mistake of the program
	}
	return w.Bytes()
}
