package collect

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/internal/xray/parse"
)

// plantedKey stands where private keys, tokens and the like are. Nothing may show it.
const plantedKey = "UExBTlRFRC1TRUNSRVQ"

// A tree is the files of a machine, as evidence says that they are.
type tree struct {
	t   *testing.T
	dir string
}

func newTree(t *testing.T) tree { return tree{t, t.TempDir()} }

func (f tree) write(name string, mode os.FileMode, text string) {
	f.t.Helper()
	file := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil { // whatever the umask is
		f.t.Fatal(err)
	}
}

// link makes a symbolic link, whose target need not be there.
func (f tree) link(name, target string) {
	f.t.Helper()
	file := filepath.Join(f.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Symlink(target, file); err != nil {
		f.t.Fatal(err)
	}
}

// machine writes all files of a machine.
func (f tree) machine(m *evidence.Machine) {
	for path, file := range m.Files {
		text := "of " + path + "\n"
		switch certs := m.Certificates[path]; {
		case m.Kubeconfigs[path].Path != "":
			text = kubeconfigText(m.Kubeconfigs[path], certs, caOf(m))
		case strings.HasSuffix(path, ".pem"):
			text = parse.PEM(certs) + keyText()
		case len(certs) > 0:
			text = parse.PEM(certs)
		case strings.HasSuffix(path, ".key"):
			text = keyText()
		case len(file.PublicKeys) > 0:
			text = publicKeyText()
		case path == haproxyConfig:
			text = haproxyText(m.LoadBalancer)
		}
		f.write(path, os.FileMode(file.Mode), text)
	}
	for _, p := range m.Programs {
		f.program(p)
	}
}

// program writes the unit or the manifest, and the configuration.
func (f tree) program(p evidence.Program) {
	if p.Unit != nil {
		f.write(p.Unit.Path, 0o644, unitText(p))
	} else if p.Name != evidence.KubeProxy { // which runs in a DaemonSet
		f.write("/etc/kubernetes/manifests/"+p.Name+".yaml", 0o600, manifestText(f.t, p))
	}
	if file, ok := p.Flag("config"); ok && p.Config != nil {
		text, err := yaml.Marshal(p.Config)
		if err != nil {
			f.t.Fatal(err)
		}
		f.write(file, 0o644, string(text))
	}
}

func keyText() string {
	return "-----BEGIN PRIVATE KEY-----\n" + strings.Repeat(plantedKey, 3) + "\n-----END PRIVATE KEY-----\n"
}

// publicKeyText is of the service account key.
func publicKeyText() string {
	c := evidencetest.Issue(evidencetest.Row{CA: evidencetest.CA, CommonName: "x", Key: "service accounts"})
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: c.RawSubjectPublicKeyInfo}))
}

// caOf is the file of a machine's CA, "" where it has none.
func caOf(m *evidence.Machine) string {
	for _, path := range []string{evidencetest.PKI + "ca.crt", evidencetest.K0sPKI + "ca.crt"} {
		if _, ok := m.Files[path]; ok {
			return path
		}
	}
	return ""
}

