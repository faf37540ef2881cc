package agent

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
)

const (
	nodeUser  = "system:node:" // with the node's name behind it
	nodeGroup = "system:nodes"
)

// subjectAltName is the one extension that a kubelet asks for.
var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// mayServe says why a request is not to be approved: nil is for a kubelet that asks, in its own name, for nothing but names that
// it has. recorded are these, by node, as haplane's record has them: what the Node says is the kubelet's own word. Whoever has
// become master of one node must not get what the API server, the load balancer or another kubelet is verified by.
func mayServe(csr *certificatesv1.CertificateSigningRequest, recorded map[string]string) error {
	node, isNode := strings.CutPrefix(csr.Spec.Username, nodeUser)
	if !isNode || !slices.Contains(csr.Spec.Groups, nodeGroup) {
		return fmt.Errorf("it is asked for by %q, which is no node", csr.Spec.Username)
	}
	names, known := recorded[node]
	if !known {
		return fmt.Errorf("the record has no node %q", node)
	}
	if err := serves(csr.Spec.Usages); err != nil {
		return err
	}
	request, err := parseRequest(csr.Spec.Request)
	if err != nil {
		return err
	}
	if request.Subject.CommonName != csr.Spec.Username || !slices.Equal(request.Subject.Organization, []string{nodeGroup}) || len(request.Subject.Names) != 2 {
		return fmt.Errorf("its subject is %q, not that of %s", request.Subject, csr.Spec.Username)
	}
	return onlyNames(request, strings.Split(names, ","))
}

// serves wants just the usages of what is served: with one more the certificate would be a client's too.
func serves(usages []certificatesv1.KeyUsage) error {
	wanted := []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageServerAuth}
	rest := slices.DeleteFunc(slices.Clone(usages), func(u certificatesv1.KeyUsage) bool { return u == certificatesv1.UsageKeyEncipherment }) // of RSA
	if slices.Sort(rest); !slices.Equal(rest, wanted) {
		return fmt.Errorf("its usages are %v", usages)
	}
	return nil
}

// parseRequest reads the one request that there may be, and wants it to be signed with its key.
func parseRequest(text []byte) (*x509.CertificateRequest, error) {
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE REQUEST" || len(strings.TrimSpace(string(rest))) > 0 {
		return nil, errors.New("it is not one request in PEM")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	return request, request.CheckSignature()
}

// onlyNames wants all names that are asked for to be some of those.
func onlyNames(request *x509.CertificateRequest, names []string) error {
	for _, e := range request.Extensions {
		if !e.Id.Equal(subjectAltName) {
			return fmt.Errorf("it asks for the extension %s", e.Id)
		}
	}
	asked := slices.Concat(request.DNSNames, request.EmailAddresses)
	for _, ip := range request.IPAddresses {
		asked = append(asked, ip.String())
	}
	for _, uri := range request.URIs {
		asked = append(asked, uri.String())
	}
	if len(request.DNSNames)+len(request.IPAddresses) == 0 {
		return errors.New("it asks for no name")
	}
	for _, name := range asked {
		if !slices.Contains(names, name) {
			return fmt.Errorf("it asks for %q; the record has %s", name, strings.Join(names, ", "))
		}
	}
	return nil
}
