package pki

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Check tells all that keeps a pair from being what the row wants, or from being that any longer; nil where nothing does.
// Where the authority's key is here, the certificate has to be just what haplane would make. What is signed elsewhere may have
// more, as authorities add it: see notCovered.
func Check(row Row, pair, authority Pair, now time.Time) error {
	cert, key, err := pair.parse()
	if err != nil {
		return err
	}
	var why []string
	if !samePublic(key, cert.PublicKey) {
		why = append(why, "certificate and key do not belong together")
	}
	switch {
	case now.After(cert.NotAfter):
		why = append(why, "ended on "+cert.NotAfter.Format(time.DateOnly))
	case now.Before(cert.NotBefore):
		why = append(why, "valid only from "+cert.NotBefore.Format(time.RFC3339)+" on")
	}
	elsewhere := row.CA != "" && len(authority.Key) == 0
	if elsewhere {
		why = append(why, row.notCovered(cert)...)
	} else {
		why = append(why, row.differs(cert)...)
	}
	if err := row.signed(cert, authority); err != nil {
		why = append(why, err.Error())
	}
	if elsewhere && len(why) == 0 { // what the authority itself is bound to, as to names or to a length
		why = append(why, row.refused(cert, authority, now)...)
	}
	if len(why) == 0 {
		return nil
	}
	return errors.New(strings.Join(why, "; "))
}

// differs tells where a certificate is another one than the row's.
func (r Row) differs(cert *x509.Certificate) []string {
	var why []string
	if cert.Subject.CommonName != r.CommonName || !slices.Equal(cert.Subject.Organization, r.Organization) {
		why = append(why, fmt.Sprintf("subject is %s, not %s", cert.Subject, r.subject()))
	}
	if !slices.Equal(cert.ExtKeyUsage, r.Usage.extended()) || cert.IsCA != (r.Usage == ForSigning) {
		why = append(why, "key usage differs")
	}
	if !slices.Equal(cert.DNSNames, r.DNSNames) {
		why = append(why, fmt.Sprintf("DNS names are %v, not %v", cert.DNSNames, r.DNSNames))
	}
	if !slices.Equal(Addresses(cert), r.Addresses) {
		why = append(why, fmt.Sprintf("IP addresses are %v, not %v", cert.IPAddresses, r.Addresses))
	}
	return why
}

// notCovered tells what a certificate that is signed elsewhere lacks, and what it must not have. A client is who its subject
// says; a server is who its names say, so that its subject does not matter and further names do no harm, as long as nobody else in
// the cluster has them: by one of these its key could pass for somebody else, and a node would be in what all nodes have.
func (r Row) notCovered(cert *x509.Certificate) []string {
	var why []string
	wrong := func(is bool, format string, args ...any) {
		if is {
			why = append(why, fmt.Sprintf(format, args...))
		}
	}
	wrong(cert.IsCA, "it is the certificate of an authority")
	wrong(cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageDigitalSignature == 0, "key usage lacks digitalSignature")
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageAny} {
		has, wanted := slices.Contains(cert.ExtKeyUsage, usage), slices.Contains(r.Usage.extended(), usage)
		wrong(wanted && !has, "extended key usage lacks %s", usageNames[usage])
		wrong(has && !wanted, "extended key usage has %s, which makes it good for more than was asked for", usageNames[usage])
	}
	if r.Usage != ForServer {
		same := func(a, b []string) bool {
			return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
		}
		wrong(cert.Subject.CommonName != r.CommonName || !same(cert.Subject.Organization, r.Organization),
			"subject is %s, not %s: it would be somebody else, or in other groups", cert.Subject, r.subject())
	}
	if r.Usage == ForClient {
		return why
	}
	own := r.names()
	lacks := slices.DeleteFunc(slices.Clone(own), func(name string) bool { return cert.VerifyHostname(name) == nil })
	wrong(len(lacks) > 0, "it lacks the names %s", strings.Join(lacks, ", "))
	others := slices.DeleteFunc(slices.Clone(r.Taken), func(name string) bool {
		return slices.Contains(own, name) || cert.VerifyHostname(name) != nil
	})
	wrong(len(others) > 0, "it is good for %s as well, which others in the cluster are", strings.Join(others, ", "))
	return why
}

var usageNames = map[x509.ExtKeyUsage]string{x509.ExtKeyUsageServerAuth: "serverAuth", x509.ExtKeyUsageClientAuth: "clientAuth", x509.ExtKeyUsageAny: "any usage"}

// beyond are the names in a certificate that the row does not ask for.
func (r Row) beyond(cert *x509.Certificate) []string {
	own := r.names()
	return slices.DeleteFunc(Row{DNSNames: cert.DNSNames, Addresses: Addresses(cert)}.names(), func(name string) bool {
		return slices.Contains(own, name)
	})
}

// Beyond are the names that certificates of servers have and nobody has asked for, by the rows of these: of those that are signed elsewhere.
func Beyond(rows []Row, have Bundle) map[string][]string {
	out := map[string][]string{}
	for _, row := range rows {
		cert, err := ParseCertificate(have.Pairs[row.Name].Cert)
		if err != nil || row.Usage != ForServer && row.Usage != ForBoth || !Elsewhere(rows, row.Name) {
			continue
		}
		if more := row.beyond(cert); len(more) > 0 {
			out[row.Name] = more
		}
	}
	return out
}

func (r Row) subject() pkix.Name {
	return pkix.Name{CommonName: r.CommonName, Organization: r.Organization}
}

// signed tells why the row's authority has not signed a certificate; an authority signs itself.
func (r Row) signed(cert *x509.Certificate, authority Pair) error {
	if r.CA == "" {
		return cert.CheckSignatureFrom(cert)
	}
	by, err := ParseCertificate(authority.Cert)
	if err != nil {
		return fmt.Errorf("authority %s: %s", r.CA, missingOr(authority.Cert, err))
	}
	if err := cert.CheckSignatureFrom(by); err != nil {
		return fmt.Errorf("%s (%s) has not signed it: its issuer is %s (%w)", r.CA, by.Subject, cert.Issuer, err)
	}
	return nil
}

// refused tells why those who trust the authority would not take a certificate that it has signed.
func (r Row) refused(cert *x509.Certificate, authority Pair, now time.Time) []string {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority.Cert)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, KeyUsages: r.Usage.extended()}); err != nil {
		return []string{fmt.Sprintf("those who trust %s would not take it: %v", r.CA, err)}
	}
	return nil
}

func (p Pair) parse() (*x509.Certificate, crypto.Signer, error) {
	cert, err := ParseCertificate(p.Cert)
	if err != nil {
		return nil, nil, err
	}
	key, err := parseKey(p.Key)
	return cert, key, err
}

// Addresses are the IP addresses in a certificate.
func Addresses(cert *x509.Certificate) []netip.Addr {
	var out []netip.Addr
	for _, ip := range cert.IPAddresses {
		a, _ := netip.AddrFromSlice(ip)
		out = append(out, a.Unmap())
	}
	return out
}

// ParseCertificate reads the first certificate of a PEM text.
func ParseCertificate(data []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("certificate is not PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}