func kubeconfigText(k evidence.Kubeconfig, certs []evidence.Certificate, ca string) string {
	user := fmt.Sprintf("    client-certificate-data: %s\n    client-key-data: %s\n    token: %s\n",
		base64.StdEncoding.EncodeToString([]byte(parse.PEM(certs))), plantedKey, plantedKey)
	if len(certs) == 0 {
		user = "    client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem\n    client-key: /var/lib/kubelet/pki/kubelet-client-current.pem\n"
	}
	return fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: demo
  cluster:
    server: %[1]s
    certificate-authority: %[5]q
users:
- name: %[2]s
  user:
%[3]scontexts:
- name: %[4]s
  context: {cluster: demo, user: "%[2]s"}
current-context: %[4]s
`, k.Server, k.User, user, k.Context, ca)
}

func unitText(p evidence.Program) string {
	text := "[Unit]\nDescription=x\n\n[Service]\nExecStart=" + strings.Join(p.Unit.Exec, " \\\n  ") + "\n"
	for name, value := range p.Unit.Settings {
		text += name + "=" + value + "\n"
	}
	return text + "\n[Install]\nWantedBy=multi-user.target\n"
}

func manifestText(t *testing.T, p evidence.Program) string {
	text, err := yaml.Marshal(map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": p.Name},
		"spec": map[string]any{"containers": []any{map[string]any{"name": p.Name, "image": "registry.example/" + p.Name + ":" + p.Version, "command": p.Argv,
			"env": []any{map[string]any{"name": "X", "value": plantedKey}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// haproxyText is what haplane writes, as far as the evidence goes.
func haproxyText(lb *evidence.LoadBalancer) string {
	text := `global
  stats socket /run/haproxy/admin.sock mode 600 level admin
userlist people
  user somebody insecure-password ` + plantedKey + `
defaults
  mode tcp
  option srvtcpka
  timeout connect 250ms
  timeout check 1s
  timeout client 5h
  timeout server 5h
  retries 5
  option redispatch 1
frontend kube-apiserver
  bind ` + lb.Frontends[0] + `
  default_backend kube-apiserver
backend kube-apiserver
  option httpchk
  http-check send meth GET uri /readyz
  http-check expect status 200
  default-server check check-ssl verify required ca-file /etc/haproxy/kubernetes-ca.crt verifyhost kubernetes.default inter 500ms fastinter 100ms fall 2 rise 1 tcp-ut 2s on-marked-down shutdown-sessions
`
	for _, b := range lb.Backends {
		options := ""
		if b.Backup {
			options = " no-check backup"
		}
		text += "  server " + b.Name + " " + b.Address + options + "\n"
	}
	return text
}

// running writes what /proc has of the programs, and what systemctl, ip, curl and
// socat say, in a folder of programs.
func (f tree) running(m *evidence.Machine) (bin string) {
	var states string
	for _, p := range m.Programs {
		pid := strings.TrimPrefix(p.Where, "pid ")
		group := "0::/kubepods/burstable/pod1/" + p.Name
		if p.Unit != nil {
			group = "0::/system.slice/" + p.Unit.Name
			states += fmt.Sprintf("Id=%s\nActiveState=active\nUnitFileState=enabled\nFragmentPath=%s\nDropInPaths=\nMainPID=%s\nTimeoutStopUSec=%s\n\n",
				p.Unit.Name, p.Unit.Path, pid, span(p.StopTimeout))
		}
		f.write("proc/"+pid+"/comm", 0o644, p.Name[:min(15, len(p.Name))]+"\n")
		f.write("proc/"+pid+"/cmdline", 0o644, strings.Join(p.Argv, "\x00")+"\x00")
		f.write("proc/"+pid+"/cgroup", 0o644, group+"\n")
	}
	f.write("proc/7/comm", 0o644, "nginx\n") // of somebody's pod
	f.write("proc/7/cmdline", 0o644, "nginx: master process nginx -g daemon off;")
	f.write("proc/7/cgroup", 0o644, "0::/kubepods/besteffort/pod2/x\n")
	f.write("proc/sys/kernel/hostname", 0o644, m.Hostname+"\n")
	f.write("proc/net/tcp", 0o644, socketsText(m))
	f.write("answers/systemctl", 0o644, states)
	f.write("answers/ip", 0o644, "2: host0    inet "+m.Addresses[0].String()+"/24 scope global host0\n")
	f.answers(m)
	f.write("answers/nft", 0o644, ledText(m))
	f.write("bin/nft", 0o755, "#!/bin/sh\nif [ \"$*\" = 'list tables' ]; then printf 'table ip nat\\ntable ip haplane-local\\n'; else cat "+f.dir+"/answers/nft; fi\n")
	for _, name := range []string{"systemctl", "ip"} {
		f.write("bin/"+name, 0o755, "#!/bin/sh\ncat "+f.dir+"/answers/"+name+"\n")
	}
	return filepath.Join(f.dir, "bin")
}

// ledText is what nft lists of a table of a machine.
func ledText(m *evidence.Machine) string {
	if len(m.Led) == 0 {
		return ""
	}
	text := "table ip haplane-local {\n\tchain lead {\n"
	for _, l := range m.Led {
		text += fmt.Sprintf("\t\tip daddr %s tcp dport %d dnat to %s\n", l.To.Addr(), l.To.Port(), l.At)
	}
	return text + "\t}\n}\n"
}

func span(d time.Duration) string { return strconv.Itoa(int(d.Seconds())) + "s" }

func socketsText(m *evidence.Machine) string {
	text := "  sl  local_address rem_address   st\n"
	for _, l := range m.Listening {
		if l.Addr().Is4() {
			a := l.Addr().As4()
			text += fmt.Sprintf("   0: %02X%02X%02X%02X:%04X 00000000:0000 0A\n", a[3], a[2], a[1], a[0], l.Port())
		} else {
			text += fmt.Sprintf("   0: %s:%04X 00000000:0000 0A\n", strings.Repeat("0", 32), l.Port())
		}
	}
	return text + "   9: 0100007F:1F90 0100007F:1F91 01\n"
}

// answers has curl answer by the end of the URL, and socat by what HAProxy says.
func (f tree) answers(m *evidence.Machine) {
	for _, name := range []string{"readyz", "healthz"} {
		f.write("answers/"+name, 0o644, "ok")
	}
	ready := 200
	for _, r := range m.Requests {
		if strings.HasSuffix(r.URL, "/readyz") {
			ready = r.Status
		}
	}
	if e := m.Etcd; e != nil {
		number := func(hex string) string {
			n, _ := strconv.ParseUint(hex, 16, 64)
			return strconv.FormatUint(n, 10)
		}
		var members []map[string]any
		for _, x := range e.Members {
			members = append(members, map[string]any{"ID": number(x.ID), "name": x.Name, "peerURLs": x.PeerURLs, "clientURLs": x.ClientURLs})
		}
		header := map[string]any{"cluster_id": number(e.ClusterID), "member_id": number(e.ID)}
		for name, value := range map[string]any{
			"status": map[string]any{"header": header, "version": e.Version, "leader": number(e.Leader), "dbSize": fmt.Sprint(e.DBSize), "dbSizeInUse": fmt.Sprint(e.DBInUse)},
			"list":   map[string]any{"header": header, "members": members},
			"alarm":  map[string]any{"header": header}, "health": map[string]any{"health": "true"},
		} {
			text, err := json.Marshal(value)
			if err != nil {
				f.t.Fatal(err)
			}
			f.write("answers/"+name, 0o644, string(text))
		}
		f.write("answers/metrics", 0o644, fmt.Sprintf("# TYPE go_goroutines gauge\ngo_goroutines 12\n# TYPE etcd_server_quota_backend_bytes gauge\netcd_server_quota_backend_bytes %d\n%s%s",
			e.Quota, histogram("etcd_disk_wal_fsync_duration_seconds", e.FsyncP99), histogram("etcd_disk_backend_commit_duration_seconds", e.CommitP99)))
	}
	if lb := m.LoadBalancer; lb != nil {
		text := "# pxname,svname,status,check_status,addr,\nkube-apiserver,FRONTEND,OPEN,,,\n"
		for _, b := range lb.State {
			text += fmt.Sprintf("kube-apiserver,%s,%s,%s,%s,\n", b.Name, b.Status, b.Detail, b.Address)
		}
		f.write("answers/socat", 0o644, text)
	}
	f.write("bin/socat", 0o755, "#!/bin/sh\ncat "+f.dir+"/answers/socat\n")
	f.write("bin/curl", 0o755, `#!/bin/sh
printf '%s\n' "$*" >>`+f.dir+`/asked
for arg; do case $arg in https://*|http://*) cat "`+f.dir+`/answers/${arg##*/}"; status=200; case $arg in */readyz) status=`+strconv.Itoa(ready)+`;; esac; printf '\n@status %s 0.004000\n' $status;; esac; done
`)
}

func histogram(name string, bound time.Duration) string {
	return fmt.Sprintf("# TYPE %[1]s histogram\n%[1]s_bucket{le=\"%[2]g\"} 99\n%[1]s_bucket{le=\"+Inf\"} 99\n%[1]s_sum 1\n%[1]s_count 99\n", name, bound.Seconds())
}
