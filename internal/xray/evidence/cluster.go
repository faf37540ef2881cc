package evidence

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// A Cluster is what the API shows. A list that could not be read is in
// Evidence.Missing and is nil here; one that is empty is not nil.
type Cluster struct {
	Server  string // URL that was asked
	Context string
	Version string // of the server that answered
	// Ahead is how far the server's clock is ahead of that of the host that looks,
	// by the Date of its answers: to the second.
	Ahead        time.Duration
	ServiceCIDRs []string
	Service      *corev1.Service // default/kubernetes
	Endpoints    *corev1.Endpoints
	Slices       []discoveryv1.EndpointSlice // of default/kubernetes
	Nodes        []corev1.Node
	Pods         []corev1.Pod           // of kube-system
	Leases       []coordinationv1.Lease // of kube-system
	// Webhooks of admission and conversion, and APIs that others serve. Backings are the
	// Services of both.
	Webhooks    []Webhook
	APIServices []APIService
	Backings    []Backing
	// Namespaces are the labels of those that the cluster lives by, and of Backings.
	Namespaces map[string]map[string]string
	ReadAt     time.Time // when the leases were read, by the clock of the host that looks
}

// A Server is one that serves the API, asked from the host that looks.
type Server struct {
	Node    string // "" for the load balancer
	Address string // host:port
	// ServerName is what the certificate was verified for.
	ServerName   string
	Certificates []Certificate // as presented, the serving one first
	VerifyErr    string        // why the certificate does not verify; "" when it does, or no CA is known
	Err          string        // why nobody answered
	Ready        *bool         // /readyz; nil where it was not asked
	ReadyDetail  string        // failing checks of /readyz
	Version      string
	// ServiceAccountKeys are the IDs of the keys in its JWKS: those whose tokens it accepts.
	ServiceAccountKeys []string
}

// A Certificate is one of a file, a kubeconfig or a handshake.
type Certificate struct {
	*x509.Certificate        // nil where it could not be read
	Err               string // why
}

// Fingerprint is the SHA-256 of the certificate in hex.
func (c *Certificate) Fingerprint() string {
	if c == nil || c.Certificate == nil {
		return ""
	}
	return fmt.Sprintf("%x", sha256.Sum256(c.Raw))
}

// PublicKeyDigest is the SHA-256 of the certificate's public key in hex.
func (c *Certificate) PublicKeyDigest() string {
	if c == nil || c.Certificate == nil {
		return ""
	}
	return fmt.Sprintf("%x", sha256.Sum256(c.RawSubjectPublicKeyInfo))
}

// Names are the addresses and DNS names that a certificate is for.
func (c *Certificate) Names() []string {
	if c == nil || c.Certificate == nil {
		return nil
	}
	var out []string
	for _, ip := range c.IPAddresses {
		out = append(out, ip.String())
	}
	return append(out, c.DNSNames...)
}

// Etcd is what one member says, asked on its machine with the credentials of the
// API server or of the health check.
type Etcd struct {
	Endpoint  string // URL that was asked
	Err       string // why it did not answer
	ID        string // member ID in hex
	ClusterID string
	Leader    string // member ID of the leader in hex; "" or "0": none
	Version   string // 3.6.4
	Learner   bool
	Healthy   *bool  // /health, which reads through the quorum; nil where it was not asked
	Health    string // what it said when it was not healthy
	Members   []EtcdMember
	Alarms    []string // NOSPACE, CORRUPT with the member's ID
	DBSize    int64    // bytes
	DBInUse   int64
	Quota     int64 // bytes; 0: not said
	// FsyncP99 and CommitP99 are upper bounds of the buckets in which the 99th
	// percentiles since the start lie; 0: not known.
	FsyncP99  time.Duration
	CommitP99 time.Duration
}

// An EtcdMember is one of the member list.
type EtcdMember struct {
	ID         string // hex
	Name       string // "" until it has started
	PeerURLs   []string
	ClientURLs []string
	Learner    bool
}
