package agent

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/haplane/haplane/internal/render"
)

var recorded = map[string]string{"worker-1": "worker-1,10.10.10.21,fd00::15", "worker-2": "worker-2,10.10.10.22"}

// asked is a request as a kubelet makes it, after a change.
func asked(t *testing.T, change func(*x509.CertificateRequest, *certificatesv1.CertificateSigningRequestSpec)) *certificatesv1.CertificateSigningRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	request := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "system:node:worker-1", Organization: []string{"system:nodes"}},
		DNSNames: []string{"worker-1"}, IPAddresses: []net.IP{net.ParseIP("10.10.10.21"), net.ParseIP("fd00::15")}}
	csr := &certificatesv1.CertificateSigningRequest{ObjectMeta: metav1.ObjectMeta{Name: "csr-1", UID: "1"}, Spec: certificatesv1.CertificateSigningRequestSpec{
		SignerName: certificatesv1.KubeletServingSignerName, Username: "system:node:worker-1", Groups: []string{"system:nodes", "system:authenticated"},
		Usages: []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageServerAuth}}}
	change(request, &csr.Spec)
	if csr.Spec.Request == nil {
		der, err := x509.CreateCertificateRequest(rand.Reader, request, key)
		must(t, err)
		csr.Spec.Request = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	}
	return csr
}

// What is approved, and each way in which a node, or somebody who is none, could ask for more.
func TestWhatKubeletsMayServe(t *testing.T) {
	type request = x509.CertificateRequest
	type spec = certificatesv1.CertificateSigningRequestSpec
	tests := map[string]struct {
		change func(*request, *spec)
		why    string // part of it; "" is approved
	}{
		"its own names":            {func(*request, *spec) {}, ""},
		"some of them":             {func(r *request, _ *spec) { r.DNSNames = nil }, ""},
		"with a key of RSA":        {func(_ *request, s *spec) { s.Usages = append(s.Usages, certificatesv1.UsageKeyEncipherment) }, ""},
		"the load balancer's":      {func(r *request, _ *spec) { r.IPAddresses = append(r.IPAddresses, net.ParseIP("10.10.10.3")) }, `asks for "10.10.10.3"`},
		"another node's":           {func(r *request, _ *spec) { r.IPAddresses = []net.IP{net.ParseIP("10.10.10.22")} }, `asks for "10.10.10.22"`},
		"the API server's":         {func(r *request, _ *spec) { r.DNSNames = []string{"worker-1", "kubernetes.default"} }, `asks for "kubernetes.default"`},
		"any":                      {func(r *request, _ *spec) { r.DNSNames = []string{"*"} }, `asks for "*"`},
		"none":                     {func(r *request, _ *spec) { r.DNSNames, r.IPAddresses = nil, nil }, "no name"},
		"a mail address":           {func(r *request, _ *spec) { r.EmailAddresses = []string{"a@b"} }, `asks for "a@b"`},
		"a URI":                    {func(r *request, _ *spec) { r.URIs = []*url.URL{{Scheme: "spiffe", Host: "x"}} }, "spiffe"},
		"as another node":          {func(r *request, _ *spec) { r.Subject.CommonName = "system:node:worker-2" }, "subject"},
		"by another node":          {func(_ *request, s *spec) { s.Username = "system:node:worker-2" }, "subject"},
		"as an administrator":      {func(r *request, _ *spec) { r.Subject.Organization = []string{"system:masters"} }, "subject"},
		"in one group more":        {func(r *request, _ *spec) { r.Subject.Organization = append(r.Subject.Organization, "system:masters") }, "subject"},
		"with a further name":      {func(r *request, _ *spec) { r.Subject.OrganizationalUnit = []string{"x"} }, "subject"},
		"a node that is not known": {func(r *request, s *spec) { s.Username, r.Subject.CommonName = "system:node:x", "system:node:x" }, `no node "x"`},
		"an empty name":            {func(r *request, s *spec) { s.Username, r.Subject.CommonName = "system:node:", "system:node:" }, `no node ""`},
		"by somebody else":         {func(_ *request, s *spec) { s.Username = "system:serviceaccount:a:b" }, "no node"},
		"by who calls himself so":  {func(_ *request, s *spec) { s.Groups = []string{"system:authenticated"} }, "no node"},
		"to be a client too":       {func(_ *request, s *spec) { s.Usages = append(s.Usages, certificatesv1.UsageClientAuth) }, "usages"},
		"to be a client":           {func(_ *request, s *spec) { s.Usages[1] = certificatesv1.UsageClientAuth }, "usages"},
		"to sign":                  {func(_ *request, s *spec) { s.Usages = append(s.Usages, certificatesv1.UsageCertSign) }, "usages"},
		"for nothing":              {func(_ *request, s *spec) { s.Usages = nil }, "usages"},
		"to be an authority": {func(r *request, _ *spec) {
			r.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Value: []byte{0x30, 3, 1, 1, 0xff}}}
		}, "extension 2.5.29.19"},
		"no request":               {func(_ *request, s *spec) { s.Request = []byte("x") }, "PEM"},
		"two requests":             {func(r *request, s *spec) { two(t, r, s) }, "not one request"},
		"with another's signature": {func(r *request, s *spec) { forged(t, r, s) }, "verification"},
		"a certificate for request": {func(_ *request, s *spec) {
			s.Request = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}})
		}, "PEM"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := mayServe(asked(t, test.change), recorded)
			if (err == nil) != (test.why == "") || err != nil && !strings.Contains(err.Error(), test.why) {
				t.Errorf("%v, want %q", err, test.why)
			}
		})
	}
}

