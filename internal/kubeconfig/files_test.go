package kubeconfig

import (
	"context"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

var demo = Config{
	Cluster: "demo", Server: "https://10.10.10.3:6443", TLSServerName: "kubernetes.default",
	CA: []byte("ca"), Cert: []byte("cert"), Key: []byte("key"),
}

const others = `apiVersion: v1
kind: Config
clusters:
- {name: work, cluster: {server: "https://work:6443", certificate-authority: ca.pem}}
users:
- {name: me, user: {token: secret}}
contexts:
- {name: work, context: {cluster: work, user: me, namespace: mine}}
current-context: work
`

func TestBytes(t *testing.T) {
	data, err := demo.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	// clientcmd's own reading is what counts: it must give a usable client.
	got, err := clientcmd.RESTConfigFromKubeConfig(data)
	if err != nil {
		t.Fatal(err)
	}
	if got.Host != demo.Server || got.ServerName != demo.TLSServerName ||
		string(got.CAData) != "ca" || string(got.CertData) != "cert" || string(got.KeyData) != "key" {
		t.Errorf("client config %+v", got)
	}
}

// list writes the files that have content, and returns $KUBECONFIG's reading of all names.
func list(t *testing.T, content map[string]string, names ...string) (string, Files) {
	t.Helper()
	dir := t.TempDir()
	paths := make([]string, len(names))
	for i, name := range names {
		paths[i] = filepath.Join(dir, name)
		if text, ok := content[name]; ok {
			if err := os.WriteFile(paths[i], []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Setenv("KUBECONFIG", strings.Join(paths, string(os.PathListSeparator)))
	return dir, UserFiles()
}

func load(t *testing.T, path string) *api.Config {
	t.Helper()
	config, err := clientcmd.LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

func merge(t *testing.T, files Files, c Config, want string) {
	t.Helper()
	path, err := files.Merge(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if path != want {
		t.Errorf("merged into %s, want %s", path, want)
	}
}

func TestMergeKeepsOthers(t *testing.T) {
	dir, files := list(t, map[string]string{"config": others}, "config")
	path := filepath.Join(dir, "config")
	merge(t, files, demo, path)

	got := load(t, path)
	if got.CurrentContext != "haplane-demo" || got.Contexts["haplane-demo"] == nil {
		t.Errorf("current context %q of %d contexts", got.CurrentContext, len(got.Contexts))
	}
	if c := got.Clusters["work"]; c == nil || c.Server != "https://work:6443" || c.CertificateAuthority != "ca.pem" {
		t.Errorf("cluster work is %+v", c)
	}
	if got.AuthInfos["me"].Token != "secret" || got.Contexts["work"].Namespace != "mine" {
		t.Error("user or context of work changed")
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o, want 600", info.Mode().Perm())
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 1 {
		t.Errorf("lock or temporary file left behind: %v", entries)
	}
}

func TestMergeAgain(t *testing.T) {
	dir, files := list(t, nil, "config")
	path := filepath.Join(dir, "config")
	merge(t, files, demo, path)
	config := load(t, path)
	config.Contexts["haplane-demo"].Namespace = "web"
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	moved := demo
	moved.Server = "https://10.10.10.4:6443"
	merge(t, files, moved, path)
	got := load(t, path)
	if got.Clusters["haplane-demo"].Server != moved.Server || len(got.Clusters) != 1 {
		t.Errorf("clusters %v, want the new server only", got.Clusters)
	}
	if got.Contexts["haplane-demo"].Namespace != "web" {
		t.Error("the namespace that the user set is gone")
	}
}

func TestRefresh(t *testing.T) {
	dir, files := list(t, nil, "config")
	path := filepath.Join(dir, "config")
	if got, err := files.Refresh(t.Context(), demo); err != nil || got != "" {
		t.Fatalf("of a cluster that is in no file: %q, %v", got, err)
	}
	merge(t, files, demo, path)
	config := load(t, path)
	config.CurrentContext = "mine"
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	if got, err := files.Refresh(t.Context(), demo); err != nil || got != "" {
		t.Fatalf("of the same certificate: %q, %v", got, err)
	}
	other := demo
	other.CA, other.Cert = []byte("another CA"), []byte("another certificate")
	if got, err := files.Refresh(t.Context(), other); err != nil || got != "" {
		t.Fatalf("of another cluster of that name: %q, %v", got, err)
	}
	renewed := demo
	renewed.Server, renewed.Cert, renewed.Key = "https://10.10.10.4:6443", []byte("new certificate"), []byte("new key")
	if got, err := files.Refresh(t.Context(), renewed); err != nil || got != path {
		t.Fatalf("%q, %v", got, err)
	}
	got := load(t, path)
	if user := got.AuthInfos["haplane-demo"]; string(user.ClientCertificateData) != "new certificate" || string(user.ClientKeyData) != "new key" {
		t.Errorf("user %+v", user)
	}
	if got.Clusters["haplane-demo"].Server != demo.Server || got.CurrentContext != "mine" {
		t.Errorf("more has changed than the user: %+v", got)
	}
}

// While the CA is rotated, what clients trust changes from the old one to both, and from both to the next one.
func TestRefreshFollowsTheCA(t *testing.T) {
	ca := func(text string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(text)}))
	}
	dir, files := list(t, nil, "config")
	path := filepath.Join(dir, "config")
	first := demo
	first.CA = []byte(ca("old"))
	merge(t, files, first, path)
	for _, step := range []struct{ ca, want string }{{ca("old") + ca("next"), path}, {ca("old") + ca("next"), ""}, {ca("next"), path}, {ca("foreign"), ""}} {
		now := first
		now.CA = []byte(step.ca)
		if got, err := files.Refresh(t.Context(), now); err != nil || got != step.want {
			t.Errorf("to %s: %q, %v", step.ca, got, err)
		}
	}
	if got := string(load(t, path).Clusters["haplane-demo"].CertificateAuthorityData); got != ca("next") {
		t.Errorf("it trusts %s", got)
	}
}

func TestMergeChoosesTheFile(t *testing.T) {
	ours, err := demo.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		content map[string]string
		target  string
		current string // the file whose current context kubectl obeys
	}{
		"none exists":           {nil, "a", "a"},
		"first that exists":     {map[string]string{"b": others}, "b", "b"},
		"the one that has it":   {map[string]string{"a": others, "c": string(ours)}, "c", "a"},
		"empty file is a file":  {map[string]string{"b": "", "c": others}, "b", "c"},
		"no current in the way": {map[string]string{"a": strings.ReplaceAll(others, "current-context: work", "")}, "a", "a"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir, files := list(t, tt.content, "a", "b", "c")
			merge(t, files, demo, filepath.Join(dir, tt.target))
			if got := load(t, filepath.Join(dir, tt.current)).CurrentContext; got != "haplane-demo" {
				t.Errorf("current context of %s is %q", tt.current, got)
			}
			merged, err := clientcmd.NewDefaultClientConfigLoadingRules().Load()
			if err != nil {
				t.Fatal(err)
			}
			if merged.CurrentContext != "haplane-demo" || merged.Clusters["haplane-demo"].Server != demo.Server {
				t.Errorf("kubectl would use context %q", merged.CurrentContext)
			}
		})
	}
}

func TestMergeKeepsSymlink(t *testing.T) {
	dir, files := list(t, map[string]string{"real": others}, "config", "real")
	link := filepath.Join(dir, "config")
	if err := os.Symlink("real", link); err != nil {
		t.Fatal(err)
	}
	merge(t, files[:1], demo, link)
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced by a file")
	}
	if load(t, filepath.Join(dir, "real")).Contexts["haplane-demo"] == nil {
		t.Error("the link's target lacks the context")
	}
}

func TestMergeMakesDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "home", ".kube", "config")
	merge(t, Files{path}, demo, path)
	if load(t, path).Contexts["haplane-demo"] == nil {
		t.Error("no context")
	}
}

