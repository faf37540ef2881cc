package xray

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

func TestEndpoint(t *testing.T) {
	byFile := Expectation{Cluster: &spec.Cluster{Spec: spec.Spec{LoadBalancer: spec.LoadBalancer{Address: "10.10.10.9", Port: 8443}}}}
	tests := []struct {
		name         string
		of           func() *evidence.Evidence
		change       func(*evidence.Evidence)
		expect       Expectation
		want, source string
	}{
		{"kubeconfigs of nodes", healthy(spec.Shared), nil, Expectation{}, "10.10.10.3:6443", "cp-1:" + evidencetest.KubeletConf},
		{"the cluster file goes first", healthy(spec.Shared), nil, byFile, "10.10.10.9:8443", "cluster file"},
		{"a cluster file without a load balancer", healthy(spec.Shared), nil, Expectation{Cluster: clusterFile}, "10.10.10.3:6443", "cp-1:" + evidencetest.KubeletConf},
		{"kubeadm's kubelets use the API server beside them", evidencetest.Kubeadm, nil, Expectation{}, "10.10.10.3:6443", "cp-1:" + evidencetest.KubeletConf},
		{"most count", healthy(spec.Shared), func(e *evidence.Evidence) {
			evidencetest.SetServer(e, "worker-1", evidencetest.KubeletConf, "https://10.10.10.11:6443")
		}, Expectation{}, "10.10.10.3:6443", "cp-1:" + evidencetest.KubeletConf},
		{"the kubeconfig in use", apiOnlyShared, nil, Expectation{}, "10.10.10.3:6443", "kubeconfig"},
		{"a tunnel tells nothing", apiOnlyShared, func(e *evidence.Evidence) { e.API.Server = "https://127.0.0.1:6443" }, Expectation{}, "", ""},
		{"a node that is alone is its own", evidencetest.Kubeadm, func(e *evidence.Evidence) {
			e.Machines, e.API = e.Machines[:1], nil
			evidencetest.SetServer(e, "cp-1", evidencetest.KubeletConf, "https://10.10.10.11:6443")
			evidencetest.SetServer(e, "cp-1", evidencetest.AdminConf, "https://10.10.10.11:6443")
		}, Expectation{}, "10.10.10.11:6443", "cp-1:" + evidencetest.KubeletConf},
		{"files", folderShared, nil, Expectation{}, "10.10.10.3:6443", "cp-1:" + evidencetest.KubeletConf},
		{"files whose kubelets all lead to one master", withoutUnits(inFolder(evidencetest.Kubeadm)), func(e *evidence.Evidence) {
			for _, m := range e.Machines {
				if m.Kubeconfigs[evidencetest.KubeletConf].Path != "" {
					evidencetest.SetServer(e, m.Name, evidencetest.KubeletConf, "https://10.10.10.11:6443")
				}
			}
		}, Expectation{}, "10.10.10.3:6443", "cp-1:" + evidencetest.AdminConf},
		{"a garbage kubeconfig does not count", healthy(spec.Shared), garbageKubeconfig, Expectation{}, "10.10.10.3:6443", "cp-1:" + evidencetest.KubeletConf},
		{"nothing", func() *evidence.Evidence { return &evidence.Evidence{} }, nil, Expectation{}, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := test.of()
			if test.change != nil {
				test.change(e)
			}
			s := NewScene(e, test.expect)
			if s.Endpoint != test.want || s.EndpointSource != test.source {
				t.Errorf("%q by %q, want %q by %q", s.Endpoint, s.EndpointSource, test.want, test.source)
			}
		})
	}
}

