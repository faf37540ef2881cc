package xray

import (
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
)

// etcdFlag sets a flag of etcd on a machine, or drops it where the value is "".
func etcdFlag(machine, name, value string) func(*evidence.Evidence) {
	return withEtcd(machine, func(p *evidence.Program) {
		evidencetest.DropFlag(p, name)
		if value != "" {
			evidencetest.SetFlag(p, name, value)
		}
	})
}

// etcdConfig has etcd on cp-2 read a configuration file.
func etcdConfig(config map[string]any) func(*evidence.Evidence) {
	return withEtcd("cp-2", func(p *evidence.Program) {
		p.Argv, p.Config = []string{"etcd", "--config-file", "/etc/etcd.yaml", "--listen-client-urls=http://0.0.0.0:2379"}, config
	})
}

func secureConfig() map[string]any {
	security := map[string]any{"client-cert-auth": true, "trusted-ca-file": evidencetest.PKI + "etcd/ca.crt"}
	return map[string]any{"listen-client-urls": "https://10.10.10.12:2379", "listen-peer-urls": "https://10.10.10.12:2380",
		"client-transport-security": security, "peer-transport-security": security}
}

var etcdTLSCases = []checkCase{
	{check: "etcd-tls", name: "healthy", status: Pass, says: "https only; clients and peers show certificates"},
	{check: "etcd-tls", name: "kubeadm", of: evidencetest.Kubeadm, status: Pass},
	{check: "etcd-tls", name: "kubeadm by its pods", of: func() *evidence.Evidence { return evidencetest.APIOnly(evidencetest.Kubeadm()) }, status: Pass},
	{check: "etcd-tls", name: "plain http beside https", status: Fail, node: "cp-2", says: "--listen-client-urls=http://10.10.10.12:2378",
		change: etcdFlag("cp-2", "listen-client-urls", "https://127.0.0.1:2379,https://10.10.10.12:2379,http://10.10.10.12:2378")},
	{check: "etcd-tls", name: "plain http on loopback", status: Fail, node: "cp-1", says: "http://127.0.0.1:2379", change: etcdFlag("cp-1", "listen-client-urls", "http://127.0.0.1:2379")},
	{check: "etcd-tls", name: "plain http by default", status: Fail, node: "cp-1", says: "http://localhost:2379", change: etcdFlag("cp-1", "listen-client-urls", "")},
	{check: "etcd-tls", name: "a plain gateway", status: Fail, node: "cp-1", says: "listen-client-http-urls", change: etcdFlag("cp-1", "listen-client-http-urls", "http://0.0.0.0:2382")},
	{check: "etcd-tls", name: "plain peers", status: Fail, node: "cp-3", says: "--listen-peer-urls=http", change: etcdFlag("cp-3", "listen-peer-urls", "http://10.10.10.13:2380")},
	{check: "etcd-tls", name: "metrics for everybody", status: Warn, node: "cp-3", says: "--listen-metrics-urls=http://0.0.0.0:2381", change: etcdFlag("cp-3", "listen-metrics-urls", "http://0.0.0.0:2381")},
	{check: "etcd-tls", name: "peers without certificates, though there is a CA", status: Fail, node: "cp-3", says: "--peer-client-cert-auth=false; peers are asked",
		change: etcdFlag("cp-3", "peer-client-cert-auth", "false")},
	{check: "etcd-tls", name: "nothing said of peers", status: Warn, node: "cp-3", says: "no --peer-client-cert-auth; peers are asked", change: etcdFlag("cp-3", "peer-client-cert-auth", "")},
	{check: "etcd-tls", name: "a flag without a value", status: Pass, change: withEtcd("cp-1", func(p *evidence.Program) {
		evidencetest.DropFlag(p, "client-cert-auth")
		p.Argv = append(p.Argv, "--client-cert-auth")
	})},
	{check: "etcd-tls", name: "clients without certificates", status: Fail, node: "cp-1", says: "clients need no certificate", change: func(e *evidence.Evidence) {
		etcdFlag("cp-1", "client-cert-auth", "")(e)
		etcdFlag("cp-1", "trusted-ca-file", "")(e)
	}},
	{check: "etcd-tls", name: "any certificate that the system trusts", status: Fail, node: "cp-1", says: "that the system trusts", change: etcdFlag("cp-1", "trusted-ca-file", "")},
	{check: "etcd-tls", name: "certificates that it makes itself", status: Fail, node: "cp-1", says: "--peer-auto-tls", change: changes(etcdFlag("cp-1", "peer-auto-tls", "true"), etcdFlag("cp-1", "peer-cert-file", ""), etcdFlag("cp-1", "peer-key-file", ""))},
	{check: "etcd-tls", name: "an API server talks http", status: Fail, node: "cp-1", says: "--etcd-servers=http://127.0.0.1:2379", change: func(e *evidence.Evidence) {
		evidencetest.SetFlag(evidencetest.Program(e, "cp-1", evidence.APIServer), "etcd-servers", "http://127.0.0.1:2379")
	}},
	{check: "etcd-tls", name: "a configuration file", status: Pass, change: etcdConfig(secureConfig())},
	{check: "etcd-tls", name: "a configuration file with plain http", status: Fail, node: "cp-2", says: "http://10.10.10.12:2379", change: func(e *evidence.Evidence) {
		config := secureConfig()
		config["listen-client-urls"] = "http://10.10.10.12:2379"
		etcdConfig(config)(e)
	}},
	{check: "etcd-tls", name: "a configuration file without a word of clients", status: Fail, node: "cp-2", says: "clients need no certificate", change: func(e *evidence.Evidence) {
		config := secureConfig()
		delete(config, "client-transport-security")
		etcdConfig(config)(e)
	}},
	{check: "etcd-tls", name: "a configuration file that was not read", status: Skip, says: "its configuration file was not read", change: etcdConfig(nil)},
	{check: "etcd-tls", name: "settings in an environment that was not read", status: Skip, says: "names /etc/etcd.env for its environment", change: withEtcd("cp-2", func(p *evidence.Program) {
		p.Argv, p.Unit.Unread = p.Argv[:1], []string{"/etc/etcd.env"}
	})},
	{check: "etcd-tls", name: "settings in the environment", status: Pass, change: withEtcd("cp-2", toVariables)},
	{check: "etcd-tls", name: "plain http in the environment", status: Fail, node: "cp-2", says: "http://10.0.0.12:2379", change: withEtcd("cp-2", func(p *evidence.Program) {
		toVariables(p)
		p.Variables["listen-client-urls"] = "http://10.0.0.12:2379"
	})},
	{check: "etcd-tls", name: "flags go before the environment", status: Pass, change: withEtcd("cp-2", func(p *evidence.Program) {
		p.Variables = map[string]string{"listen-client-urls": "http://10.0.0.12:2379"}
	})},
}

