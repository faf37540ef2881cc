package xray

import (
	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
)

// etcdKeysOf has etcd on cp-2 read a sound configuration file with something else in it, and
// without some settings.
func etcdKeysOf(more map[string]any, without ...string) func(*evidence.Evidence) {
	return withEtcd("cp-2", func(p *evidence.Program) {
		client := map[string]any{"cert-file": evidencetest.PKI + "etcd/server.crt", "key-file": evidencetest.PKI + "etcd/server.key",
			"client-cert-auth": true, "trusted-ca-file": evidencetest.PKI + "etcd/ca.crt"}
		for _, key := range without {
			delete(client, key)
		}
		config := secureConfig()
		config["client-transport-security"] = client
		for key, value := range more {
			if inner, ok := value.(map[string]any); ok && key == "client-transport-security" {
				for k, v := range inner {
					client[k] = v
				}
				continue
			}
			config[key] = value
		}
		p.Argv, p.Config = []string{"etcd", "--config-file=/etc/etcd.yaml"}, config
	})
}

func ofVersion(version string, change func(*evidence.Evidence)) func(*evidence.Evidence) {
	return changes(change, withEtcd("cp-2", func(p *evidence.Program) { p.Version = version }))
}

var etcdConfigCases = []checkCase{
	{check: "etcd-config-keys", name: "flags", status: Pass, says: "no configuration file"},
	{check: "etcd-config-keys", name: "a file", status: Pass, says: "4 settings, all known", change: etcdKeysOf(nil)},
	{check: "etcd-config-keys", name: "a key of no section", status: Fail, node: "cp-2", says: "client-transport-security.client-cert-auth | client-cert-auth outside of its section", change: etcdKeysOf(map[string]any{"client-cert-auth": true}, "client-cert-auth")},
	{check: "etcd-config-keys", name: "a key twice", status: Warn, node: "cp-2", says: "client-cert-auth outside", change: etcdKeysOf(map[string]any{"client-cert-auth": true})},
	{check: "etcd-config-keys", name: "a peer's key of no section", status: Fail, node: "cp-2", says: "peer-transport-security.cert-file", change: etcdKeysOf(map[string]any{"peer-cert-file": "/x"})},
	{check: "etcd-config-keys", name: "misspelt in its section", status: Fail, node: "cp-2", says: "client-transport-security.client-cert-authn, which", change: etcdKeysOf(map[string]any{"client-transport-security": map[string]any{"client-cert-authn": true}})},
	{check: "etcd-config-keys", name: "a section misspelt", status: Fail, node: "cp-2", says: "peer-transport-securty with", change: etcdKeysOf(map[string]any{"peer-transport-securty": map[string]any{"client-cert-auth": true}})},
	{check: "etcd-config-keys", name: "something else misspelt", status: Warn, node: "cp-2", says: "quota-backend-byte, which it does not know", change: etcdKeysOf(map[string]any{"quota-backend-byte": 1})},
	{check: "etcd-config-keys", name: "auto-TLS outside of its section", status: Warn, node: "cp-2", says: "auto-tls outside", change: etcdKeysOf(map[string]any{"auto-tls": true})},
	{check: "etcd-config-keys", name: "capitals", status: Pass, change: etcdKeysOf(map[string]any{"Quota-Backend-Bytes": 1})},
	{check: "etcd-config-keys", name: "what was there once", status: Pass, change: ofVersion("3.5.21", etcdKeysOf(map[string]any{"enable-v2": false, "experimental-initial-corrupt-check": true, "proxy": "off"}))},
	{check: "etcd-config-keys", name: "what was there once, and the version is not known", status: Pass, change: ofVersion("", etcdKeysOf(map[string]any{"experimental-initial-corrupt-check": true}))},
	{check: "etcd-config-keys", name: "what is there no more", status: Warn, node: "cp-2", says: "experimental-initial-corrupt-check", change: ofVersion("3.7.1", etcdKeysOf(map[string]any{"experimental-initial-corrupt-check": true}))},
	{check: "etcd-config-keys", name: "a flag beside the file", status: Warn, node: "cp-2", says: "Take --client-cert-auth away, or write what it is to be into /etc/etcd.yaml.", change: changes(etcdKeysOf(nil), withEtcd("cp-2", func(p *evidence.Program) {
		p.Argv = append(p.Argv, "--client-cert-auth=true")
	}))},
	{check: "etcd-config-keys", name: "a file that was not read", status: Skip, says: "was not read", change: etcdConfig(nil)},

	{check: "etcd-tls", name: "a key of no section is not set", status: Fail, node: "cp-2", says: "clients need no certificate", change: etcdKeysOf(map[string]any{"client-cert-auth": true, "trusted-ca-file": "/x"}, "client-cert-auth", "trusted-ca-file")},
	{check: "etcd-tls", name: "auto-TLS beside certificates, by file", status: Pass, change: etcdKeysOf(map[string]any{"client-transport-security": map[string]any{"auto-tls": true}})},
	{check: "etcd-tls", name: "auto-TLS beside certificates", status: Pass, change: changes(etcdFlag("cp-1", "auto-tls", "true"), etcdFlag("cp-1", "peer-auto-tls", "true"))},
	{check: "etcd-tls", name: "auto-TLS without certificates", status: Fail, node: "cp-1", says: "--auto-tls", change: changes(etcdFlag("cp-1", "auto-tls", "true"), etcdFlag("cp-1", "cert-file", ""), etcdFlag("cp-1", "key-file", ""))},
}
