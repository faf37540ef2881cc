package component

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestResolveKubernetes(t *testing.T) {
	const source = "../../components"
	for asked, want := range map[string]string{
		"": "v1.37.2", "v1.37": "v1.37.2", "v1.37.2": "v1.37.2", "v1.36": "v1.36.3", "v1.36.3": "v1.36.3", "1.36": "v1.36.3",
		"v1.36.1": "kubernetesVersion is v1.36.1, but this haplane builds v1.37.2 and v1.36.3; components.dir or components.url can bring another",
		"v1.3":    "kubernetesVersion is v1.3, but this haplane builds v1.37.2 and v1.36.3; components.dir or components.url can bring another",
	} {
		got, err := Resolve(source, asked)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", asked, got, want)
		}
	}
}

// A version is built from the module of its minor, whatever the others are.
func TestFolderOfKubernetes(t *testing.T) {
	const source = "../../components"
	for asked, want := range map[string]string{"": "kube", "v1.37": "kube", "v1.37.2": "kube", "v1.36": "kube-1.36", "v1.36.3": "kube-1.36", "v1.30": "kube"} {
		if got := kubeRow().folder(source, asked); got != want {
			t.Errorf("%q is built in %s, want %s", asked, got, want)
		}
	}
	if got := (row{name: "etcd", module: "go.etcd.io/etcd/server/v3"}).folder(source, "v1.36"); got != "etcd" {
		t.Errorf("etcd is built in %s", got)
	}
}

// All minors are the same program of ours: what differs is upstream's code.
func TestMinorsHaveTheSameMain(t *testing.T) {
	const source = "../../components"
	want, err := os.ReadFile(filepath.Join(source, kubeName, "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range kubeRow().folders() {
		if got, err := os.ReadFile(filepath.Join(source, folder, "main.go")); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s/main.go is not that of %s: %v", folder, kubeName, err)
		}
	}
}