// toVariables has etcd take from its environment what it takes from flags.
func toVariables(p *evidence.Program) {
	p.Variables = map[string]string{}
	for _, arg := range p.Argv[1:] {
		name, value, _ := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		p.Variables[name] = value
	}
	p.Argv = p.Argv[:1]
}

// certifyEtcd changes a certificate of etcd on a machine.
func certifyEtcd(machine, file string, change func(*evidencetest.Row)) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		evidencetest.Reissue(e, machine, evidencetest.PKI+"etcd/"+file, change)
	}
}

var etcdCertificateCases = []checkCase{
	{check: "etcd-own-ca", name: "healthy", status: Pass, says: "etcd-ca, which is not the cluster's"},
	{check: "etcd-own-ca", name: "kubeadm in a folder", of: func() *evidence.Evidence { return evidencetest.Folder(evidencetest.Kubeadm()) }, status: Pass, says: "etcd-ca"},
	{check: "etcd-own-ca", name: "on machines of its own", status: Pass, change: evidencetest.MoveEtcd},
	{check: "etcd-own-ca", name: "the cluster's", status: Fail, node: "cp-2", says: `"kubernetes", which signs clients of the API servers too`, change: etcdFlag("cp-2", "trusted-ca-file", evidencetest.PKI+"ca.crt")},
	{check: "etcd-own-ca", name: "the cluster's for peers", status: Fail, node: "cp-3", says: `"kubernetes"`, change: etcdFlag("cp-3", "peer-trusted-ca-file", evidencetest.PKI+"ca.crt")},
	{check: "etcd-own-ca", name: "the cluster's besides", status: Fail, node: "cp-1", says: `"kubernetes"`, change: func(e *evidence.Evidence) {
		m := evidencetest.Machine(e, "cp-1")
		evidencetest.SetCertificates(e, "cp-1", evidencetest.PKI+"etcd/ca.crt", slices.Concat(m.Certificates[evidencetest.PKI+"etcd/ca.crt"], m.Certificates[evidencetest.PKI+"ca.crt"])...)
	}},
	{check: "etcd-own-ca", name: "the root that signed the cluster's", status: Fail, node: "cp-3", says: `has signed "kubernetes"`, change: func(e *evidence.Evidence) {
		root, below := evidencetest.Chain("root", "kubernetes")
		evidencetest.SetCertificates(e, "cp-3", evidencetest.PKI+"etcd/ca.crt", root)
		evidencetest.SetCertificates(e, "cp-3", evidencetest.PKI+"ca.crt", below)
	}},

	{check: "etcd-cert-names", name: "healthy", status: Pass, says: "10.10.10.12, 127.0.0.1, cp-2, localhost"},
	{check: "etcd-cert-names", name: "kubeadm in a folder", of: func() *evidence.Evidence { return evidencetest.Folder(evidencetest.Kubeadm()) }, status: Pass, says: "10.10.10.12"},
	{check: "etcd-cert-names", name: "on machines of its own", status: Pass, says: "10.10.10.33, 127.0.0.1, etcd-3", change: evidencetest.MoveEtcd},
	{check: "etcd-cert-names", name: "another address is advertised", status: Fail, node: "cp-2", says: "missing: 10.75.6.99", change: etcdFlag("cp-2", "advertise-client-urls", "https://10.75.6.99:2379")},
	{check: "etcd-cert-names", name: "loopback is missing, which the API server uses", status: Fail, node: "cp-1", says: "missing: 127.0.0.1", change: certifyEtcd("cp-1", "server.crt", func(r *evidencetest.Row) {
		r.Names = slices.Delete(r.Names, 1, 2)
	})},
	{check: "etcd-cert-names", name: "peers reach it under another address", status: Fail, node: "cp-3", says: "missing: 10.10.10.13", change: certifyEtcd("cp-3", "peer.crt", func(r *evidencetest.Row) {
		r.Names[0] = "10.10.10.99"
	})},
	{check: "etcd-cert-names", name: "peers reach it as the list says", status: Pass, change: func(e *evidence.Evidence) {
		etcdFlag("cp-3", "initial-advertise-peer-urls", "https://192.0.2.3:2380")(e)
	}},
	{check: "etcd-cert-names", name: "API servers elsewhere reach it", status: Fail, node: "etcd-2", says: "missing: 10.10.10.32", change: func(e *evidence.Evidence) {
		evidencetest.MoveEtcd(e)
		certifyEtcd("etcd-2", "server.crt", func(r *evidencetest.Row) { r.Names = r.Names[1:] })(e)
	}},
	{check: "etcd-cert-names", name: "it listens for peers on loopback", of: inFolder(evidencetest.Kubeadm), status: Fail, node: "cp-2", says: "--listen-peer-urls=https://127.0.0.1:2380: nobody reaches it", change: etcdFlag("cp-2", "listen-peer-urls", "https://127.0.0.1:2380")},
	{check: "etcd-cert-names", name: "it is told nothing of where to listen for peers", of: inFolder(evidencetest.Kubeadm), status: Fail, node: "cp-2", says: "--listen-peer-urls=http://localhost:2380", change: etcdFlag("cp-2", "listen-peer-urls", "")},
	{check: "etcd-cert-names", name: "it listens for peers on all addresses", of: inFolder(evidencetest.Kubeadm), status: Pass, change: etcdFlag("cp-2", "listen-peer-urls", "https://0.0.0.0:2380")},
	{check: "etcd-cert-names", name: "it listens for clients on loopback, and API servers elsewhere come", of: inFolder(evidencetest.Kubeadm), status: Fail, node: "cp-2", says: "--listen-client-urls=https://127.0.0.1:2379", change: changes(etcdFlag("cp-2", "listen-client-urls", "https://127.0.0.1:2379"),
		setFlag("cp-1", server, "etcd-servers", "https://10.10.10.11:2379,https://10.10.10.12:2379,https://10.10.10.13:2379"))},
	{check: "etcd-cert-names", name: "it listens for clients on loopback, where they are", of: inFolder(evidencetest.Kubeadm), status: Pass, change: etcdFlag("cp-2", "listen-client-urls", "https://127.0.0.1:2379")},
	{check: "etcd-cert-names", name: "it is alone, and listens for peers on loopback", of: inFolder(evidencetest.Kubeadm), status: Pass, change: changes(etcdFlag("cp-1", "listen-peer-urls", "https://127.0.0.1:2380"), etcdFlag("cp-1", "initial-cluster", "cp-1=https://10.10.10.11:2380"), func(e *evidence.Evidence) {
		evidencetest.DropMachine(e, "cp-2")
		evidencetest.DropMachine(e, "cp-3")
	})},
	{check: "etcd-cert-names", name: "by name only", status: Fail, node: "cp-2", says: "missing: 10.10.10.12, 127.0.0.1", change: certifyEtcd("cp-2", "server.crt", func(r *evidencetest.Row) { r.Names = r.Names[2:] })},
	{check: "etcd-cert-names", name: "garbage", status: Error, node: "cp-2", says: "malformed", change: func(e *evidence.Evidence) {
		evidencetest.Garble(e, "cp-2", evidencetest.PKI+"etcd/server.crt", "x509: malformed certificate")
	}},
}
