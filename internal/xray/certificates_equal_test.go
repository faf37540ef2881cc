package xray

import (
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
)

// encrypted has the API servers of nodes read a file with keys of encryption.
func encrypted(content string, nodes ...string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		for _, node := range nodes {
			evidencetest.SetFlag(evidencetest.Program(e, node, evidence.APIServer), "encryption-provider-config", evidencetest.EncryptionFile)
			evidencetest.SetContent(e, node, evidencetest.EncryptionFile, content)
		}
	}
}

var sameFileCases = []checkCase{
	{check: "ca-equal", name: "healthy", status: Pass, says: "the front proxy's CA: the same on cp-1, cp-2, cp-3"},
	{check: "ca-equal", name: "workers", status: Pass, says: "the CA of kubelets' clients: the same on cp-1, cp-2, cp-3, worker-1"},
	{check: "ca-equal", name: "kubeadm in a folder", of: inFolder(evidencetest.Kubeadm), status: Pass, says: "etcd's CA, for peers"},
	{check: "ca-equal", name: "the front proxy's differs", status: Fail, node: "cp-3", says: "the front proxy's CA", change: reissued("cp-3", evidencetest.PKI+"front-proxy-ca.crt", anotherKey)},
	{check: "ca-equal", name: "the first node's differs", status: Fail, node: "cp-1", says: "as on cp-2", change: reissued("cp-1", evidencetest.PKI+"etcd/ca.crt", anotherKey)},
	{check: "ca-equal", name: "a worker's differs", status: Fail, node: "worker-1", says: "the CA of kubelets' clients", change: reissued("worker-1", evidencetest.PKI+"ca.crt", anotherKey)},
	{check: "ca-equal", name: "a kubelet's by its flag", status: Fail, node: "worker-1", says: "front-proxy-ca", change: func(e *evidence.Evidence) {
		evidencetest.SetCertificates(e, "worker-1", "/etc/other.crt", evidencetest.Machine(e, "cp-1").Certificates[evidencetest.PKI+"front-proxy-ca.crt"]...)
		evidencetest.SetFlag(evidencetest.Program(e, "worker-1", evidence.Kubelet), "client-ca-file", "/etc/other.crt")
	}},
	{check: "ca-equal", name: "a second one on a node", status: Fail, node: "cp-2", says: "the CA of clients", change: func(e *evidence.Evidence) {
		path := evidencetest.PKI + "ca.crt"
		other := evidencetest.Issue(evidencetest.Row{CommonName: evidencetest.OtherCA})
		evidencetest.SetCertificates(e, "cp-2", path, evidencetest.Machine(e, "cp-2").Certificates[path][0], other)
	}},
	{check: "ca-equal", name: "others in another order", status: Pass, change: func(e *evidence.Evidence) {
		path := evidencetest.PKI + "front-proxy-ca.crt"
		own, other := evidencetest.Machine(e, "cp-1").Certificates[path][0], evidencetest.Issue(evidencetest.Row{CommonName: evidencetest.OtherCA})
		evidencetest.SetCertificates(e, "cp-1", path, own, other)
		evidencetest.SetCertificates(e, "cp-2", path, other, own)
		evidencetest.SetCertificates(e, "cp-3", path, own, other)
	}},

	{check: "encryption-config-equal", name: "healthy", status: Pass, says: "the file: the same on cp-1, cp-2, cp-3"},
	{check: "encryption-config-equal", name: "one differs", status: Fail, node: "cp-1", says: "as on cp-2", change: encrypted("key2", "cp-1")},
	{check: "encryption-config-equal", name: "one has none", status: Fail, node: "cp-2", says: "cannot read what they encrypt", change: func(e *evidence.Evidence) {
		evidencetest.DropFlag(evidencetest.Program(e, "cp-2", evidence.APIServer), "encryption-provider-config")
	}},
	{check: "encryption-config-equal", name: "only one has any", of: evidencetest.Kubeadm, status: Fail, node: "cp-1,cp-2", says: "no such flag", change: encrypted("key1", "cp-3")},
	{check: "encryption-config-equal", name: "kubeadm has none", of: evidencetest.Kubeadm, status: Skip, says: "no API server has --encryption-provider-config"},
	{check: "encryption-config-equal", name: "by pods, whose files are not seen", of: evidencetest.Kubeadm, status: Skip, says: "the file was not read", change: func(e *evidence.Evidence) {
		encrypted("key1", "cp-1", "cp-2", "cp-3")(e)
		for _, m := range e.Machines {
			m.Files = nil
		}
	}},
}

