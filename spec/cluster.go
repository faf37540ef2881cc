// Package spec is the cluster file: its types, its defaults and its validation.
package spec

// APIVersion and Kind are the only values that the fields of the same name take.
const (
	APIVersion = "haplane/v1alpha1"
	Kind       = "Cluster"
)

// A Cluster is a whole cluster file.
type Cluster struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   Metadata `json:"metadata"`
	Spec       Spec     `json:"spec"`
}

// Metadata names the cluster.
type Metadata struct {
	// Name is a DNS label of at most 20 characters; machines, the bridge and the
	// kubeconfig context are named after it.
	Name string `json:"name"`
}

// Spec is what the cluster should be.
type Spec struct {
	Identity           Identity           `json:"identity"`
	EndpointReconciler EndpointReconciler `json:"endpointReconciler"`
	LoadBalancer       LoadBalancer       `json:"loadBalancer"`
	Network            Network            `json:"network"`
	Nodes              []Node             `json:"nodes"`
}

// Identity says who an API server claims to be: it decides the serving
// certificate, the advertised address and the endpoints of the kubernetes Service.
type Identity string

const (
	// PerNode is the way of Kubernetes The Hard Way: each API server advertises
	// its own address, and the serving certificate lists every node.
	PerNode Identity = "perNode"
	// Shared gives all API servers the identity of the load balancer.
	Shared Identity = "shared"
	// SharedCertificate has the certificate of Shared and the addresses of PerNode.
	SharedCertificate Identity = "sharedCertificate"
)

// EndpointReconciler is who keeps the endpoints of the kubernetes Service.
type EndpointReconciler string

const (
	// ReconcilerNone turns the API servers' reconciler off; haplane agent owns the endpoints.
	ReconcilerNone EndpointReconciler = "none"
	// ReconcilerLease is the API servers' own way: each renews a lease in etcd.
	ReconcilerLease EndpointReconciler = "lease"
)

// LoadBalancer is the address under which clients reach the API servers.
type LoadBalancer struct {
	Address string `json:"address"`
	Port    int    `json:"port"`
}

// Network holds the address ranges, as CIDR prefixes.
type Network struct {
	MachineCIDR string `json:"machineCIDR"`
	PodCIDR     string `json:"podCIDR"`
	ServiceCIDR string `json:"serviceCIDR"`
	DNSDomain   string `json:"dnsDomain"`
	// NAT lets local machines reach out through the host. Default true.
	NAT *bool `json:"nat"`
}

// Role is what a node is for.
type Role string

// The roles of nodes.
const (
	RoleControlPlane Role = "control-plane"
	RoleWorker       Role = "worker"
	RoleLoadBalancer Role = "load-balancer"
)

// A Node is a machine in a role. Name and Address have defaults by role and order.
type Node struct {
	Name    string `json:"name"`
	Role    Role   `json:"role"`
	Address string `json:"address"`
}
