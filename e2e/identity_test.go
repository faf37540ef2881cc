//go:build e2e

package e2e

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/haplane/haplane/internal/topology"
)

// checkIdentity asks the machines what the shared identity comes to: the serving
// certificate, the advertised address, the endpoints, leader election.
func (c *cluster) checkIdentity(t *testing.T) {
	t.Run("serving-certificate", c.checkCertificates)
	t.Run("advertise-address", c.checkAPIServerArguments)
	t.Run("endpoints", c.checkEndpoints)
	t.Run("leader-election", c.checkLeaderElection)
}

func (c *cluster) checkCertificates(t *testing.T) {
	roots, prints := c.roots(t), map[string]string{}
	for _, node := range append([]string{"lb-1"}, controlPlane...) {
		cert := presented(t, c.address(node)+":6443", topology.KubernetesName, roots)
		prints["presented by "+node] = c.checkCertificate(t, node, cert)
	}
	for _, node := range controlPlane {
		block, _ := pem.Decode([]byte(c.on(t, node, "cat /etc/kubernetes/pki/apiserver.crt")))
		if block == nil {
			t.Fatalf("%s: apiserver.crt has no PEM block", node)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatalf("%s: %v", node, err)
		}
		prints["file of "+node] = c.checkCertificate(t, node, cert)
	}
	for where, print := range prints {
		want(t, "fingerprint "+where, print, prints["file of cp-1"])
	}
}

// presented is the certificate that a server shows to a client that asks for a
// name, verified.
func presented(t *testing.T, address, name string, roots *x509.CertPool) *x509.Certificate {
	t.Helper()
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: name}}
	conn, err := dialer.DialContext(background(t), "tcp", address)
	if err != nil {
		t.Fatalf("%s as %s: %v", address, name, err)
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0]
}

// checkCertificate compares the names in a certificate, and returns its fingerprint.
func (c *cluster) checkCertificate(t *testing.T, node string, cert *x509.Certificate) string {
	t.Helper()
	var addresses []string
	for _, ip := range cert.IPAddresses {
		a, _ := netip.AddrFromSlice(ip)
		addresses = append(addresses, a.Unmap().String())
	}
	if want := []string{c.address("lb-1"), "127.0.0.1", "10.96.0.1"}; !same(addresses, want) {
		t.Errorf("%s: addresses in the certificate are %v, want %v", node, addresses, want)
	}
	names := []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost"}
	if !same(cert.DNSNames, names) {
		t.Errorf("%s: names in the certificate are %v, want %v", node, cert.DNSNames, names)
	}
	want(t, node+": public key algorithm", cert.PublicKeyAlgorithm, x509.ECDSA)
	want(t, node+": lifetime", cert.NotAfter.Sub(cert.NotBefore).Round(24*time.Hour), 365*24*time.Hour)
	return fmt.Sprintf("%x", sha256.Sum256(cert.Raw))
}

// arguments are those of a unit's process as the kernel has them.
func (c *cluster) arguments(t *testing.T, node, unit string) []string {
	t.Helper()
	out := c.on(t, node, fmt.Sprintf(`tr '\0' '\n' </proc/$(systemctl show --property=MainPID --value %s)/cmdline`, unit))
	return strings.Split(out, "\n")
}

func (c *cluster) checkAPIServerArguments(t *testing.T) {
	var first []string
	for _, node := range controlPlane {
		args := c.arguments(t, node, "kube-apiserver")
		for _, arg := range []string{"--advertise-address=" + c.address("lb-1"),
			"--bind-address=0.0.0.0", "--endpoint-reconciler-type=none", "--etcd-servers=https://127.0.0.1:2379",
			"--authorization-mode=Node,RBAC", "--shutdown-send-retry-after=false"} {
			if !slices.Contains(args, arg) {
				t.Errorf("%s: the API server runs without %s: %v", node, arg, args)
			}
		}
		if first == nil {
			first = args
		}
		if d := cmp.Diff(first, args); d != "" {
			t.Errorf("%s: the API server runs with other arguments than that of cp-1:\n%s", node, d)
		}
	}
}

func (c *cluster) checkLeaderElection(t *testing.T) {
	for _, unit := range []string{"kube-scheduler", "kube-controller-manager"} {
		first := c.arguments(t, "cp-1", unit)
		for _, node := range controlPlane {
			args := c.arguments(t, node, unit)
			if !slices.Contains(args, "--leader-elect=true") {
				t.Errorf("%s: %s runs without --leader-elect=true: %v", node, unit, args)
			}
			if d := cmp.Diff(first, args); d != "" {
				t.Errorf("%s: %s runs with other arguments than that of cp-1:\n%s", node, unit, d)
			}
		}
	}
}

// checkEndpoints asks each API server for itself.
func (c *cluster) checkEndpoints(t *testing.T) {
	ctx := background(t)
	for node, client := range c.clients(t) {
		endpoints, err := client.CoreV1().Endpoints("default").Get(ctx, "kubernetes", metav1.GetOptions{})
		if err != nil {
			t.Fatalf("%s: %v", node, err)
		}
		slices, err := client.DiscoveryV1().EndpointSlices("default").List(ctx, metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=kubernetes"})
		if err != nil {
			t.Fatalf("%s: %v", node, err)
		}
		if err := c.endpointsWrong(endpoints); err != nil {
			t.Errorf("%s: %v", node, err)
		}
		if err := c.slicesWrong(slices.Items); err != nil {
			t.Errorf("%s: %v", node, err)
		}
	}
}

// endpointsWrong says what is not right about the Endpoints default/kubernetes.
func (c *cluster) endpointsWrong(e *corev1.Endpoints) error {
	want := []corev1.EndpointSubset{{Addresses: []corev1.EndpointAddress{{IP: c.address("lb-1")}},
		Ports: []corev1.EndpointPort{{Name: "https", Port: 6443, Protocol: corev1.ProtocolTCP}}}}
	if d := cmp.Diff(want, e.Subsets); d != "" {
		return fmt.Errorf("subsets of the Endpoints (-want +got):\n%s", d)
	}
	if got := e.Labels["endpointslice.kubernetes.io/skip-mirror"]; got != "true" {
		return fmt.Errorf("label skip-mirror of the Endpoints is %q", got)
	}
	return nil
}

// slicesWrong says what is not right about the slices of default/kubernetes.
func (c *cluster) slicesWrong(items []discoveryv1.EndpointSlice) error {
	if len(items) != 1 || items[0].Name != "kubernetes" {
		return fmt.Errorf("slices of the Service are %d, want the one named kubernetes", len(items))
	}
	s := items[0]
	if len(s.Endpoints) != 1 || !slices.Equal(s.Endpoints[0].Addresses, []string{c.address("lb-1")}) || !is(s.Endpoints[0].Conditions.Ready, true) {
		return fmt.Errorf("endpoints of the EndpointSlice are %v", s.Endpoints)
	}
	if len(s.Ports) != 1 || *s.Ports[0].Name != "https" || *s.Ports[0].Port != 6443 || *s.Ports[0].Protocol != corev1.ProtocolTCP {
		return fmt.Errorf("ports of the EndpointSlice are %v", s.Ports)
	}
	if s.AddressType != discoveryv1.AddressTypeIPv4 {
		return fmt.Errorf("address type of the EndpointSlice is %s", s.AddressType)
	}
	return nil
}
