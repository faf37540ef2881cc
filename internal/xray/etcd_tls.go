package xray

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

func etcdTLS(s *Scene) []Finding {
	var out []Finding
	for _, p := range s.Instances(evidence.EtcdServer) {
		found := slices.Concat(plainURLs(p), clientAuth(p, "", "clients"), clientAuth(p, "peer-", "peers"))
		if why := etcdHidden(p); why != "" && len(found) > 0 {
			found = []Finding{p.at().skip("%s", why)}
		}
		out = append(out, orPass(found, p.at(), "https only; clients and peers show certificates")...)
	}
	for _, a := range s.Instances(evidence.APIServer) {
		var plain []string
		for _, u := range a.List("etcd-servers") {
			if strings.HasPrefix(u, "http:") {
				plain = append(plain, u)
			}
		}
		if len(plain) > 0 {
			out = append(out, a.at().fail("--etcd-servers with https only", "--etcd-servers="+list(plain)).
				fixed("Set --etcd-servers of kube-apiserver to https URLs."))
		}
	}
	return out
}

// plainURLs are those that etcd listens on without TLS. Metrics may be plain where
// only the machine itself can read them.
func plainURLs(p Instance) []Finding {
	var out []Finding
	for _, flag := range []struct {
		name, otherwise string
		status          Status
	}{
		{"listen-client-urls", DefaultEtcdClientURL, Fail},
		{"listen-client-http-urls", "", Fail},
		{"listen-peer-urls", defaultPeerURL, Fail},
		{"listen-metrics-urls", "", Warn},
	} {
		for _, text := range SplitURLs(p.EtcdSetting(flag.name, flag.otherwise)) {
			u, err := url.Parse(text)
			local := flag.status == Warn && loopback(HostPort(text))
			if err == nil && u.Scheme == "http" && !local {
				out = append(out, p.at().judge(false, flag.status, "https", "--"+flag.name+"="+text))
			}
		}
	}
	return out
}

// clientAuth wants certificates of those who connect. etcd asks for them as soon as
// a trusted CA is set, whatever the flag says (client/pkg/transport/listener.go).
// Relying on that is a trap; having said that none is wanted is a mistake.
func clientAuth(p Instance, prefix, who string) []Finding {
	given := p.EtcdSetting(prefix+"cert-file", "") + p.EtcdSetting(prefix+"key-file", "")
	if auto, _ := etcdSwitch(p, prefix+"auto-tls"); auto && given == "" { // it is ignored where certificates are given (embed/config.go)
		return []Finding{p.at().fail("certificates of a CA", "--"+prefix+"auto-tls: it signs its own, which nobody can verify")}
	}
	flag := "--" + prefix + "client-cert-auth"
	on, set := etcdSwitch(p, prefix+"client-cert-auth")
	trusted := p.EtcdSetting(prefix+"trusted-ca-file", "")
	only := fmt.Sprintf("%s are asked for certificates only because --%strusted-ca-file is set", who, prefix)
	switch {
	case on && trusted != "":
		return nil
	case on:
		return []Finding{p.at().fail("--"+prefix+"trusted-ca-file", flag+" without a trusted CA: every certificate that the system trusts is let in")}
	case trusted != "" && set:
		return []Finding{p.at().fail(flag+"=true", flag+"=false; "+only)}
	case trusted != "":
		return []Finding{p.at().warn(flag+"=true", "no "+flag+"; "+only)}
	}
	return []Finding{p.at().fail(flag+"=true", who+" need no certificate")}
}
