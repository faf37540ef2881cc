package xray

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

func pictureOf(e *evidence.Evidence) Picture { return NewScene(e, Expectation{}).picture() }

func TestPictureOfAHealthyCluster(t *testing.T) {
	p := pictureOf(evidencetest.Healthy(spec.Shared))
	endpoints := []string{"10.10.10.11:6443", "10.10.10.12:6443", "10.10.10.13:6443"}
	names := []string{"10.10.10.3", "127.0.0.1", "10.96.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
	serving := NewScene(evidencetest.Healthy(spec.Shared), Expectation{}).Server("cp-1").Certificates[0]
	want := Picture{
		Endpoint: "10.10.10.3:6443", ServiceIP: "10.96.0.1", ServiceEndpoints: []string{"10.10.10.3"},
		LoadBalancers: []PictureLoadBalancer{{Node: "lb-1", Kind: "haproxy", Frontends: []string{":6443"}, Backends: endpoints}},
		Leaders:       map[string]string{"kube-controller-manager": "cp-2", "kube-scheduler": "cp-3"},
	}
	ids := []string{"cp-1", "cp-2", "cp-3"}
	for i, name := range ids {
		address := evidencetest.Machine(evidencetest.Healthy(spec.Shared), name).Addresses[0].String()
		want.APIServers = append(want.APIServers, PictureAPIServer{Node: name, Addresses: []string{address}, Advertised: "10.10.10.3", Names: names,
			Fingerprint: serving.Fingerprint(), EtcdServers: []string{"https://127.0.0.1:2379"}, Version: "v1.37.2", Ready: new(true),
			Elected: []string{"kube-controller-manager", "kube-scheduler"}})
		want.EtcdMembers = append(want.EtcdMembers, PictureEtcdMember{Name: name, Node: name, Leader: i == 0, Version: "3.7.1", Healthy: new(true),
			ClientURLs: []string{"https://" + address + ":2379"}})
		want.Nodes = append(want.Nodes, PictureNode{Name: name, ControlPlane: true, Server: "https://10.10.10.3:6443", Ready: new(true)})
	}
	want.Nodes = append(want.Nodes, PictureNode{Name: "worker-1", Server: "https://10.10.10.3:6443", Ready: new(true)})
	if diff := cmp.Diff(want, p); diff != "" {
		t.Errorf("picture (-want +got):\n%s", diff)
	}
}

func TestPictureOfADeadMachine(t *testing.T) {
	e := evidencetest.Healthy(spec.Shared)
	evidencetest.Fail(e, "cp-3")
	p := pictureOf(e)
	if a := p.APIServers[2]; a.Node != "cp-3" || a.Ready == nil || *a.Ready {
		t.Errorf("API server %+v, want one on cp-3 that is not ready", a)
	}
	if m := p.EtcdMembers[2]; m.Name != "cp-3" || m.Node != "" || m.Healthy != nil {
		t.Errorf("etcd member %+v, want cp-3, which did not answer, on no machine that was looked at", m)
	}
	if n := p.Nodes[2]; n.Name != "cp-3" || !n.ControlPlane || n.Ready == nil || *n.Ready {
		t.Errorf("node %+v, want cp-3, of the control plane and not ready", n)
	}
	if diff := cmp.Diff([]string{"10.10.10.13:6443"}, p.LoadBalancers[0].Down); diff != "" {
		t.Errorf("down behind the load balancer (-want +got):\n%s", diff)
	}
}

// What was not seen is absent, and what was seen to be empty is empty.
func TestPictureOfPartOfACluster(t *testing.T) {
	files := pictureOf(folderShared())
	if files.ServiceEndpoints != nil || len(files.Leaders) > 0 || len(files.EtcdMembers) > 0 {
		t.Errorf("files show no endpoints, leaders or members: %+v", files)
	}
	for _, a := range files.APIServers {
		if a.Ready != nil || a.Advertised != "10.10.10.3" {
			t.Errorf("files do not show who is ready, and do what is advertised: %+v", a)
		}
	}
	for _, n := range files.Nodes {
		if n.Ready != nil {
			t.Errorf("files do not show whether a node is ready: %+v", n)
		}
	}
	emptied := apiOnlyShared()
	emptied.API.Endpoints, emptied.API.Slices = evidencetest.Endpoints(6443)
	if p := pictureOf(emptied); p.ServiceEndpoints == nil || len(p.ServiceEndpoints) > 0 || len(p.Nodes) != 4 {
		t.Errorf("want no endpoint, which was seen, and four nodes: %+v", p)
	}
}

// Nodes and leaders go by the names of their machines, and none is drawn twice.
func TestPictureNamesMachinesAsTheUserDoes(t *testing.T) {
	e := evidencetest.Healthy(spec.Shared)
	m := evidencetest.Machine(e, "cp-2")
	m.Name = "10.10.10.12"
	evidencetest.Server(e, "cp-2").Node = m.Name
	w := evidencetest.Machine(e, "worker-1")
	w.Name, w.Hostname = "10.10.10.21", "ip-10-10-10-21" // its kubelet has --hostname-override
	p := pictureOf(e)
	if got := p.Leaders["kube-controller-manager"]; got != m.Name {
		t.Errorf("the leader is %q, want %q", got, m.Name)
	}
	var names []string
	for _, n := range p.Nodes {
		names = append(names, n.Name)
		if n.Ready == nil {
			t.Errorf("%s: not known whether it is ready", n.Name)
		}
	}
	if diff := cmp.Diff([]string{"cp-1", "10.10.10.12", "cp-3", "10.10.10.21"}, names); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
}
