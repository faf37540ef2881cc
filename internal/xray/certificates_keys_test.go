package xray

import (
	"fmt"
	"slices"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
)

func mode(machine, path string, bits uint32) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { evidencetest.SetMode(e, machine, path, bits) }
}

// readBy has a group read cp-1's key of service accounts.
func readBy(group string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		const path = evidencetest.PKI + "sa.key"
		evidencetest.SetMode(e, "cp-1", path, 0o640)
		evidencetest.SetGroup(e, "cp-1", path, group)
	}
}

func ownedBy(machine, path, owner string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { evidencetest.SetOwner(e, machine, path, owner) }
}

var keyCases = []checkCase{
	{check: "key-permissions", name: "healthy", status: Pass, says: evidencetest.PKI + "ca.key"},
	{check: "key-permissions", name: "kubeadm", of: evidencetest.Kubeadm, status: Pass, says: rotatedClient},
	{check: "key-permissions", name: "a CA's key for all", status: Fail, node: "cp-2", says: "0644, root", change: mode("cp-2", evidencetest.PKI+"ca.key", 0o644)},
	{check: "key-permissions", name: "an administrator's kubeconfig for all", status: Fail, node: "cp-1", says: "0604", change: mode("cp-1", evidencetest.AdminConf, 0o604)},
	{check: "key-permissions", name: "a key that a group can change", status: Fail, node: "cp-1", says: "0660", change: mode("cp-1", evidencetest.PKI+"sa.key", 0o660)},
	{check: "key-permissions", name: "a key that a group can read", status: Warn, node: "cp-1", says: "0640", change: mode("cp-1", evidencetest.PKI+"sa.key", 0o640)},
	{check: "key-permissions", name: "a key that one group can read", status: Warn, node: "cp-1", says: "0640, root, group kube", change: readBy("kube")},
	{check: "key-permissions", name: "a key that root's group can read", status: Pass, change: readBy("root")},
	{check: "key-permissions", name: "what a kubelet rotates", of: evidencetest.Kubeadm, status: Fail, node: "worker-1", says: "0644", change: mode("worker-1", rotatedClient, 0o644)},
	{check: "key-permissions", name: "keys of encryption for all", status: Fail, node: "cp-3", says: "0644", change: mode("cp-3", evidencetest.EncryptionFile, 0o644)},
	{check: "key-permissions", name: "etcd's data for all", status: Fail, node: "cp-3", says: "0755", change: mode("cp-3", "/var/lib/etcd", 0o755)},
	{check: "key-permissions", name: "etcd's data", status: Pass, says: "/var/lib/etcd", change: mode("cp-3", "/var/lib/etcd", 0o700)},
	{check: "key-permissions", name: "a key without .key, by a flag", status: Fail, node: "cp-2", says: "0644", change: func(e *evidence.Evidence) {
		evidencetest.SetFlag(evidencetest.Program(e, "cp-2", evidence.Scheduler), "tls-private-key-file", "/etc/kubernetes/scheduler.pem")
		evidencetest.SetMode(e, "cp-2", "/etc/kubernetes/scheduler.pem", 0o644)
	}},
	{check: "key-permissions", name: "a certificate for all", status: Pass, change: mode("cp-2", evidencetest.PKI+"ca.crt", 0o644)},
	{check: "key-permissions", name: "copies in a folder, of a group", of: inFolder(evidencetest.Kubeadm), status: Skip, node: "cp-2", says: "0640, root (of the copy): which group", change: mode("cp-2", evidencetest.PKI+"ca.key", 0o640)},
	{check: "key-permissions", name: "copies in a folder", of: inFolder(evidencetest.Kubeadm), status: Warn, node: "cp-2", says: "0644, root (of the copy)", change: mode("cp-2", evidencetest.PKI+"ca.key", 0o644)},
	{check: "key-permissions", name: "owned by a user", status: Warn, node: "cp-2", says: "0600, alice", change: ownedBy("cp-2", evidencetest.PKI+"sa.key", "alice")},
	{check: "key-permissions", name: "owned by whom etcd runs as", status: Pass, change: ownedBy("cp-2", evidencetest.PKI+"etcd/server.key", "etcd")},
	{check: "key-permissions", name: "owned by a unit's user", status: Pass, change: func(e *evidence.Evidence) {
		evidencetest.Program(e, "cp-2", evidence.APIServer).Unit.Settings["User"] = "kube"
		evidencetest.SetOwner(e, "cp-2", evidencetest.PKI+"sa.key", "kube")
	}},
}