func TestRemove(t *testing.T) {
	dir, files := list(t, map[string]string{"a": others}, "a", "b")
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	merge(t, files, demo, a)
	changed, err := files.Remove(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{a}, changed); diff != "" {
		t.Error("-want +got\n" + diff)
	}
	got := load(t, a)
	if has(got, "haplane-demo") || got.CurrentContext != "" || got.Contexts["work"] == nil {
		t.Errorf("left: %+v", got)
	}
	if _, err := os.Stat(b); !os.IsNotExist(err) {
		t.Error("a missing file was made")
	}
	changed, err = files.Remove(t.Context(), "demo")
	if err != nil || len(changed) != 0 {
		t.Errorf("second removal: %v, %v", changed, err)
	}
}

func TestRemoveKeepsAnothersCurrentContext(t *testing.T) {
	dir, files := list(t, map[string]string{"config": others}, "config")
	path := filepath.Join(dir, "config")
	merge(t, files, demo, path)
	config := load(t, path)
	config.CurrentContext = "work"
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Remove(t.Context(), "demo"); err != nil {
		t.Fatal(err)
	}
	if got := load(t, path).CurrentContext; got != "work" {
		t.Errorf("current context %q, want work", got)
	}
}

func TestGarbageIsLeftAlone(t *testing.T) {
	for name, garbage := range map[string]string{"not yaml": "\tnot: [yaml", "other kind": "kind: Pod\napiVersion: v1\n"} {
		t.Run(name, func(t *testing.T) {
			dir, files := list(t, map[string]string{"a": others, "b": garbage}, "a", "b")
			_, mergeErr := files.Merge(t.Context(), demo)
			_, removeErr := files.Remove(t.Context(), "demo")
			for _, err := range []error{mergeErr, removeErr} {
				if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "b")+": not a kubeconfig") {
					t.Errorf("error %v, want one that names the file", err)
				}
			}
			for file, want := range map[string]string{"a": others, "b": garbage} {
				if got, _ := os.ReadFile(filepath.Join(dir, file)); string(got) != want {
					t.Errorf("%s changed to %q", file, got)
				}
			}
			if entries, _ := os.ReadDir(dir); len(entries) != 2 {
				t.Errorf("left behind: %v", entries)
			}
		})
	}
}

func TestLock(t *testing.T) {
	dir, files := list(t, map[string]string{"config": others}, "config")
	held := filepath.Join(dir, "config.lock")
	if err := os.WriteFile(held, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := files.Merge(ctx, demo); err == nil || !strings.Contains(err.Error(), held) {
		t.Errorf("error %v, want one that names the lock", err)
	}
	if _, err := os.Stat(held); err != nil {
		t.Error("another program's lock was removed")
	}
	time.AfterFunc(100*time.Millisecond, func() { os.Remove(held) })
	merge(t, files, demo, filepath.Join(dir, "config"))
}

func TestMergeKeepsTheOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	dir, files := list(t, map[string]string{"config": "apiVersion: v1\nkind: Config\n"}, "config")
	path := filepath.Join(dir, "config")
	if err := os.Chown(path, 1234, 1234); err != nil {
		t.Fatal(err)
	}
	merge(t, files, demo, path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if stat := info.Sys().(*syscall.Stat_t); stat.Uid != 1234 || stat.Gid != 1234 || info.Mode().Perm() != 0o600 {
		t.Errorf("owner %d:%d, mode %v", stat.Uid, stat.Gid, info.Mode())
	}
}