func two(t *testing.T, _ *x509.CertificateRequest, s *certificatesv1.CertificateSigningRequestSpec) {
	one := asked(t, func(*x509.CertificateRequest, *certificatesv1.CertificateSigningRequestSpec) {}).Spec.Request
	s.Request = slices.Concat(one, one)
}

// forged has another key than the one that has signed it.
func forged(t *testing.T, _ *x509.CertificateRequest, s *certificatesv1.CertificateSigningRequestSpec) {
	one := asked(t, func(*x509.CertificateRequest, *certificatesv1.CertificateSigningRequestSpec) {}).Spec.Request
	block, _ := pem.Decode(one)
	block.Bytes[len(block.Bytes)-1] ^= 1
	s.Request = pem.EncodeToMemory(block)
}

// It approves what may be, leaves the rest as it is and says so once, and touches nothing that is not its own.
func TestApprovals(t *testing.T) {
	as := func(name string, change func(*certificatesv1.CertificateSigningRequest)) *certificatesv1.CertificateSigningRequest {
		csr := asked(t, func(*x509.CertificateRequest, *certificatesv1.CertificateSigningRequestSpec) {})
		csr.Name, csr.UID = name, types.UID(name)
		change(csr)
		return csr
	}
	good := as("good", func(*certificatesv1.CertificateSigningRequest) {})
	bad := as("bad", func(c *certificatesv1.CertificateSigningRequest) { c.Spec.Username = "me" })
	client := as("client", func(c *certificatesv1.CertificateSigningRequest) {
		c.Spec.SignerName = certificatesv1.KubeAPIServerClientKubeletSignerName
	})
	denied := as("denied", func(c *certificatesv1.CertificateSigningRequest) {
		c.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateDenied, Status: corev1.ConditionTrue}}
	})
	objects := fake.NewClientset(bad, good, client, denied)
	a := &approver{client: objects, status: newStatus("cp-1"), log: slog.New(slog.DiscardHandler)}
	if err := a.look(t.Context()); err == nil || !strings.Contains(err.Error(), render.KubeletNamesMap) {
		t.Errorf("without a record: %v", err)
	}
	_, err := objects.CoreV1().ConfigMaps("kube-system").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: render.KubeletNamesMap}, Data: recorded}, metav1.CreateOptions{})
	must(t, err)
	for range 2 {
		must(t, a.look(t.Context()))
	}
	for name, want := range map[string]string{"good": "Approved", "bad": "", "client": "", "denied": "Denied"} {
		csr, err := objects.CertificatesV1().CertificateSigningRequests().Get(t.Context(), name, metav1.GetOptions{})
		must(t, err)
		got := ""
		for _, c := range csr.Status.Conditions {
			got += string(c.Type)
		}
		if got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for result, want := range map[string]float64{"approved": 1, "refused": 1} {
		if got := testutil.ToFloat64(a.status.requests.WithLabelValues(result)); got != want {
			t.Errorf("%v %s, want %v", got, result, want)
		}
	}
}