// serviceAccountKey gives API servers a key for service accounts, by file and by
// what they accept.
func serviceAccountKey(file, accepted bool, nodes ...string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		for _, node := range nodes {
			if file {
				evidencetest.SetPublicKey(e, node, evidencetest.PKI+"sa.pub", "another")
			}
			if accepted {
				evidencetest.Server(e, node).ServiceAccountKeys = []string{evidencetest.KeyID("another")}
			}
		}
	}
}

// twoKeys has all API servers accept a second key.
func twoKeys(e *evidence.Evidence) {
	for _, node := range []string{"cp-1", "cp-2", "cp-3"} {
		evidencetest.SetPublicKey(e, node, evidencetest.PKI+"old.pub", "old")
		p := evidencetest.Program(e, node, evidence.APIServer)
		p.Argv = append(p.Argv, "--service-account-key-file", evidencetest.PKI+"old.pub")
		s := evidencetest.Server(e, node)
		s.ServiceAccountKeys = append(s.ServiceAccountKeys, evidencetest.KeyID("old"))
		slices.Reverse(s.ServiceAccountKeys)
	}
}

// publicKeys gives the files with the public keys of service accounts others.
func publicKeys(of map[string][]string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		for node, keys := range of {
			evidencetest.SetPublicKey(e, node, evidencetest.PKI+"sa.pub", keys...)
		}
	}
}

// publicKeyOfCA has the file of the CA's certificate tell its key, as collect notes it.
func publicKeyOfCA(nodes ...string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		for _, node := range nodes {
			evidencetest.SetPublicKey(e, node, evidencetest.PKI+"ca.crt", "authority kubernetes")
		}
	}
}

// privateKeys has the API servers of the three nodes accept the keys of files with private ones.
func privateKeys(keys ...string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		setFlags(server, "service-account-key-file", evidencetest.PKI+"sa-key.pem")(e)
		setFlags(server, "service-account-signing-key-file", evidencetest.PKI+"sa-key.pem")(e)
		for i, key := range keys {
			evidencetest.SetPrivateKey(e, fmt.Sprintf("cp-%d", i+1), evidencetest.PKI+"sa-key.pem", key)
		}
		evidencetest.SetFlagEverywhere(e, manager, "service-account-private-key-file", evidencetest.PKI+"sa-key.pem")
	}
}

func withoutPublic(e *evidence.Evidence) {
	for _, m := range e.Machines {
		delete(m.Files, evidencetest.PKI+"sa.pub")
	}
}

// healthyFiles are those of machines whose API servers were not asked.
func healthyFiles() *evidence.Evidence {
	e := evidencetest.Kubeadm()
	e.Servers = nil
	return e
}

// noKeyFile takes away the flag, and the one for signing too.
func noKeyFile(both bool) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		for _, node := range []string{"cp-1", "cp-2", "cp-3"} {
			setFlag(node, server, "service-account-key-file", "")(e)
			if both {
				setFlag(node, server, "service-account-signing-key-file", "")(e)
			}
		}
	}
}

