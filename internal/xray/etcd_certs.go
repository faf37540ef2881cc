package xray

import (
	"fmt"
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
)

func etcdOwnCA(s *Scene) []Finding {
	var cluster []placed
	for _, a := range s.Instances(evidence.APIServer) {
		cluster = append(cluster, named(a, "client-ca-file")...)
	}
	var out []Finding
	for _, p := range s.Instances(evidence.EtcdServer) {
		client, peer := p.EtcdSetting("trusted-ca-file", ""), p.EtcdSetting("peer-trusted-ca-file", "")
		for _, path := range slices.Compact([]string{client, peer}) {
			if cas := readable(p.Machine, path); len(cas) > 0 && len(cluster) > 0 {
				out = append(out, ownCA(cas, cluster)...)
			}
		}
	}
	return out
}

// ownCA judges the CAs of a file. One that has signed the cluster's CA lets in whom
// that signs, too: a client shows the CA between along with its certificate.
func ownCA(cas, cluster []placed) []Finding {
	var out []Finding
	for _, c := range cas {
		i := slices.IndexFunc(cluster, func(k placed) bool {
			return k.PublicKeyDigest() == c.PublicKeyDigest() || k.CheckSignatureFrom(c.Certificate.Certificate) == nil
		})
		if i < 0 {
			continue
		}
		what := "signs clients of the API servers too"
		if cluster[i].PublicKeyDigest() != c.PublicKeyDigest() {
			what = fmt.Sprintf("has signed %q, which signs clients of the API servers", subject(*cluster[i].Certificate))
		}
		out = append(out, c.at().fail("a CA of its own", fmt.Sprintf("%q, which %s (%s on %s)", subject(*c.Certificate), what, cluster[i].path, cluster[i].machine.Name)))
	}
	return orPass(out, cas[0].at(), "%s, which is not the cluster's", subject(*cas[0].Certificate))
}

// etcdCertNames wants the hosts that clients and peers connect to. Peers go by the
// list of members, which the flag is only the beginning of.
func etcdCertNames(s *Scene) []Finding {
	var out []Finding
	for _, p := range s.Instances(evidence.EtcdServer) {
		member := s.memberOf(p.Machine)
		clients := slices.Concat(s.clientHosts(p.Machine), urlHosts(p.EtcdSetting("advertise-client-urls", "")), hostsOf(member.ClientURLs))
		peers := hostsOf(member.PeerURLs)
		if len(peers) == 0 {
			peers = urlHosts(p.EtcdSetting("initial-advertise-peer-urls", ""))
		}
		out = append(out, etcdNames(p, "cert-file", clients)...)
		out = append(out, etcdNames(p, "peer-cert-file", peers)...)
		out = append(out, etcdDeaf(p, "listen-client-urls", DefaultEtcdClientURL, s.clientHosts(p.Machine))...)
		if s.hasPeers(p) {
			out = append(out, etcdDeaf(p, "listen-peer-urls", defaultPeerURL, peers)...)
		}
	}
	return out
}

// clientHosts are those under which API servers reach the member on a machine.
func (s *Scene) clientHosts(m *evidence.Machine) []string {
	var out []string
	for _, a := range s.Instances(evidence.APIServer) {
		for _, u := range a.List("etcd-servers") {
			if s.machineAtURL(u) == m || s.isHome(m, HostPort(u)) || a.Machine == m && loopback(HostPort(u)) {
				out = append(out, urlHost(u))
			}
		}
	}
	return out
}

func etcdNames(p Instance, flag string, hosts []string) []Finding {
	path := p.EtcdSetting(flag, "")
	cert := p.Machine.Certificate(path)
	where := at{p.Machine.Name, path}
	if path == "" || cert == nil || len(hosts) == 0 {
		return nil
	}
	if cert.Certificate == nil {
		return []Finding{where.unseen("a certificate that cannot be read: " + cert.Err)}
	}
	hosts = slices.Compact(sorted(hosts))
	missing := slices.DeleteFunc(slices.Clone(hosts), func(h string) bool { return cert.VerifyHostname(h) == nil })
	if len(missing) > 0 {
		return []Finding{where.fail("names "+list(hosts), fmt.Sprintf("%s; missing: %s", list(cert.Names()), list(missing)))}
	}
	return []Finding{where.pass("%s", list(cert.Names()))}
}
