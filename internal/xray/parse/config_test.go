package parse

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestConfigOfHaplane(t *testing.T) {
	config, err := Config(golden(t, "shared/cp-1", "/var/lib/kubelet/config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for want, keys := range map[string][]string{
		"KubeletConfiguration":       {"kind"},
		"/etc/kubernetes/pki/ca.crt": {"authentication", "x509", "clientCAFile"},
		"":                           {"authentication", "x509", "clientCAFile", "deeper"},
	} {
		if got := Text(config, keys...); got != want {
			t.Errorf("%v: %q, want %q", keys, got, want)
		}
	}
	if strings.Contains(fmt.Sprint(config), Redacted) {
		t.Errorf("something was taken away: %v", config)
	}
}

func TestConfigWithoutSecrets(t *testing.T) {
	got, err := Config(`
staticPodURLHeader: {Authorization: [x]}
clientSecret: abc
tokens: [a, b]
credentials: {user: a}
tokenTTL: 24h0m0s
tokenLimit: 5
enableTokens: true
tlsPrivateKeyFile: /var/lib/kubelet/pki/kubelet.key
featureGates: {KubeletEnsureSecretPulledImages: true}
endpoints: ["https://u:p@h:1", "--token=abc"]
nested: [{password: abc, other: x}]
url: https://u:p@h:1
empty:
`)
	want := map[string]any{
		"staticPodURLHeader": Redacted, "clientSecret": Redacted, "tokens": Redacted, "credentials": Redacted,
		"tokenTTL": "24h0m0s", "tokenLimit": 5.0, "enableTokens": true, "tlsPrivateKeyFile": "/var/lib/kubelet/pki/kubelet.key",
		"featureGates": map[string]any{"KubeletEnsureSecretPulledImages": true},
		"endpoints":    []any{"https://REDACTED@h:1", "--token=REDACTED"},
		"nested":       []any{map[string]any{"password": Redacted, "other": "x"}}, "url": "https://REDACTED@h:1", "empty": nil,
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// Errors of the library quote what they could not read.
func TestErrorsOfYAMLHaveNoContent(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a scalar", "pl4nted", "it is of type string"},
		{"a number", "4711", "it is of type number"},
		{"an alias", "token: *pl4nted", "not YAML"},
		{"a key that is none", "? [pl4nted]\n: x", "not YAML"},
		{"broken", "a: b\ntoken: \"pl4nted\n", "not YAML in line"},
		{"a tab", "a: b\n\tpl4nted: x", "not YAML in line 2"},
		{"nothing", "# pl4nted\n", "an empty configuration"},
		{"not UTF-8", "a: \xff", "not YAML"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Config(tt.text)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "pl4nted") || strings.Contains(err.Error(), "4711") {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

func FuzzConfig(f *testing.F) {
	f.Add(golden(f, "shared/cp-1", "/var/lib/kubelet/config.yaml"), "abc")
	f.Add("a: &x [*x]\n", "{")
	f.Add(strings.Repeat("[", 300), "*")
	f.Add("a: 1e999\nb: 0x\n? [c]\n: d", "\xff\x00")
	f.Fuzz(func(t *testing.T, text, secret string) {
		config, err := Config(text)
		if err == nil && config == nil {
			t.Error("neither a configuration nor an error")
		}
		Text(config, "a", "b")
		secret = "pl4nted" + strings.Map(func(r rune) rune {
			if r < ' ' || r == '"' || r == '\\' || r > '~' {
				return -1
			}
			return r
		}, secret)
		config, err = Config("password: \"" + secret + "\"\nx: [{apiKey: \"" + secret + "\"}]\n" + text)
		if out := fmt.Sprint(config, err); strings.Contains(out, "pl4nted") && !strings.Contains(text, "pl4nted") {
			t.Error(out)
		}
	})
}
