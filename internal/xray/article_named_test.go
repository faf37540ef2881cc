package xray

import (
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
)

const publicName, namedCert, namedKey = "api.example.org", "/etc/public.crt", "/etc/public.pem"

// forNames has API servers show a certificate of a CA to who asks for some names; of are those
// that the flag gives it, with a colon before.
func forNames(ca, of string, names []string, nodes ...string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		for _, node := range nodes {
			setFlag(node, server, "tls-sni-cert-key", namedCert+","+namedKey+of)(e)
			evidencetest.SetCertificates(e, node, namedCert, evidencetest.Issue(evidencetest.Row{CA: ca, CommonName: "public", Names: names, Usages: evidencetest.ForServer}))
			evidencetest.SetMode(e, node, namedKey, 0o600)
		}
	}
}

var everyServer = []string{"cp-1", "cp-2", "cp-3"}

func publicly(ca string) func(*evidence.Evidence) {
	return changes(byName, forNames(ca, "", []string{publicName}, everyServer...))
}

// trusting has kubeconfigs that ask for the public name trust a CA.
func trusting(ca string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		for _, m := range e.Machines {
			for path, k := range m.Kubeconfigs {
				if k.Server == "https://"+publicName+":6443" {
					kept := slices.DeleteFunc(slices.Clone(m.Certificates[path]), func(c evidence.Certificate) bool { return c.IsCA })
					m.Certificates[path] = append(kept, evidencetest.Issue(evidencetest.Row{CommonName: ca, Key: "authority " + ca}))
				}
			}
		}
	}
}

var namedCases = []checkCase{
	{check: "serving-cert-names", name: "a public name that no certificate has", status: Fail, node: "cp-1,cp-2,cp-3", says: "lacks api.example.org", change: byName},
	{check: "serving-cert-names", name: "a public name in a certificate of its own", status: Pass, change: publicly(evidencetest.OtherCA)},
	{check: "serving-cert-names", name: "on two of three", status: Fail, node: "cp-3", says: "lacks api.example.org", change: changes(byName, forNames(evidencetest.OtherCA, "", []string{publicName}, "cp-1", "cp-2"))},
	{check: "serving-cert-names", name: "a name that the flag gives and the certificate lacks", status: Fail, node: "cp-2", says: "lacks kubernetes.default (for which it shows /etc/public.crt)",
		change: forNames(evidencetest.CA, ":kubernetes.default", []string{publicName}, "cp-2")},
	{check: "serving-cert-names", name: "any name of a domain", status: Pass, change: changes(byName, forNames(evidencetest.OtherCA, "", []string{"*.example.org"}, everyServer...))},
	{check: "serving-cert-names", name: "a name that the flag gives, and what helps", status: Fail, node: "cp-2", says: "Take these names from --tls-sni-cert-key of kube-apiserver on cp-2",
		change: forNames(evidencetest.CA, ":kubernetes.default", []string{publicName}, "cp-2")},
	{check: "serving-cert-names", name: "any name of a domain", status: Pass, change: changes(byName, forNames(evidencetest.OtherCA, "", []string{"*.example.org"}, everyServer...))},
	{check: "serving-cert-names", name: "an address in a certificate for names", status: Fail, node: "cp-2", says: "lacks 10.10.10.3", change: changes(
		withServingNames("cp-2", drop("10.10.10.3")), forNames(evidencetest.CA, "", []string{"10.10.10.3"}, "cp-2"))},
	{check: "serving-cert-names", name: "an address that the flag gives", status: Pass, change: changes(
		withServingNames("cp-2", drop("10.10.10.3")), forNames(evidencetest.CA, ":10.10.10.3", []string{"10.10.10.3"}, "cp-2"))},
	{check: "serving-cert-names", name: "the handshake showed it", status: Pass, change: changes(publicly(evidencetest.OtherCA), func(e *evidence.Evidence) {
		evidencetest.Server(e, "cp-2").Certificates = evidencetest.Machine(e, "cp-2").Certificates[namedCert]
	})},

	{check: "certificate-expiry", name: "one for other names ends", status: Fail, node: "cp-2", says: "public: ended", change: changes(publicly(evidencetest.OtherCA),
		reissued("cp-2", namedCert, lives(-365*day, -day)))},
	{check: "chain-valid", name: "one for other names, of a CA that who asks for them trusts", status: Pass, says: namedCert, change: changes(publicly(evidencetest.OtherCA), trusting(evidencetest.OtherCA))},
	{check: "chain-valid", name: "one for other names that who asks for them does not trust", status: Fail, node: "cp-1,cp-2,cp-3", says: `signed by CA "somebody-else"`, change: changes(publicly(evidencetest.OtherCA), trusting(evidencetest.CA))},
	{check: "chain-valid", name: "one for names that nobody asks for", status: Pass, change: forNames(evidencetest.OtherCA, "", []string{publicName}, everyServer...)},
	{check: "key-permissions", name: "the key of one for other names", status: Fail, node: "cp-1", says: "0644", change: changes(publicly(evidencetest.OtherCA), mode("cp-1", namedKey, 0o644))},
	{check: "serving-cert-shared", name: "one for other names, and one of each API server's own", of: evidencetest.Kubeadm, status: Skip, says: "of its own", change: publicly(evidencetest.OtherCA)},
	{check: "serving-cert-shared", name: "one for other names differs", status: Fail, node: "cp-3", says: "--tls-sni-cert-key=/etc/public.crt", change: changes(publicly(evidencetest.OtherCA), reissued("cp-3", namedCert, anotherKey))},
}
