package xray

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// A namedCertificate is one that an API server shows for some names alone.
type namedCertificate struct {
	placed
	names []string // those that the flag gives it; nil: those in it
}

// namedCertificates are those of --tls-sni-cert-key whose files could be read.
func namedCertificates(a Instance) []namedCertificate {
	var out []namedCertificate
	for _, c := range a.NamedCertificates() {
		if all := readable(a.Machine, c.Cert); len(all) > 0 {
			out = append(out, namedCertificate{all[0], c.Names})
		}
	}
	return out
}

// shown is the certificate that a client gets to see who asks for a name, as package
// dynamiccertificates of k8s.io/apiserver chooses: names that the flag gives go before those
// in certificates, an earlier flag before a later one, and addresses count only where the flag
// gives them, since clients do not send them. Path is "" for the one without names.
func (c serving) shown(name string) (cert *evidence.Certificate, path string) {
	name = strings.ToLower(name)
	for _, flagged := range []bool{true, false} {
		for _, n := range c.named {
			if (n.names != nil) == flagged && n.is(name) {
				return n.Certificate, n.path
			}
		}
	}
	if _, err := netip.ParseAddr(name); err != nil && !has(c.cert, name) {
		for _, n := range c.named {
			if has(n.Certificate, name) {
				return n.Certificate, n.path
			}
		}
	}
	return c.cert, ""
}

func (n namedCertificate) is(name string) bool {
	names := n.names
	if names == nil {
		names = slices.Clone(n.DNSNames)
		if _, err := netip.ParseAddr(n.Subject.CommonName); err != nil {
			names = append(names, n.Subject.CommonName)
		}
	}
	_, domain, _ := strings.Cut(name, ".")
	return slices.ContainsFunc(names, func(one string) bool {
		one = strings.ToLower(one)
		return one == name || domain != "" && one == "*."+domain
	})
}

// has tells whether a certificate is good for a name or an address.
func has(c *evidence.Certificate, name string) bool {
	return c.Certificate != nil && c.VerifyHostname(name) == nil
}

// lacking are the names for which a client sees a certificate that does not have them.
func (c serving) lacking(required []string) []string {
	var out []string
	for _, name := range required {
		cert, path := c.shown(name)
		switch {
		case has(cert, name):
		case path != "":
			out = append(out, name+" (for which it shows "+path+")")
		default:
			out = append(out, name)
		}
	}
	return out
}

// misnamed tells whether it is for certificates of --tls-sni-cert-key alone that names are lacking.
func (c serving) misnamed(lacking []string) bool {
	own := c
	own.named = nil
	return len(lacking) > 0 && len(own.lacking(names(lacking))) == 0
}

// names are those of lacking, without what is shown for them.
func names(lacking []string) []string {
	var out []string
	for _, one := range lacking {
		name, _, _ := strings.Cut(one, " (")
		out = append(out, name)
	}
	return out
}

// isNamed tells whether what an API server showed is one of its named certificates: which it
// shows depends on the name that was asked for.
func isNamed(a Instance, cert evidence.Certificate) bool {
	return slices.ContainsFunc(namedCertificates(a), func(n namedCertificate) bool { return n.Fingerprint() == cert.Fingerprint() })
}