var serviceAccountCases = []checkCase{
	{check: "service-account-key-equal", name: "healthy", status: Pass, says: "keys that are accepted: the same on cp-1, cp-2, cp-3"},
	{check: "service-account-key-equal", name: "kubeadm in a folder", of: inFolder(evidencetest.Kubeadm), status: Pass, says: "keys in files: the same on cp-1, cp-2, cp-3"},
	{check: "service-account-key-equal", name: "one has another", status: Fail, node: "cp-3", says: evidencetest.KeyID("another"), change: serviceAccountKey(true, true, "cp-3")},
	{check: "service-account-key-equal", name: "the first has another", status: Fail, node: "cp-1", says: "as on cp-2", change: serviceAccountKey(true, true, "cp-1")},
	{check: "service-account-key-equal", name: "one accepts another", status: Fail, node: "cp-3", says: "keys that are accepted", change: serviceAccountKey(false, true, "cp-3")},
	{check: "service-account-key-equal", name: "in a folder", of: inFolder(evidencetest.Kubeadm), status: Fail, node: "cp-2", says: "keys in files", change: serviceAccountKey(true, false, "cp-2")},
	{check: "service-account-key-equal", name: "all have new files and did not read them", status: Warn, node: "cp-1,cp-2,cp-3", says: "See first that /etc/kubernetes/pki/sa.pub has the public keys of all signers", change: serviceAccountKey(true, false, "cp-1", "cp-2", "cp-3")},
	{check: "service-account-key-equal", name: "two keys while they are rotated", status: Pass, says: "keys that are accepted: the same on cp-1, cp-2, cp-3", change: twoKeys},
	{check: "service-account-key-equal", name: "one does not know the old key", status: Fail, node: "cp-2", change: func(e *evidence.Evidence) {
		twoKeys(e)
		p := evidencetest.Program(e, "cp-2", evidence.APIServer)
		p.Argv = p.Argv[:len(p.Argv)-2]
	}},
	{check: "service-account-key-equal", name: "a controller-manager signs with another", status: Fail, node: "cp-2", says: "kube-controller-manager signs with " + evidencetest.PKI + "other.key", change: func(e *evidence.Evidence) {
		evidencetest.SetFlag(evidencetest.Program(e, "cp-2", evidence.ControllerManager), "service-account-private-key-file", evidencetest.PKI+"other.key")
		evidencetest.SetPublicKey(e, "cp-2", evidencetest.PKI+"other.pub", "another")
	}},
	{check: "service-account-key-equal", name: "two keys in a file, and one of them elsewhere", of: inFolder(evidencetest.Kubeadm), status: Fail, node: "cp-2", says: evidencetest.KeyID("service accounts"), change: publicKeys(map[string][]string{
		"cp-1": {"service accounts", "old"}, "cp-2": {"service accounts"}, "cp-3": {"old", "service accounts"}})},
	{check: "service-account-key-equal", name: "two keys in a file, in another order", of: inFolder(evidencetest.Kubeadm), status: Pass, change: publicKeys(map[string][]string{
		"cp-1": {"service accounts", "old"}, "cp-2": {"old", "service accounts"}, "cp-3": {"old", "service accounts", "old"}})},
	{check: "service-account-key-equal", name: "two keys in two files here, in one there", of: inFolder(evidencetest.Kubeadm), status: Pass, change: changes(
		publicKeys(map[string][]string{"cp-1": {"service accounts", "old"}, "cp-3": {"service accounts", "old"}}), func(e *evidence.Evidence) {
			evidencetest.SetPublicKey(e, "cp-2", evidencetest.PKI+"old.pub", "old")
			p := evidencetest.Program(e, "cp-2", evidence.APIServer)
			p.Argv = append([]string{p.Argv[0], "--service-account-key-file=" + evidencetest.PKI + "old.pub"}, p.Argv[1:]...)
		})},
	{check: "service-account-key-equal", name: "a certificate", of: inFolder(evidencetest.Kubeadm), status: Fail, node: "cp-1,cp-2,cp-3", says: evidencetest.KeyID("authority kubernetes"), change: changes(
		setFlags(server, "service-account-key-file", evidencetest.PKI+"ca.crt"), publicKeyOfCA("cp-1", "cp-2"), publicKeys(map[string][]string{"cp-3": {"other"}}),
		setFlag("cp-3", server, "service-account-key-file", evidencetest.PKI+"sa.pub"))},
	{check: "service-account-key-equal", name: "a certificate, the same", of: inFolder(evidencetest.Kubeadm), status: Pass, change: changes(
		setFlags(server, "service-account-key-file", evidencetest.PKI+"ca.crt"), setFlags(server, "service-account-signing-key-file", evidencetest.PKI+"ca.key"),
		setFlags(manager, "service-account-private-key-file", evidencetest.PKI+"ca.key"), publicKeyOfCA("cp-1", "cp-2", "cp-3"))},
	{check: "service-account-key-equal", name: "a private key", of: healthyFiles, status: Fail, node: "cp-2", says: evidencetest.KeyID("another"), change: privateKeys("service accounts", "another", "service accounts")},
	{check: "service-account-key-equal", name: "the same private key", of: healthyFiles, status: Pass, says: "keys in files: the same on cp-1, cp-2, cp-3", change: privateKeys("another", "another", "another")},
	{check: "service-account-key-equal", name: "private keys in a folder", of: inFolder(evidencetest.Kubeadm), status: Skip, says: "in a folder keys are not opened", change: changes(privateKeys("", "", ""), withoutPublic)},
	{check: "service-account-key-equal", name: "private keys that no openssl tells", of: healthyFiles, status: Skip, says: "neither openssl", change: changes(privateKeys("", "", ""), withoutPublic)},
	{check: "service-account-key-equal", name: "private keys that the API servers tell", status: Pass, says: "keys that are accepted", change: changes(privateKeys("", "", ""), withoutPublic)},
	{check: "service-account-key-equal", name: "no flag beside the one for signing", of: inFolder(evidencetest.Kubeadm), status: Fail, node: "cp-1,cp-2,cp-3", says: "does not start so", change: noKeyFile(false)},
	{check: "service-account-key-equal", name: "no flag: the TLS key", of: inFolder(evidencetest.Kubeadm), status: Fail, node: "cp-1,cp-2,cp-3", says: "there is no --service-account-key-file", change: noKeyFile(true)},
	{check: "service-account-key-equal", name: "no flag on one", of: inFolder(evidencetest.Kubeadm), status: Fail, node: "cp-2", says: "its own TLS key", change: changes(
		setFlag("cp-2", server, "service-account-key-file", ""), setFlag("cp-2", server, "service-account-signing-key-file", ""))},
	{check: "service-account-key-own", name: "a certificate that signed itself", of: evidencetest.Kubeadm, status: Pass, says: "the key of nothing else", change: tokensByCertificate},
	{check: "ca-expiry", name: "what is for tokens alone is no CA", of: evidencetest.Kubeadm, status: Pass, change: tokensByCertificate},
	{check: "certificate-expiry", name: "what is for tokens alone does not end", of: evidencetest.Kubeadm, status: Pass, change: tokensByCertificate},
	{check: "certificate-expiry", name: "what clients are verified by, too, does", of: evidencetest.Kubeadm, status: Fail, node: "cp-1,cp-2,cp-3", says: "tokens: ended", change: changes(tokensByCertificate,
		setFlags(server, "requestheader-client-ca-file", "/etc/kubernetes/pki/tokens.pem"))},
	{check: "service-account-key-own", name: "the TLS certificate", of: evidencetest.Kubeadm, status: Warn, node: "cp-1,cp-2,cp-3", says: "names the TLS key of kube-apiserver", change: changes(
		setFlags(server, "service-account-key-file", "/etc/kubernetes/pki/apiserver.crt"), func(e *evidence.Evidence) {
			for _, m := range e.Machines {
				if key := m.Certificate("/etc/kubernetes/pki/apiserver.crt").PublicKeyDigest(); key != "" {
					m.Files["/etc/kubernetes/pki/apiserver.crt"] = evidence.File{Path: "/etc/kubernetes/pki/apiserver.crt", PublicKeys: []string{key}}
				}
			}
		})},
	{check: "service-account-key-equal", name: "each its own TLS key", of: inFolder(evidencetest.Kubeadm), status: Fail, node: "cp-1,cp-2,cp-3", says: "its own TLS key", change: setFlags(server, "service-account-key-file", evidencetest.ServingKey)},
	{check: "service-account-key-equal", name: "an external signer", of: inFolder(evidencetest.Kubeadm), status: Skip, says: "--service-account-signing-endpoint", change: changes(noKeyFile(true), setFlags(server, "service-account-signing-endpoint", "/run/signer.sock"))},

	{check: "service-account-key-own", name: "healthy", status: Pass, says: evidencetest.PKI + "sa.pub"},
	{check: "service-account-key-own", name: "the CA's key", of: inFolder(evidencetest.Kubeadm), status: Warn, node: "cp-1,cp-2,cp-3", says: "names the key of the CA kubernetes", change: setFlags(server, "service-account-key-file", evidencetest.PKI+"ca.key")},
	{check: "service-account-key-own", name: "the CA's key, by its certificate", status: Warn, node: "cp-1,cp-2,cp-3", says: "keep the old file", change: changes(setFlags(server, "service-account-key-file", evidencetest.PKI+"ca.crt"), publicKeyOfCA("cp-1", "cp-2", "cp-3"))},
	{check: "service-account-key-own", name: "a controller-manager signs with the CA's key", status: Warn, node: "cp-2", says: "--service-account-private-key-file of kube-controller-manager", change: setFlag("cp-2", manager, "service-account-private-key-file", evidencetest.PKI+"ca.key")},
	{check: "service-account-key-own", name: "two public keys tell nothing of the private one beside", of: inFolder(evidencetest.Kubeadm), status: Warn, node: "cp-2", says: "--service-account-key-file of kube-apiserver", change: changes(
		publicKeys(map[string][]string{"cp-2": {"service accounts", "authority kubernetes"}}), setFlag("cp-2", manager, "service-account-private-key-file", ""), setFlag("cp-2", server, "service-account-signing-key-file", ""))},
	{check: "service-account-key-own", name: "the TLS key by default", status: Warn, node: "cp-1,cp-2,cp-3", says: "no --service-account-key-file", change: noKeyFile(true)},
	{check: "service-account-key-own", name: "the TLS key", status: Warn, node: "cp-3", says: "the TLS key of kube-apiserver", change: setFlag("cp-3", server, "service-account-key-file", evidencetest.ServingKey)},

	{check: "service-account-key-equal", name: "one API server", status: Skip, says: "nothing to compare with", change: func(e *evidence.Evidence) {
		for _, node := range []string{"cp-2", "cp-3"} {
			evidencetest.DropMachine(e, node)
		}
		e.Servers = e.Servers[:2]
	}},
}

// tokensByCertificate has API servers take the key of a certificate that ended: the one is that
// of a CA, as openssl req -x509 makes them, the other is not.
func tokensByCertificate(e *evidence.Evidence) {
	const path = "/etc/kubernetes/pki/tokens.pem"
	for _, p := range evidencetest.Kubeadm().Machines {
		if m := e.Machine(p.Name); m.Program(server) != nil {
			evidencetest.SetFlag(m.Program(server), "service-account-key-file", path)
			ca := evidencetest.Issue(evidencetest.Row{CommonName: "tokens", Key: "tokens", NotAfter: e.At.Add(-day)})
			leaf := evidencetest.Issue(evidencetest.Row{CA: "kubernetes", CommonName: "tokens", Key: "tokens", NotAfter: e.At.Add(-day)})
			evidencetest.SetCertificates(e, m.Name, path, ca, leaf)
			m.Files[path] = evidence.File{Path: path, PublicKeys: []string{leaf.PublicKeyDigest()}}
		}
	}
}
