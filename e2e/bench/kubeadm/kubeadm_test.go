package kubeadm

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/haplane/haplane/internal/image"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

func newSequence() *sequence {
	return &sequence{Options: Options{Topology: topology.New(spec.Default("demo"))},
		versions: versions{kubernetes: "v1.2.3", etcd: "v3.2.1", flannel: "v0.1.0", coredns: "v1.0.0"}}
}

func TestStepsAreOneAfterAnother(t *testing.T) {
	var got []string
	for _, s := range newSequence().steps() {
		if !s.counted {
			s.name = "(" + s.name + ")"
		}
		got = append(got, s.name)
	}
	want := []string{"create-machines", "configure-machines", "(import-images)", "init cp-1", "apply-flannel", "join cp-2", "join cp-3",
		"join worker-1", "wait-for-nodes", "wait-for-dns"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error("-want +got\n" + d)
	}
}

func TestText(t *testing.T) {
	s := newSequence()
	for name, c := range map[string]struct {
		file, node string
		has, lacks []string
	}{
		"init": {"init.yaml", "cp-1", []string{"controlPlaneEndpoint: 10.10.10.3:6443\n", "advertiseAddress: 10.10.10.11}",
			"imageRepository: haplane.local\n", "kubernetesVersion: v1.2.3\n", "dns: {imageTag: v1.0.0}"}, nil},
		"join of a control-plane node": {"join.yaml", "cp-2", []string{"name: cp-2\n", "controlPlane:\n", "advertiseAddress: 10.10.10.12}"}, nil},
		"join of a worker node":        {"join.yaml", "worker-1", []string{"name: worker-1\n"}, []string{"controlPlane:"}},
		"flannel":                      {"flannel.yaml", "cp-1", []string{"image: haplane.local/flannel:v0.1.0\n", `"Network": "10.244.0.0/16"`}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			n, _ := s.Topology.Node(c.node)
			data, err := s.text(c.file, n)
			if err != nil {
				t.Fatal(err)
			}
			for _, document := range strings.Split(string(data), "\n---\n") {
				var object map[string]any
				if err := yaml.UnmarshalStrict([]byte(document), &object); err != nil || object["kind"] == nil {
					t.Errorf("not an object: %v\n%s", err, document)
				}
			}
			for _, want := range c.has {
				if !strings.Contains(string(data), want) {
					t.Errorf("no %q in\n%s", want, data)
				}
			}
			for _, not := range c.lacks {
				if strings.Contains(string(data), not) {
					t.Errorf("%q in\n%s", not, data)
				}
			}
		})
	}
}

func TestLayer(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"usr/local/bin", "usr/sbin", "etc/alternatives"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	err := errors.Join(
		os.WriteFile(filepath.Join(root, "usr/local/bin/kube"), []byte("program"), 0o755),
		os.WriteFile(filepath.Join(root, "usr/local/bin/ctr"), []byte("not for pods"), 0o755),
		os.Symlink("kube", filepath.Join(root, "usr/local/bin/kube-proxy")),
		os.Symlink("usr/sbin", filepath.Join(root, "sbin")),
		os.Symlink("/etc/alternatives/iptables", filepath.Join(root, "usr/sbin/iptables")),
	)
	if err != nil {
		t.Fatal(err)
	}
	layer, err := layerOf(root)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for r := tar.NewReader(bytes.NewReader(layer)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(r)
		got[h.Name] = h.Linkname + string(data)
	}
	want := map[string]string{"usr/local/bin/kube": "program", "usr/local/bin/kube-proxy": "kube", "sbin": "usr/sbin",
		"usr/sbin/iptables": "/etc/alternatives/iptables"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error("-want +got\n" + d)
	}
}

func TestReadVersions(t *testing.T) {
	img := image.Image{Manifest: image.Manifest{Programs: []image.Program{{Name: "kube", Version: "v1"}, {Name: "etcd", Version: "v2"},
		{Name: "flanneld", Version: "v3"}, {Name: "coredns", Version: "v4"}}}}
	v, err := readVersions(img)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"haplane.local/kube-apiserver:v1", "haplane.local/kube-controller-manager:v1", "haplane.local/kube-scheduler:v1",
		"haplane.local/kube-proxy:v1", "haplane.local/etcd:v2", "haplane.local/flannel:v3"}
	if d := cmp.Diff(want, v.refs()); d != "" {
		t.Error("-want +got\n" + d)
	}
	img.Manifest.Programs = img.Manifest.Programs[1:]
	if _, err := readVersions(img); err == nil {
		t.Error("an image without Kubernetes is taken")
	}
}
