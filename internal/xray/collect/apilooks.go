package collect

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// A look is one request. It returns what puts the answer into the evidence, so
// that one that comes too late writes nothing.
type look struct {
	what  string // that is read
	right string // that it takes, in RBAC's words
	read  func(context.Context, kubernetes.Interface) (func(*evidence.Cluster), error)
}

var looks = []look{
	{"/version", "get of the URL /version", version},
	{"nodes", "list of nodes", nodes},
	{"pods of kube-system", "list of pods in kube-system", pods},
	{"leases of kube-system", "list of leases.coordination.k8s.io in kube-system", leases},
	{"service default/kubernetes", "get of services in default", service},
	{"endpoints default/kubernetes", "get of endpoints in default", endpoints},
	{"endpointslices of default/kubernetes", "list of endpointslices.discovery.k8s.io in default", slicesOf},
	{"servicecidrs", "list of servicecidrs.networking.k8s.io", serviceCIDRs},
	{"validatingwebhookconfigurations", "list of validatingwebhookconfigurations.admissionregistration.k8s.io", validating},
	{"mutatingwebhookconfigurations", "list of mutatingwebhookconfigurations.admissionregistration.k8s.io", mutating},
	{"apiservices", "list of apiservices.apiregistration.k8s.io", apiServices},
	{"customresourcedefinitions", "list of customresourcedefinitions.apiextensions.k8s.io", conversions},
}

const kubernetesService = "kubernetes"

func version(ctx context.Context, c kubernetes.Interface) (func(*evidence.Cluster), error) {
	info, err := discovery.ToServerVersionInterfaceWithContext(c.Discovery()).ServerVersionWithContext(ctx)
	if err != nil {
		return nil, err
	}
	return func(out *evidence.Cluster) { out.Version = info.GitVersion }, nil
}

func nodes(ctx context.Context, c kubernetes.Interface) (func(*evidence.Cluster), error) {
	list, err := c.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	return func(out *evidence.Cluster) { out.Nodes = seen(list.Items) }, nil
}

func pods(ctx context.Context, c kubernetes.Interface) (func(*evidence.Cluster), error) {
	list, err := c.CoreV1().Pods(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	return func(out *evidence.Cluster) { out.Pods = seen(list.Items) }, nil
}

func leases(ctx context.Context, c kubernetes.Interface) (func(*evidence.Cluster), error) {
	list, err := c.CoordinationV1().Leases(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	at := time.Now()
	return func(out *evidence.Cluster) { out.Leases, out.ReadAt = seen(list.Items), at }, nil
}

// service and endpoints that do not exist are seen to be empty.
func service(ctx context.Context, c kubernetes.Interface) (func(*evidence.Cluster), error) {
	found, err := c.CoreV1().Services(metav1.NamespaceDefault).Get(ctx, kubernetesService, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		found, err = &corev1.Service{ObjectMeta: absent}, nil
	}
	return func(out *evidence.Cluster) { out.Service = found }, err
}

func endpoints(ctx context.Context, c kubernetes.Interface) (func(*evidence.Cluster), error) {
	found, err := c.CoreV1().Endpoints(metav1.NamespaceDefault).Get(ctx, kubernetesService, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		found, err = &corev1.Endpoints{ObjectMeta: absent}, nil
	}
	return func(out *evidence.Cluster) { out.Endpoints = found }, err
}

var absent = metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: kubernetesService}

func slicesOf(ctx context.Context, c kubernetes.Interface) (func(*evidence.Cluster), error) {
	selector := metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + kubernetesService}
	list, err := c.DiscoveryV1().EndpointSlices(metav1.NamespaceDefault).List(ctx, selector)
	if err != nil {
		return nil, err
	}
	return func(out *evidence.Cluster) { out.Slices = seen(list.Items) }, nil
}

// serviceCIDRs are objects since Kubernetes 1.33; before, kubeadm knows.
func serviceCIDRs(ctx context.Context, c kubernetes.Interface) (func(*evidence.Cluster), error) {
	list, err := c.NetworkingV1().ServiceCIDRs().List(ctx, metav1.ListOptions{})
	if err == nil {
		cidrs := cidrsOf(list.Items)
		return func(out *evidence.Cluster) { out.ServiceCIDRs = cidrs }, nil
	}
	config, configErr := c.CoreV1().ConfigMaps(metav1.NamespaceSystem).Get(ctx, "kubeadm-config", metav1.GetOptions{})
	if configErr != nil {
		if apierrors.IsNotFound(err) {
			err = nil // an API server that has none to show
		}
		return func(*evidence.Cluster) {}, err
	}
	subnet := serviceSubnet(config.Data["ClusterConfiguration"])
	return func(out *evidence.Cluster) { out.ServiceCIDRs = subnet }, nil
}

// cidrsOf has the network of the kubernetes Service first: others may be added later.
func cidrsOf(items []networkingv1.ServiceCIDR) []string {
	first, others := []string{}, []string{}
	for _, item := range items {
		if item.Name == kubernetesService {
			first = append(first, item.Spec.CIDRs...)
		} else {
			others = append(others, item.Spec.CIDRs...)
		}
	}
	return append(first, others...)
}

func serviceSubnet(clusterConfiguration string) []string {
	var config struct {
		Networking struct {
			ServiceSubnet string `json:"serviceSubnet"`
		} `json:"networking"`
	}
	_ = yaml.Unmarshal([]byte(clusterConfiguration), &config) // what is not YAML tells nothing
	return strings.FieldsFunc(config.Networking.ServiceSubnet, func(r rune) bool { return r == ',' || r == ' ' })
}

// seen is a list that was read, even where it is empty.
func seen[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}
