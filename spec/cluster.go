// Package spec is the cluster file: its types, its defaults and its validation.
package spec

// APIVersion and Kind are the only values that the fields of the same name take.
const (
	APIVersion = "haplane/v1alpha1"
	Kind       = "Cluster"
)

// A Cluster is a whole cluster file.
type Cluster struct {
	APIVersion string   `json:"apiVersion" jsonschema:"enum=haplane/v1alpha1"`
	Kind       string   `json:"kind" jsonschema:"enum=Cluster"`
	Metadata   Metadata `json:"metadata"`
	Spec       Spec     `json:"spec"`
}

// Metadata names the cluster.
type Metadata struct {
	// Name is a DNS label of at most 20 characters; machines, the bridge and the
	// kubeconfig context are named after it.
	Name string `json:"name" jsonschema:"minLength=1"`
}

// Spec is what the cluster should be.
type Spec struct {
	Identity           Identity           `json:"identity" jsonschema:"enum=shared,enum=perNode,enum=sharedCertificate"`
	EndpointReconciler EndpointReconciler `json:"endpointReconciler" jsonschema:"enum=none,enum=lease"`
	// KubernetesVersion is what is built, and what programs are checked against. v1.37 is the patch to
	// which haplane pins that minor; empty is the newest, or what ready-made programs are. Such as v1.37.2.
	KubernetesVersion string       `json:"kubernetesVersion,omitempty"`
	Components        Components   `json:"components,omitzero"`
	Certificates      Certificates `json:"certificates,omitzero"`
	ControlPlane      ControlPlane `json:"controlPlane"`
	Etcd              Etcd         `json:"etcd,omitzero"`
	LoadBalancer      LoadBalancer `json:"loadBalancer"`
	Network           Network      `json:"network"`
	// ExtraArgs are flags of the cluster's programs beside, or instead of, those
	// that haplane sets: program, flag without dashes, value.
	ExtraArgs map[string]map[string]string `json:"extraArgs,omitempty"`
	Nodes     []Node                       `json:"nodes" jsonschema:"minItems=1"`
}

// Components says where programs come from when they are not to be built: a
// folder, or a URL below which official release binaries lie.
type Components struct {
	Dir string `json:"dir,omitempty"`
	URL string `json:"url,omitempty"`
	// SHA256 names the programs to fetch from URL, each with its checksum in hexadecimal.
	SHA256 map[string]string `json:"sha256,omitempty"`
}

// Certificates says who signs them.
type Certificates struct {
	// ExternalCA are the authorities whose keys are elsewhere for good: ca, etcd-ca, front-proxy-ca. What they are
	// to sign is written out by haplane, and comes back by haplane certs import.
	ExternalCA []string `json:"externalCA,omitempty" jsonschema:"uniqueItems=true"`
}

// The authorities, as ExternalCA names them.
const (
	CA           = "ca"
	EtcdCA       = "etcd-ca"
	FrontProxyCA = "front-proxy-ca"
)

// ControlPlane is about all control-plane nodes.
type ControlPlane struct {
	// Kubelet makes control-plane nodes Kubernetes nodes. Default true. Without,
	// API servers do not reach pods, so webhooks and aggregated APIs do not work.
	Kubelet *bool `json:"kubelet"`
}

// Etcd is about the storage.
type Etcd struct {
	Snapshots EtcdSnapshots `json:"snapshots,omitzero"`
}

// EtcdSnapshots are snapshots that each machine with an etcd member takes and keeps by itself.
type EtcdSnapshots struct {
	// Schedule is when, in UTC: five fields of cron, or such as @daily or @every 6h. Empty is never.
	Schedule string `json:"schedule,omitempty"`
	// Retain is how many each machine keeps. Default 5.
	Retain *int `json:"retain,omitempty" jsonschema:"minimum=1"`
	// Recipients are public keys of age (age1...). With them a snapshot is encrypted, and has the
	// cluster's keys too; without, it is etcd's data alone.
	Recipients []string `json:"recipients,omitempty" jsonschema:"uniqueItems=true"`
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

// BalancerKind is who balances the load of the API servers.
type BalancerKind string

const (
	// Dedicated are machines of their own, nodes of role load-balancer.
	Dedicated BalancerKind = "dedicated"
	// OnControlPlane are the control-plane nodes themselves, which move the address between them.
	OnControlPlane BalancerKind = "controlPlane"
	// ExternalBalancer is somebody else's, which haplane does not configure.
	ExternalBalancer BalancerKind = "external"
)

// LoadBalancer is where clients reach the API servers.
type LoadBalancer struct {
	// Kind says who it is. Default dedicated.
	Kind BalancerKind `json:"kind" jsonschema:"enum=dedicated,enum=controlPlane,enum=external"`
	// Address is an IP address, or two of different families, separated by a comma. That of the one
	// load balancer, or, where there are several, one that they move between them. Of kind external it
	// has no default, and may be outside of the machine network.
	Address string `json:"address" jsonschema:"minLength=1"`
	Port    int    `json:"port" jsonschema:"minimum=1,maximum=65535"`
	// AdditionalPorts lead to the API servers as well.
	AdditionalPorts []int `json:"additionalPorts,omitempty" jsonschema:"uniqueItems=true"`
	// NodeLocal gives each worker a load balancer for itself and its pods, whatever Kind is: they reach the API
	// servers also without the one at Address. Default false.
	NodeLocal bool `json:"nodeLocal,omitempty"`
	// DNSNames are names of the load balancer that the serving certificate has too.
	DNSNames []string `json:"dnsNames,omitempty" jsonschema:"uniqueItems=true"`
}

// Network holds the address ranges, as CIDR prefixes. Each is one, or two of
// different families, separated by a comma; the first is the primary family.
type Network struct {
	MachineCIDR string `json:"machineCIDR" jsonschema:"minLength=1"`
	PodCIDR     string `json:"podCIDR" jsonschema:"minLength=1"`
	ServiceCIDR string `json:"serviceCIDR" jsonschema:"minLength=1"`
	DNSDomain   string `json:"dnsDomain" jsonschema:"minLength=1"`
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
	// RoleEtcd is a machine for an etcd member alone. Where there is one, the
	// control-plane nodes have none.
	RoleEtcd Role = "etcd"
)

// A Node is a machine in a role. Name and Address have defaults by role and order.
type Node struct {
	Name string `json:"name" jsonschema:"minLength=1"`
	Role Role   `json:"role" jsonschema:"enum=control-plane,enum=worker,enum=load-balancer,enum=etcd"`
	// Address is an IP address of the machine network, or one of each family.
	Address string `json:"address" jsonschema:"minLength=1"`
}