func TestHostPort(t *testing.T) {
	for server, want := range map[string]string{
		"https://10.10.10.3:6443": "10.10.10.3:6443", "https://api.example.org": "api.example.org:443", "https://[fd00::1]:6443/x": "[fd00::1]:6443",
		"https://[::ffff:10.0.0.1]:6443": "10.0.0.1:6443", "10.10.10.3:6443": "", "": "", "https://:6443": "", "://": "",
	} {
		if got := HostPort(server); got != want {
			t.Errorf("%q: %q, want %q", server, got, want)
		}
	}
	for hostPort, want := range map[string]string{"10.0.0.1:6443": "10.0.0.1", "[fd00::1]:6443": "fd00::1", "name": "name", "": ""} {
		if got := host(hostPort); got != want {
			t.Errorf("host of %q: %q, want %q", hostPort, got, want)
		}
	}
	for hostPort, want := range map[string]bool{"127.0.0.1:6443": true, "localhost:1": true, "[::1]:6443": true, "10.0.0.1:1": false, "localhost.example.org:1": false} {
		if got := loopback(hostPort); got != want {
			t.Errorf("loopback %q: %t", hostPort, got)
		}
	}
}

func TestServiceIP(t *testing.T) {
	byFile := Expectation{Cluster: &spec.Cluster{Spec: spec.Spec{Network: spec.Network{ServiceCIDR: "10.200.0.0/16"}}}}
	tests := []struct {
		name   string
		of     func() *evidence.Evidence
		change func(*evidence.Evidence)
		expect Expectation
		want   string
	}{
		{"flags", healthy(spec.Shared), nil, byFile, "10.96.0.1"},
		{"a range that does not begin at its address", healthy(spec.Shared), func(e *evidence.Evidence) {
			evidencetest.SetFlagEverywhere(e, evidence.APIServer, "service-cluster-ip-range", "fd00:1::7/112,10.96.0.0/12")
		}, Expectation{}, "fd00:1::1"},
		{"the API's ServiceCIDRs", apiOnlyShared, nil, byFile, "10.96.0.1"},
		{"the cluster file", apiOnlyShared, func(e *evidence.Evidence) { e.API.ServiceCIDRs = nil }, byFile, "10.200.0.1"},
		{"garbage", apiOnlyShared, func(e *evidence.Evidence) { e.API.ServiceCIDRs = []string{"10.96.0.0"} }, Expectation{}, "invalid IP"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := test.of()
			if test.change != nil {
				test.change(e)
			}
			if got := NewScene(e, test.expect).ServiceIP.String(); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

func TestDNSDomain(t *testing.T) {
	noConfig := func(e *evidence.Evidence) {
		for _, m := range e.Machines {
			if k := m.Program(evidence.Kubelet); k != nil {
				k.Config = nil
			}
		}
	}
	kubelets := func(e *evidence.Evidence) {
		noConfig(e)
		evidencetest.SetFlag(evidencetest.Program(e, "worker-1", evidence.Kubelet), "cluster-domain", "flag.example")
	}
	issuer := func(url string) func(*evidence.Evidence) {
		return changes(noConfig, func(e *evidence.Evidence) {
			evidencetest.SetFlagEverywhere(e, evidence.APIServer, "service-account-issuer", url)
		})
	}
	tests := []struct {
		name   string
		change func(*evidence.Evidence)
		expect Expectation
		want   string
	}{
		{"the cluster file", kubelets, Expectation{Cluster: &spec.Cluster{Spec: spec.Spec{Network: spec.Network{DNSDomain: "file.example"}}}}, "file.example"},
		{"a kubelet's configuration", func(*evidence.Evidence) {}, Expectation{}, "cluster.local"},
		{"a kubelet's flag", kubelets, Expectation{}, "flag.example"},
		{"the issuer of tokens", issuer("https://kubernetes.default.svc.issuer.example"), Expectation{}, "issuer.example"},
		{"an issuer elsewhere", issuer("https://tokens.example.org/demo"), Expectation{}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := evidencetest.Healthy(spec.Shared)
			test.change(e)
			if got := NewScene(e, test.expect).dnsDomain(); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// The address of the load balancer may be on a node: it is not that node's own.
func TestOwnAddresses(t *testing.T) {
	lb, own, other := netip.MustParseAddr("10.10.10.3"), netip.MustParseAddr("10.10.10.11"), netip.MustParseAddr("10.10.10.12")
	e := evidencetest.Healthy(spec.Shared)
	m := evidencetest.Machine(e, "cp-1")
	m.Addresses = append(m.Addresses, lb)
	s := NewScene(e, Expectation{})
	for a, want := range map[netip.Addr]bool{own: true, lb: false, other: false} {
		if got := s.isOwn(m, a); got != want {
			t.Errorf("is %s cp-1's own: %t", a, got)
		}
	}
	if diff := cmp.Diff([]string{"10.10.10.11", "10.10.10.3"}, texts(s.addressesOf(m))); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
	for hostPort, want := range map[string]string{"10.10.10.3:6443": "", "10.10.10.12:6443": "cp-2", "cp-3:6443": "cp-3", "10.10.10.21:6443": ""} {
		got := ""
		if o := s.owner(hostPort); o != nil {
			got = o.Name
		}
		if got != want {
			t.Errorf("%s stays on %q, want %q", hostPort, got, want)
		}
	}
}

// In a folder, programs tell the addresses of their machine.
func TestAddressesInFiles(t *testing.T) {
	s := NewScene(folderShared(), Expectation{})
	if diff := cmp.Diff([]string{"10.10.10.12"}, texts(s.addressesOf(s.Machine("cp-2")))); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
}

func texts(all []netip.Addr) []string {
	var out []string
	for _, a := range all {
		out = append(out, a.String())
	}
	return out
}

func TestControlPlane(t *testing.T) {
	noProgram := func(e *evidence.Evidence) { evidencetest.DropProgram(e, "cp-2", evidence.APIServer) }
	noServer := func(e *evidence.Evidence) { evidencetest.Server(e, "cp-2").Node = "somewhere" }
	tests := []struct {
		name   string
		change func(*evidence.Evidence)
		expect Expectation
		want   string
	}{
		{"by programs", withoutAPI, Expectation{}, "cp-1, cp-2, cp-3"},
		{"by their label", changes(noProgram, noServer), Expectation{}, "cp-1, cp-2, cp-3"},
		{"by the cluster file", changes(noProgram, withoutAPI), Expectation{Cluster: clusterFile}, "cp-1, cp-2, cp-3"},
		{"because one was asked there", changes(noProgram, func(e *evidence.Evidence) { e.API = nil }), Expectation{}, "cp-1, cp-2, cp-3"},
		{"nothing tells", changes(noProgram, withoutAPI), Expectation{}, "cp-1, cp-3"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			e := evidencetest.Healthy(spec.Shared)
			test.change(e)
			var got []string
			for _, m := range NewScene(e, test.expect).ControlPlane() {
				got = append(got, m.Name)
			}
			if list(got) != test.want {
				t.Errorf("%s, want %s", list(got), test.want)
			}
		})
	}
}

// A node goes by its name, else by its address; one that was left behind at the
// address of another is nobody's.
func TestMachineOfNode(t *testing.T) {
	e := evidencetest.Healthy(spec.Shared)
	old := *evidencetest.Node(e, "worker-1")
	old.Name = "worker-0"
	e.API.Nodes = append(e.API.Nodes, old)
	s := NewScene(e, Expectation{})
	if m := s.MachineOf(old); m != nil {
		t.Errorf("worker-0 is %s, want nobody", m.Name)
	}
	w := s.Machine("worker-1")
	if n := s.NodeOf(w); n == nil || n.Name != "worker-1" {
		t.Errorf("worker-1 is node %v", n)
	}
	w.Name, w.Hostname = "box", "box.example"
	if m := s.MachineOf(old); m != w {
		t.Errorf("worker-0 is %v, want box by its address", m)
	}
}
