package parse

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// kubeconfigText is what kubeadm writes, with a second context.
func kubeconfigText(t testing.TB) string {
	cert, key := issued(t, "kubernetes-admin")
	ca, _ := issued(t, "kubernetes")
	encode := base64.StdEncoding.EncodeToString
	return `apiVersion: v1
kind: Config
current-context: admin@k
contexts:
- {name: other, context: {cluster: other, user: other}}
- {name: admin@k, context: {cluster: k, user: admin, namespace: x}}
clusters:
- name: other
  cluster: {server: "https://10.0.0.9:6443", insecure-skip-tls-verify: true, certificate-authority: ca.crt}
- name: k
  cluster:
    certificate-authority-data: ` + encode([]byte(armored("CERTIFICATE", ca))) + `
    server: https://u:pl4nted@10.0.0.3:6443
    tls-server-name: kubernetes.default
users:
- name: admin
  user:
    client-certificate-data: ` + encode([]byte(armored("CERTIFICATE", cert))) + `
    client-key-data: ` + encode([]byte(armored("PRIVATE KEY", key))) + `
    token: pl4nted
    password: pl4nted
- name: other
  user:
    client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem
    client-key: /var/lib/kubelet/pki/kubelet-client-current.pem
    exec: {command: pl4nted, env: [{name: a, value: pl4nted}]}
preferences: {}
`
}

func TestKubeconfig(t *testing.T) {
	text := kubeconfigText(t)
	got := Kubeconfig("/etc/kubernetes/admin.conf", text)
	want := evidence.Kubeconfig{Path: "/etc/kubernetes/admin.conf", Context: "admin@k", Server: "https://REDACTED@10.0.0.3:6443",
		ServerName: "kubernetes.default", User: "admin"}
	if diff := cmp.Diff(want, got.Kubeconfig); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"kubernetes-admin", "kubernetes"}, named(append(got.ClientCerts, got.CACerts...))); diff != "" {
		t.Error(diff)
	}
	got = Kubeconfig("/x", strings.Replace(text, "current-context: admin@k", "current-context: other", 1))
	want = evidence.Kubeconfig{Path: "/x", Context: "other", Server: "https://10.0.0.9:6443", User: "other", Insecure: true}
	if diff := cmp.Diff(want, got.Kubeconfig); diff != "" {
		t.Error(diff)
	}
	const current = "/var/lib/kubelet/pki/kubelet-client-current.pem"
	if got.ClientPath != current || got.KeyPath != current || got.CAPath != "ca.crt" || got.ClientCerts != nil || got.CACerts != nil {
		t.Errorf("%+v", got)
	}
}

func TestKubeconfigOfHaplane(t *testing.T) {
	for file, server := range map[string]string{"admin": "https://10.10.10.3:6443", "scheduler": "https://127.0.0.1:6443"} {
		got := Kubeconfig("/etc/kubernetes/"+file+".conf", golden(t, "shared/cp-1", "/etc/kubernetes/"+file+".conf"))
		if got.Err != "" || got.Server != server || got.User == "" {
			t.Errorf("%+v", got.Kubeconfig)
		}
	}
}

func TestKubeconfigErrors(t *testing.T) {
	const context = "current-context: a\ncontexts: [{name: a, context: {cluster: k, user: u}}]\n"
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "no current-context"},
		{"a token", "pl4nted", "not a kubeconfig: it is of type string"},
		{"broken", "token: 'pl4nted\n", "not a kubeconfig: not YAML in line 2"},
		{"an alias", "token: *pl4nted", "not a kubeconfig: not YAML"},
		{"a user for the users", "users: {token: pl4nted}", "not a kubeconfig: users is of type object"},
		{"no context", "current-context: a\n", `no context "a", which is current-context`},
		{"no cluster", context + "users: [{name: u}]\n", `context "a" names cluster "k", which is not there`},
		{"no server", context + "clusters: [{name: k}]\nusers: [{name: u}]\n", `cluster "k" has no server`},
		{"no user", context + "clusters: [{name: k, cluster: {server: 's'}}]\n", `context "a" names user "u", who is not there`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := Kubeconfig("/x", tt.text); got.Err != tt.want {
				t.Errorf("%s, want %s", got.Err, tt.want)
			}
		})
	}
}

func TestKubeconfigGarbageCertificates(t *testing.T) {
	key := base64.StdEncoding.EncodeToString([]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"))
	got := Kubeconfig("/x", `{current-context: a, contexts: [{name: a, context: {cluster: k, user: u}}],
 clusters: [{name: k, cluster: {server: s, certificate-authority-data: "%%"}}], users: [{name: u, user: {client-certificate-data: `+key+`}}]}`)
	if got.Err != "" || len(got.CACerts) != 1 || !strings.HasPrefix(got.CACerts[0].Err, "not base64") || len(got.ClientCerts) != 1 || got.ClientCerts[0].Err != "no certificate in it" {
		t.Errorf("%+v", got)
	}
}

func FuzzKubeconfig(f *testing.F) {
	f.Add(kubeconfigText(f), "pl4nted")
	f.Add("current-context: a\ncontexts: [{name: a}]\nclusters: [{}]\n", "a: *b")
	f.Add("users: [{user: {client-key-data: {? [pl4nted] : x}}}]", "\xff\x00")
	f.Fuzz(func(t *testing.T, text, secret string) {
		Kubeconfig("/x", text)
		secret = "pl4nted" + strings.Map(func(r rune) rune {
			if r < ' ' || r == '"' || r == '\\' || r > '~' {
				return -1
			}
			return r
		}, secret)
		for _, key := range []string{"client-key-data", "token", "password"} {
			planted := "users: [{name: u, user: {" + key + ": \"" + secret + "\"}}]\ncontexts: [{name: a, context: {user: u}}]\ncurrent-context: a\n"
			for _, text := range []string{planted, planted + text, text + "\n" + planted} {
				got := Kubeconfig("/x", text)
				if out := fmt.Sprintf("%+v", got); strings.Contains(out, "pl4nted") && !strings.Contains(strings.ReplaceAll(text, planted, ""), "pl4nted") {
					t.Error(out)
				}
			}
		}
	})
}
