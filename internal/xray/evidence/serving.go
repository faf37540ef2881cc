package evidence

import (
	"path"
	"strings"
)

// ServingFiles are the certificate and the key that kube-apiserver serves with. Without flags it
// takes apiserver.crt of --cert-dir, and makes it where it is not there
// (MaybeDefaultWithSelfSignedCerts of k8s.io/apiserver/pkg/server/options).
func (p *Program) ServingFiles() (cert, key string) {
	cert, key = p.FlagOr("tls-cert-file", ""), p.FlagOr("tls-private-key-file", "")
	if p.Name != APIServer || cert != "" || key != "" {
		return cert, key
	}
	dir := p.FlagOr("cert-dir", "/var/run/kubernetes")
	return path.Join(dir, "apiserver.crt"), path.Join(dir, "apiserver.key")
}

// A NamedCertificate is one that a server shows to those who ask for one of its names.
type NamedCertificate struct {
	Cert, Key string
	Names     []string // nil: those of the certificate
}

// NamedCertificates are those of --tls-sni-cert-key: CERT,KEY or CERT,KEY:NAME,NAME, once
// for each; the first goes before the others.
func (p *Program) NamedCertificates() []NamedCertificate {
	var out []NamedCertificate
	for _, value := range p.Values("tls-sni-cert-key") {
		files, names, named := strings.Cut(value, ":")
		cert, key, pair := strings.Cut(files, ",")
		if !pair {
			continue
		}
		one := NamedCertificate{Cert: strings.TrimSpace(cert), Key: strings.TrimSpace(key)}
		for name := range strings.SplitSeq(names, ",") {
			if named {
				one.Names = append(one.Names, strings.TrimSpace(name))
			}
		}
		out = append(out, one)
	}
	return out
}
