package xray

import (
	"cmp"
	"crypto/x509"
	"path"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// servingLinks: what API servers present, by the CAs that clients are given: in
// kubeconfigs, and to pods by the controller manager.
func (s *Scene) servingLinks() []link {
	var out []link
	for _, a := range s.Instances(evidence.APIServer) {
		file, _ := a.ServingFiles()
		chain := readable(a.Machine, file)
		if server := s.Server(a.Machine.Name); len(chain) == 0 && server != nil {
			for i := range server.Certificates {
				if server.Certificates[i].Certificate != nil {
					chain = append(chain, placed{&server.Certificates[i], a.Machine, "TLS handshake with " + server.Address, i})
				}
			}
		}
		for _, given := range s.given() {
			out = append(out, link{"serving certificate", chain, x509.ExtKeyUsageServerAuth, given.roots, given.trusted})
		}
		out = append(out, s.namedLinks(a)...)
	}
	return out
}

// given are the different sets of CAs that clients have.
func (s *Scene) given() []link {
	var out []link
	var seen []string
	add := func(roots []placed, trusted string) {
		id := fingerprints(roots)
		if len(roots) > 0 && !slices.Contains(seen, id) {
			seen = append(seen, id)
			out = append(out, link{roots: roots, trusted: trusted})
		}
	}
	for _, p := range s.Instances(evidence.ControllerManager) {
		add(named(p, "root-ca-file"), "--root-ca-file of "+evidence.ControllerManager+" on "+p.Machine.Name)
	}
	for _, m := range s.Machines {
		for _, path := range kubeconfigPaths(m) {
			if !s.asksForNamed(m.Kubeconfigs[path]) {
				add(casIn(m, path), path+" on "+m.Name)
			}
		}
	}
	return out
}

// casIn are the CAs of a file.
func casIn(m *evidence.Machine, path string) []placed {
	return slices.DeleteFunc(readable(m, path), func(p placed) bool { return !p.IsCA })
}

// namedLinks: what an API server shows for some names alone, by the CAs of kubeconfigs that
// ask for these. Others never see it, and need not trust who signed it.
func (s *Scene) namedLinks(a Instance) []link {
	var out []link
	c := serving{cert: &evidence.Certificate{}, named: namedCertificates(a)}
	for _, m := range s.Machines {
		for _, path := range kubeconfigPaths(m) {
			if _, file := c.shown(askedName(m.Kubeconfigs[path])); file != "" {
				out = append(out, link{"serving certificate", readable(a.Machine, file), x509.ExtKeyUsageServerAuth, casIn(m, path), path + " on " + m.Name})
			}
		}
	}
	return out
}

// asksForNamed tells whether all that a kubeconfig gets to see is for some names alone.
func (s *Scene) asksForNamed(k evidence.Kubeconfig) bool {
	for _, a := range s.Instances(evidence.APIServer) {
		c := serving{cert: &evidence.Certificate{}, named: namedCertificates(a)}
		if _, file := c.shown(askedName(k)); file == "" {
			return false
		}
	}
	return len(s.Instances(evidence.APIServer)) > 0
}

// askedName is what a client verifies the certificate for.
func askedName(k evidence.Kubeconfig) string { return cmp.Or(k.ServerName, host(HostPort(k.Server))) }

// isRotated tells whether a file is one that a kubelet renews itself: it keeps
// certificate and key together.
func isRotated(file string) bool {
	return isRotatedClient(file) || strings.HasPrefix(path.Base(file), "kubelet-server-")
}

func isRotatedClient(file string) bool { return strings.HasPrefix(path.Base(file), "kubelet-client-") }

// leafFirst is a kubeconfig's client certificate with what else is in the file: CAs
// between, and the one that it trusts. It is empty where there is no client certificate.
func leafFirst(all []placed) []placed {
	i := slices.IndexFunc(all, func(p placed) bool { return !p.IsCA })
	if i < 0 {
		return nil
	}
	return slices.Concat(all[i:i+1], all[:i], all[i+1:])
}

// clientLinks: whoever comes to the API servers with a certificate, and what they
// come to others with.
func (s *Scene) clientLinks() []link {
	var out []link
	for _, m := range s.Machines {
		roots, trusted := s.near(m, evidence.APIServer, "client-ca-file")
		paths := kubeconfigPaths(m)
		for file := range m.Certificates {
			if isRotatedClient(file) {
				paths = append(paths, file)
			}
		}
		for _, file := range sorted(paths) {
			out = append(out, link{"client certificate", leafFirst(readable(m, file)), x509.ExtKeyUsageClientAuth, roots, trusted})
		}
	}
	for _, a := range s.Instances(evidence.APIServer) {
		roots, trusted := s.near(a.Machine, evidence.EtcdServer, "trusted-ca-file")
		out = append(out, link{"client certificate for etcd", named(a, "etcd-certfile"), x509.ExtKeyUsageClientAuth, roots, trusted}, frontProxyLink(a))
	}
	return out
}

func frontProxyLink(a Instance) link {
	return link{"front-proxy certificate", named(a, "proxy-client-cert-file"), x509.ExtKeyUsageClientAuth,
		named(a, "requestheader-client-ca-file"), "--requestheader-client-ca-file"}
}

// kubeletLinks: API servers and kubelets to each other.
func (s *Scene) kubeletLinks() []link {
	var out []link
	for _, k := range s.Instances(evidence.Kubelet) {
		roots, trusted := s.near(k.Machine, evidence.APIServer, "kubelet-certificate-authority")
		serving := kubeletFile(k, "tls-cert-file", "tlsCertFile")
		out = append(out, link{"serving certificate", readable(k.Machine, serving), x509.ExtKeyUsageServerAuth, roots, trusted})
		for _, a := range s.Instances(evidence.APIServer) {
			if a.Machine == k.Machine {
				out = append(out, link{"client certificate for kubelets", named(a, "kubelet-client-certificate"), x509.ExtKeyUsageClientAuth,
					readable(k.Machine, kubeletClientCA(k)), "clientCAFile of kubelet on " + k.Machine.Name})
			}
		}
	}
	return out
}

func kubeletClientCA(k Instance) string {
	return kubeletFile(k, "client-ca-file", "authentication", "x509", "clientCAFile")
}

// kubeletFile is a file that a flag of a kubelet names or, without it, its configuration.
func kubeletFile(k Instance, flag string, keys ...string) string {
	if v, ok := k.Flag(flag); ok {
		return v
	}
	section := k.Config
	for _, key := range keys[:len(keys)-1] {
		section, _ = section[key].(map[string]any)
	}
	file, _ := section[keys[len(keys)-1]].(string)
	return file
}

// etcdLinks: members to API servers, and to each other, where each is server and client.
func (s *Scene) etcdLinks() []link {
	var out []link
	for _, p := range s.Instances(evidence.EtcdServer) {
		roots, trusted := s.near(p.Machine, evidence.APIServer, "etcd-cafile")
		peers := readable(p.Machine, p.EtcdSetting("peer-trusted-ca-file", ""))
		peer := p.EtcdSetting("peer-cert-file", "")
		out = append(out,
			link{"etcd's server certificate", readable(p.Machine, p.EtcdSetting("cert-file", "")), x509.ExtKeyUsageServerAuth, roots, trusted},
			link{"etcd's peer certificate", readable(p.Machine, peer), x509.ExtKeyUsageServerAuth, peers, "--peer-trusted-ca-file"},
			link{"etcd's peer certificate", readable(p.Machine, p.EtcdSetting("peer-client-cert-file", peer)), x509.ExtKeyUsageClientAuth, peers, "--peer-trusted-ca-file"})
	}
	return out
}

func kubeconfigPaths(m *evidence.Machine) []string {
	var out []string
	for path := range m.Kubeconfigs {
		out = append(out, path)
	}
	return sorted(out)
}
