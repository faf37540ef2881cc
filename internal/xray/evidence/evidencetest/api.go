package evidencetest

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/spec"
)

// api is what the API shows.
func (m maker) api() *evidence.Cluster {
	out := &evidence.Cluster{
		Server: "https://" + Endpoint, Context: "kubernetes-admin@demo", Version: KubernetesVersion,
		ServiceCIDRs: []string{ServiceCIDR}, Service: service(), ReadAt: At.Add(time.Second),
		Webhooks: []evidence.Webhook{}, APIServices: []evidence.APIService{}, Backings: []evidence.Backing{},
	}
	addresses := []string{LoadBalancerAddress}
	if m.identity != spec.Shared {
		addresses = nil
		for _, n := range controlPlane {
			addresses = append(addresses, n.address)
		}
	}
	out.Endpoints, out.Slices = Endpoints(6443, addresses...)
	for _, n := range controlPlane {
		out.Nodes = append(out.Nodes, apiNode(n, true))
	}
	out.Nodes = append(out.Nodes, apiNode(worker, false))
	out.Pods = m.pods()
	out.Leases = m.leases()
	return out
}

func service() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "kubernetes"},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIP: ServiceIP, ClusterIPs: []string{ServiceIP},
			Ports: []corev1.ServicePort{{Name: "https", Port: 443, Protocol: corev1.ProtocolTCP}}},
	}
}

// Endpoints are the objects default/kubernetes with addresses.
func Endpoints(port int32, addresses ...string) (*corev1.Endpoints, []discoveryv1.EndpointSlice) {
	meta := metav1.ObjectMeta{Namespace: "default", Name: "kubernetes", Labels: map[string]string{discoveryv1.LabelSkipMirror: "true"}}
	endpoints := &corev1.Endpoints{ObjectMeta: meta}
	slice := discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "default", Name: "kubernetes", Labels: map[string]string{discoveryv1.LabelServiceName: "kubernetes"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: new("https"), Port: &port, Protocol: new(corev1.ProtocolTCP)}},
	}
	if len(addresses) > 0 {
		endpoints.Subsets = []corev1.EndpointSubset{{Ports: []corev1.EndpointPort{{Name: "https", Port: port, Protocol: corev1.ProtocolTCP}}}}
	}
	for _, a := range addresses {
		endpoints.Subsets[0].Addresses = append(endpoints.Subsets[0].Addresses, corev1.EndpointAddress{IP: a})
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{a},
			Conditions: discoveryv1.EndpointConditions{Ready: new(true)}})
	}
	return endpoints, []discoveryv1.EndpointSlice{slice}
}

func apiNode(n node, controlPlane bool) corev1.Node {
	out := corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.name, Labels: map[string]string{corev1.LabelHostname: n.name}},
		Status: corev1.NodeStatus{
			Addresses:  []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: n.address}, {Type: corev1.NodeHostName, Address: n.name}},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady"}},
			NodeInfo:   corev1.NodeSystemInfo{KubeletVersion: KubernetesVersion},
		},
	}
	if controlPlane {
		const role = "node-role.kubernetes.io/control-plane"
		out.Labels[role] = ""
		out.Spec.Taints = []corev1.Taint{{Key: role, Effect: corev1.TaintEffectNoSchedule}}
	}
	return out
}

// pods are those of kube-system: CoreDNS, and where kubeadm made the cluster its
// static pods and kube-proxy.
func (m maker) pods() []corev1.Pod {
	out := []corev1.Pod{pod("coredns-7c65d6cfc9-4xk2p", "cp-2", "k8s-app", "kube-dns"), pod("coredns-7c65d6cfc9-9vjqd", "worker-1", "k8s-app", "kube-dns")}
	if !m.kubeadm {
		return out
	}
	for _, n := range controlPlane {
		for _, p := range m.controlPlanePrograms(n) {
			one := pod(p.Name+"-"+n.name, n.name, "component", p.Name)
			one.Labels["tier"] = "control-plane"
			one.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "8b1c"}
			one.Spec.TerminationGracePeriodSeconds = new(int64(30))
			one.Spec.Containers[0].Command = p.Argv
			out = append(out, one)
		}
	}
	for _, n := range append(controlPlane[:3:3], worker) {
		out = append(out, pod("kube-proxy-"+n.name, n.name, "k8s-app", "kube-proxy"))
	}
	return out
}

func pod(name, node, label, value string) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name, Labels: map[string]string{label: value}},
		Spec:       corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: value}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
}

// leases are those of kube-system: the leaders' and the API servers' own.
func (m maker) leases() []coordinationv1.Lease {
	out := []coordinationv1.Lease{
		lease("kube-controller-manager", "cp-2_5b6c3c1e-3c58-4d4e-9b6e-9d0b8a7f1c11", 15),
		lease("kube-scheduler", "cp-3_0c6a9f5d-7a51-4f7e-8f6e-2f8c1b7d3e22", 15),
	}
	if m.identity == spec.Shared {
		out = append(out, lease("haplane-agent", "cp-1", 6))
	}
	for _, n := range controlPlane {
		hash := sha256.Sum256([]byte(n.name))
		id := "apiserver-" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(hash[:16]))
		one := lease(id, id+"_4f1f0c5e-6a5b-4f0a-8f51-7f2e6a1f9d33", 3600)
		one.Labels = map[string]string{"apiserver.kubernetes.io/identity": "kube-apiserver", corev1.LabelHostname: n.name}
		if m.identity != spec.Shared {
			one.Annotations = map[string]string{corev1.AnnotationPeerAdvertiseAddress: n.address + ":6443"}
		}
		out = append(out, one)
	}
	return out
}

func lease(name, holder string, seconds int32) coordinationv1.Lease {
	return coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, LeaseDurationSeconds: &seconds,
			RenewTime: new(metav1.NewMicroTime(At)), LeaseTransitions: new(int32(2))},
	}
}
