package parse

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRedact(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a flag", "--token=abc --v=2", "--token=REDACTED --v=2"},
		{"a flag and a word", "--token abc --v 2", "--token REDACTED --v 2"},
		{"in quotes", `--token="a b" --password 'c d' x`, "--token=REDACTED --password REDACTED x"},
		{"escaped quotes", `{"password":"a\"b","x":"y"}`, `{"password":REDACTED,"x":"y"}`},
		{"quotes around all", `Environment="PASSWORD=a b" 'TOKEN=c d' X=y`, `Environment="PASSWORD=REDACTED" 'TOKEN=REDACTED' X=y`},
		{"YAML", "{token: abc, v: 2}\nsecret: |\n", "{token: REDACTED, v: 2}\nsecret: REDACTED\n"},
		{"an unclosed quote", `token="a b`, "token=REDACTED"},
		{"a URL", "https://user:p@ss@10.0.0.1:2379/x@y", "https://REDACTED@10.0.0.1:2379/x@y"},
		{"a URL without", "https://10.0.0.1:2379/x", "https://10.0.0.1:2379/x"},
		{"a header", "Authorization: Bearer abc.def-g", "Authorization: Bearer REDACTED"},
		{"bearer", "with bearer abcdefghijklmnop.x", "with bearer REDACTED"},
		{"only the word", "invalid bearer token", "invalid bearer token"},
		{"upper case", "K3S_TOKEN=abc ACCESS-KEY=x apiKey: y", "K3S_TOKEN=REDACTED ACCESS-KEY=REDACTED apiKey: REDACTED"},
		{"a file", "--token-auth-file=/etc/x.csv --tls-private-key-file /etc/y.key", "--token-auth-file=/etc/x.csv --tls-private-key-file /etc/y.key"},
		{"a secret like a path", "--token=/abc+d== PASSWORD=/x", "--token=REDACTED PASSWORD=REDACTED"},
		{"booleans", "--enable-bootstrap-token-auth=true --use-service-account-credentials=\"false\"", "--enable-bootstrap-token-auth=true --use-service-account-credentials=\"false\""},
		{"durations", "--authentication-token-webhook-cache-ttl=2m0s --token-ttl=1.5h", "--authentication-token-webhook-cache-ttl=2m0s --token-ttl=1.5h"},
		{"no durations", "token=2maple token=5", "token=REDACTED token=REDACTED"},
		{"feature gates", "--feature-gates=KubeletEnsureSecretPulledImages=true,X=false", "--feature-gates=KubeletEnsureSecretPulledImages=true,X=false"},
		{"nothing secret", "--authorization-mode=Node,RBAC --service-account-key-file=/x --controllers=*,-tokencleaner", "--authorization-mode=Node,RBAC --service-account-key-file=/x --controllers=*,-tokencleaner"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, Redact(tt.text)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRedactArgv(t *testing.T) {
	for _, tt := range []struct {
		name       string
		argv, want []string
	}{
		{"whole arguments", []string{"x", "--token=a b 'c", "PASSWORD=d e"}, []string{"x", "--token=REDACTED", "PASSWORD=REDACTED"}},
		{"the next argument", []string{"x", "--token", "a b", "y"}, []string{"x", "--token", "REDACTED", "y"}},
		{"a dash before it", []string{"x", "--token", "-abc", "y"}, []string{"x", "--token", "REDACTED", "y"}},
		{"a flag after it", []string{"x", "--use-credentials", "--v=2", "-h"}, []string{"x", "--use-credentials", "--v=2", "-h"}},
		{"a file after it", []string{"x", "--token-file", "/a", "--token", "/b"}, []string{"x", "--token-file", "/a", "--token", "REDACTED"}},
		{"k3s", []string{"/usr/bin/k3s", "server", "-t", "abc"}, []string{"/usr/bin/k3s", "server", "-t", "REDACTED"}},
		{"-t of others", []string{"haproxy", "-t", "abc"}, []string{"haproxy", "-t", "abc"}},
		{"URLs", []string{"x", "--etcd-servers=https://u:p@h:1"}, []string{"x", "--etcd-servers=https://REDACTED@h:1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := append([]string{}, tt.argv...)
			if diff := cmp.Diff(tt.want, RedactArgv(tt.argv)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(before, tt.argv); diff != "" {
				t.Errorf("the argument has changed: %s", diff)
			}
		})
	}
}

// What haplane renders has secrets in other files than units.
func TestRedactLeavesUnitsOfHaplane(t *testing.T) {
	for _, unit := range []string{"kube-apiserver", "kube-controller-manager", "kubelet", "etcd", "haplane-agent"} {
		text := strings.ReplaceAll(golden(t, "shared/cp-1", "/etc/systemd/system/"+unit+".service"), "--initial-cluster-token=demo", "")
		if diff := cmp.Diff(text, Redact(text)); diff != "" {
			t.Errorf("%s: %s", unit, diff)
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("", "", "abc")
	f.Add(`token="`, "secret='x", "/abc==")
	f.Add("authorization: x ", "\xff\x00://a@", "true1")
	f.Fuzz(func(t *testing.T, before, after, secret string) {
		secret = "pl4nted" + strings.Join(strings.FieldsFunc(secret, func(r rune) bool { return strings.ContainsRune(" \t\r\n\v\f\"'\u0085\u00a0", r) }), "")
		if strings.Contains(before+after, "pl4nted") {
			return
		}
		for _, line := range []string{"TOKEN=", "--password ", "secret: ", "  apiKey=", "https://user:"} {
			text := before + "\n" + line + secret
			if strings.HasPrefix(line, "https") {
				text = before + "\n" + line + strings.ReplaceAll(secret, "/", "") + "@host"
			}
			text += "\n" + after
			out := Redact(text)
			if strings.Contains(out, "pl4nted") {
				t.Errorf("%q: %q", text, out)
			}
			if again := Redact(out); strings.Contains(again, "pl4nted") {
				t.Errorf("%q: %q", out, again)
			}
		}
		for _, argv := range [][]string{{"x", before, "--token=" + secret}, {"x", before, "--password", secret}, {"k3s", "server", "-t", secret}} {
			if out := RedactArgv(argv); strings.Contains(out[len(out)-1], "pl4nted") {
				t.Errorf("%q: %q", argv, out)
			}
		}
	})
}