// frontFlag sets a flag of the API server on cp-1, or drops it where the value is "".
func frontFlag(name, value string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		p := evidencetest.Program(e, "cp-1", evidence.APIServer)
		evidencetest.DropFlag(p, name)
		if value != "" {
			evidencetest.SetFlag(p, name, value)
		}
	}
}

// frontEverywhere trusts another CA for the front proxy on all nodes.
func frontEverywhere(ca, names string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		evidencetest.SetFlagEverywhere(e, evidence.APIServer, "requestheader-client-ca-file", evidencetest.PKI+ca)
		evidencetest.SetFlagEverywhere(e, evidence.APIServer, "requestheader-allowed-names", names)
		evidencetest.Reissue(e, "", evidencetest.PKI+"front-proxy-client.crt", by(evidencetest.CA))
	}
}

var frontProxyCases = []checkCase{
	{check: "front-proxy", name: "healthy", status: Pass, says: "CA front-proxy-ca, names front-proxy-client"},
	{check: "front-proxy", name: "kubeadm in a folder", of: inFolder(evidencetest.Kubeadm), status: Pass, says: "CA front-proxy-ca"},
	{check: "front-proxy", name: "another name is allowed", status: Fail, node: "cp-1", says: "--requestheader-allowed-names=somebody | front-proxy-client", change: frontFlag("requestheader-allowed-names", "somebody")},
	{check: "front-proxy", name: "every name is allowed", status: Fail, node: "cp-1", says: "as on cp-2", change: frontFlag("requestheader-allowed-names", "")},
	{check: "front-proxy", name: "a flag is missing", status: Fail, node: "cp-1", says: "--requestheader-group-headers", change: frontFlag("requestheader-group-headers", "")},
	{check: "front-proxy", name: "one has none of the flags", status: Fail, node: "cp-1", says: "as on cp-2 | none", change: func(e *evidence.Evidence) {
		for _, flag := range append(slices.Clone(frontProxyFlags), "requestheader-allowed-names") {
			frontFlag(flag, "")(e)
		}
	}},
	{check: "front-proxy", name: "its certificate is of another CA", status: Fail, node: "cp-2", says: `signed by CA "somebody-else"`, change: reissued("cp-2", evidencetest.PKI+"front-proxy-client.crt", by(evidencetest.OtherCA))},
	{check: "front-proxy", name: "the cluster's CA for some names", status: Warn, node: "cp-1,cp-2,cp-3", says: "CA kubernetes signs other clients too", change: frontEverywhere("ca.crt", "front-proxy-client")},
	{check: "front-proxy", name: "the cluster's CA for every name", status: Fail, node: "cp-1,cp-2,cp-3", says: "can be anybody", change: frontEverywhere("ca.crt", "")},
	{check: "front-proxy", name: "none anywhere", status: Warn, node: "cp-1,cp-2,cp-3", says: "cannot be asked", change: func(e *evidence.Evidence) {
		for _, node := range []string{"cp-1", "cp-2", "cp-3"} {
			for _, flag := range append([]string{"requestheader-allowed-names"}, frontProxyFlags...) {
				evidencetest.DropFlag(evidencetest.Program(e, node, evidence.APIServer), flag)
			}
		}
	}},
	{check: "front-proxy", name: "by pods, whose files are not seen", of: apiOnly(evidencetest.Kubeadm), status: Skip, says: "its front-proxy certificate or CA was not seen"},
}
