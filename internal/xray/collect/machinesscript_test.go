package collect

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/machine"
)

// redacted runs files of a kind through the script that runs on machines.
func redacted(t *testing.T, how kind, text string) string {
	t.Helper()
	f := newTree(t)
	f.write("file", 0o600, text)
	out, err := exec.Command("awk", "-v", "mark=@", "-v", "limit=100000", redaction, "kind="+string(how), filepath.Join(f.dir, "file")).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	_, body, _ := strings.Cut(strings.TrimPrefix(string(out), "\n"), "\n")
	return body
}

func TestSecretsStayOnTheMachine(t *testing.T) {
	const s = plantedKey
	tests := map[string]struct {
		how        kind
		text, want string
	}{
		"kubeconfig": {asText, "users:\n- name: a\n  user:\n    client-key-data: " + s + "\n    token: " + s + "\n    client-certificate-data: Q0VSVA==\n    tokenFile: /run/token\n",
			"users:\n- name: a\n  user:\n    client-key-data: REDACTED\n    token: REDACTED\n    client-certificate-data: Q0VSVA==\n    tokenFile: /run/token\n"},
		"block":         {asText, "user:\n  token: |\n    " + s + "\n    x: " + s + "\n  name: a\n", "user:\n  token: REDACTED\n  name: a\n"},
		"folded":        {asText, "password:\n  " + s + "\n  " + s + "\nname: a\n", "password:\nname: a\n"},
		"goes on":       {asText, "token: abc\n  " + s + "\nname: a\n", "token: REDACTED\nname: a\n"},
		"quoted":        {asText, "token: \"" + s + "\n  " + s + "\"\nname: a\n", "token: REDACTED\nname: a\n"},
		"list":          {asText, "tokens:\n- " + s + "\n- " + s + "\nname: a\n", "tokens:\nname: a\n"},
		"deeper list":   {asText, "tokens:\n  - " + s + "\nname: a\n", "tokens:\nname: a\n"},
		"JSON in lines": {asText, "{\n  \"token\": \"" + s + "\",\n  \"name\": \"a\"\n}\n", "{\n  \"token\": REDACTED,\n  \"name\": \"a\"\n}\n"},
		"JSON":          {asText, `{"user":{"token":"` + s + `","client-key-data": "` + s + `"},"name":"a"}` + "\n", `{"user":{"token":REDACTED,"client-key-data": REDACTED},"name":"a"}` + "\n"},
		"flow":          {asText, "user: {token: " + s + ", name: a, tokens: [" + s + ", " + s + "]}\n", "user: {token: REDACTED, name: a, tokens: REDACTED}\n"},
		"environment":   {asText, "env:\n- name: A\n  value: " + s + "\n- name: B\n", "env:\n- name: A\n  value: REDACTED\n- name: B\n"},
		"settings in the environment": {asText, "env:\n- name: vip_address\n  value: 10.0.0.10\n- name: ETCD_NAME\n  value: \"a\"\n- name: bgp_peers\n  value: 10.0.0.1:65000:" + s + ":false\n- name: ETCD_INITIAL_CLUSTER_TOKEN\n  value: " + s + "\n- name: vip_x\n  other: a\n  value: |\n    " + s + "\n- value: " + s + "\n  name: vip_address\n",
			"env:\n- name: vip_address\n  value: 10.0.0.10\n- name: ETCD_NAME\n  value: \"a\"\n- name: bgp_peers\n  value: REDACTED\n- name: ETCD_INITIAL_CLUSTER_TOKEN\n  value: REDACTED\n- name: vip_x\n  other: a\n  value: REDACTED\n- value: REDACTED\n  name: vip_address\n"},
		"header": {asText, "staticPodURLHeader:\n  Authorization: [Bearer " + s + "]\nname: a\n", "staticPodURLHeader:\n  Authorization: REDACTED\nname: a\n"},
		"flags in a list": {asText, "command:\n- kube-apiserver\n- --oidc-client-secret=" + s + "\n- --etcd-servers=https://root:" + s + "@10.0.0.1:2379\n- --v=2\n",
			"command:\n- kube-apiserver\n- --oidc-client-secret=REDACTED\n- --etcd-servers=https://REDACTED@10.0.0.1:2379\n- --v=2\n"},
		"harmless": {asText, "rotateCertificates: true\nauthentication:\n  webhook: {cacheTTL: 2m}\nauthorization:\n  mode: Webhook\n- --token-auth-file=/etc/x\n- --enable-bootstrap-token-auth=true\n- --authorization-mode=Node,RBAC\n",
			"rotateCertificates: true\nauthentication:\n  webhook: {cacheTTL: 2m}\nauthorization:\n  mode: Webhook\n- --token-auth-file=/etc/x\n- --enable-bootstrap-token-auth=true\n- --authorization-mode=Node,RBAC\n"},
		"a map of that name": {asText, "volumes:\n- secret:\n    secretName: a\n    items:\n    - key: b\n", "volumes:\n- secret:\n    secretName: REDACTED\n    items:\n    - key: b\n"},
		"unit": {asText, "[Service]\nEnvironment=TOKEN=" + s + " \"PASSWORD=" + s + " " + s + "\" A=b\nExecStart=/usr/bin/x \\\n  --token " + s + " \\\n  --name=a\n",
			"[Service]\nEnvironment=TOKEN=REDACTED \"PASSWORD=REDACTED\" A=b\nExecStart=/usr/bin/x \\\n  --token REDACTED \\\n  --name=a\n"},
		"argument of its own": {asText, "command:\n- x\n- --token\n- " + s + "\n- --name\n- a\nExecStart=x --secret \\\n  " + s + " \\\n  --v=2\n",
			"command:\n- x\n- --token\n- REDACTED\n- --name\n- a\nExecStart=x --secret \\\n  REDACTED \\\n  --v=2\n"},
		"garbage": {asText, "a: {{{\n\x01\xff: |\n", "a: {{{\n\x01\xff: |\n"},
		"HAProxy": {asBalancer, "userlist u\n user a password " + s + "\n stats auth a:" + s + "\nbackend b\n server c 10.0.0.1:6443 check\n",
			"userlist u\nbackend b\n server c 10.0.0.1:6443 check\n"},
		"keepalived": {asBalancer, "$AUTH_PASS=" + s + "\nvrrp_script a { script \"/bin/check -p " + s + "\" }\nvrrp_script b {\n  script /bin/check " + s + "\n  weight 2\n}\nvrrp_instance a {\n  authentication {\n    auth_type PASS\n    auth_pass " + s + "\n  }\n  notify_master \"x " + s + "\"\n  track_script {\n    a\n  }\n}\n",
			"vrrp_script a { script REDACTED }\nvrrp_script b {\n  script REDACTED \n  weight 2\n}\nvrrp_instance a {\n  authentication {\n    auth_type PASS\n    auth_pass REDACTED \n  }\n  notify_master REDACTED\n  track_script {\n    a\n  }\n}\n"},
		"kube-vip": {asText, "env:\n- name: vip_arp\n  value: \"true\"\n- name: address\n  value: 10.0.0.100\n- name: port\n  value: \"6443\"\n- name: bgp_peerpass\n  value: " + s + "\n- name: address\n  value:\n    " + s + "\n- name: vip_address\n  valueFrom: x\n- value: " + s + "\n",
			"env:\n- name: vip_arp\n  value: \"true\"\n- name: address\n  value: 10.0.0.100\n- name: port\n  value: \"6443\"\n- name: bgp_peerpass\n  value: REDACTED\n- name: address\n  value:\n- name: vip_address\n  valueFrom: x\n- value: REDACTED\n"},
		"certificate and key":           {asPEM, keyText() + "-----BEGIN CERTIFICATE-----\nQQ==\n-----END CERTIFICATE-----\n" + keyText(), "-----BEGIN CERTIFICATE-----\nQQ==\n-----END CERTIFICATE-----\n"},
		"certificate that does not end": {asPEM, "-----BEGIN CERTIFICATE-----\nQQ==\n" + keyText(), "-----BEGIN CERTIFICATE-----\nQQ==\n"},
		"public key":                    {asPEM, "-----BEGIN PUBLIC KEY-----\nQQ==\n-----END PUBLIC KEY-----\n", "-----BEGIN PUBLIC KEY-----\nQQ==\n-----END PUBLIC KEY-----\n"},
		"token":                         {asPEM, s + "\n", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := redacted(t, test.how, test.text)
			if strings.Contains(got, s) {
				t.Errorf("a secret is left:\n%s", got)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Units are asked about by name, and by what is in their files where the name says nothing.
func TestUnitsToAskAbout(t *testing.T) {
	f := newTree(t)
	f.write("proc/sys/kernel/hostname", 0o644, "x\n")
	for name, text := range map[string]string{
		"etc/systemd/system/control.service":         "[Service]\nExecStart=/opt/kube-apiserver\n",
		"etc/systemd/system/backup.service":          "[Service]\nExecStart=/opt/backup\n",
		"etc/systemd/system/worker@.service":         "[Service]\nExecStart=/opt/kubelet\n",
		"etc/systemd/system/containerd.service":      "# for kubelet\n",
		"usr/lib/systemd/system/haproxy.service":     "[Service]\nExecStart=/usr/sbin/haproxy\n",
		"usr/lib/systemd/system/etcd-backup.service": "[Service]\nExecStart=/opt/backup\n",
	} {
		f.write(name, 0o644, text)
	}
	f.write("bin/systemctl", 0o755, "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done; shift; printf 'asked %s\\n' \"$@\"\n")
	s := newScript(f.dir, filepath.Join(f.dir, "proc"))
	s.call("survey")
	s.call("section", "denied", "/a b")
	result, err := (&shell{name: "x", bin: filepath.Join(f.dir, "bin")}).Run(t.Context(), machine.Command{Argv: []string{"sh", "-s"}, Stdin: strings.NewReader(s.round())})
	if err != nil {
		t.Fatal(err)
	}
	var units, denied string
	for _, part := range s.sections(result.Stdout) {
		switch part.title {
		case "units":
			units = part.body
		case "denied":
			denied = part.arg
		}
	}
	want := []string{"asked control.service\n", "asked etcd-backup.service\n", "asked haproxy.service\n"}
	if diff := cmp.Diff(want, slices.Sorted(strings.Lines(units))); diff != "" {
		t.Error(diff)
	}
	if denied != "/a b" {
		t.Errorf("denied %q", denied)
	}
}

// What keepalived says of VRRP that is none of its peers' is found in its journal, and nothing else.
func TestStrangersThatKeepalivedHears(t *testing.T) {
	const peer, address = "(kube-apiserver) unicast source address 10.0.0.9 not a unicast peer", "(kube-apiserver) ip address associated with VRID 51 not present in MASTER advert: 10.0.0.100"
	for name, test := range map[string]struct{ log, want string }{
		"nobody":                         {"(kube-apiserver) Entering MASTER STATE\n(kube-apiserver) Master received advert from 10.0.0.5 with higher priority 200, ours 150\n", ""},
		"one that is no peer":            {peer + "\n(kube-apiserver) Entering MASTER STATE\n", peer + "\n"},
		"one with another address, last": {peer + "\n" + address + "\n", address + "\n"},
		"nothing was said":               {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newTree(t)
			f.write("log", 0o644, test.log)
			f.write("bin/journalctl", 0o755, "#!/bin/sh\ncase \" $* \" in *\" _COMM=keepalived \"*) cat "+filepath.Join(f.dir, "log")+" ;; *) exit 1 ;; esac\n")
			s := newScript(f.dir, filepath.Join(f.dir, "proc"))
			s.call("strangers")
			result, err := (&shell{name: "x", bin: filepath.Join(f.dir, "bin")}).Run(t.Context(), machine.Command{Argv: []string{"sh", "-s"}, Stdin: strings.NewReader(s.round())})
			if err != nil {
				t.Fatal(err)
			}
			got := "no answer"
			for _, part := range s.sections(result.Stdout) {
				if part.title == "answer" && part.arg == strangersID {
					got = part.body
				}
			}
			if got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}
