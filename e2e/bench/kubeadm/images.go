package kubeadm

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/haplane/haplane/internal/image"
)

// content is what the container image has of the golden one: the programs, and
// iptables and conntrack with their libraries for kube-proxy and flannel.
var content = []string{
	"bin", "sbin", "lib", "lib64", // links into usr
	"usr/local/bin/kube", "usr/local/bin/kube-*", "usr/local/bin/etcd", "usr/local/bin/flanneld",
	"etc/alternatives/*tables*", "usr/sbin/*tables*", "usr/sbin/conntrack",
	"usr/lib*/ld-linux*", "usr/lib/*/ld-linux*", "usr/lib/*/libc.so.6", "usr/lib/*/libm.so.6",
	"usr/lib/*/libmnl.so*", "usr/lib/*/libnftnl.so*", "usr/lib/*/libxtables.so*", "usr/lib/*/libip[46]tc.so*",
	"usr/lib/*/libnfnetlink.so*", "usr/lib/*/libnetfilter_conntrack.so*", "usr/lib/*/xtables/*.so",
}

// WriteImages writes the archive of the container images of kubeadm's static pods
// and DaemonSets. They are one image under several names: what is imported and
// unpacked once costs kubeadm no time, and this host no memory, a second time.
// Those of CoreDNS and pause are in the golden image.
func WriteImages(img image.Image, file string) error {
	v, err := readVersions(img)
	if err != nil {
		return err
	}
	layer, err := layerOf(img.Root)
	if err != nil {
		return fmt.Errorf("make container image: %w", err)
	}
	made, err := mutate.AppendLayers(empty.Image, static.NewLayer(layer, types.DockerUncompressedLayer))
	if err != nil {
		return err
	}
	config := &v1.ConfigFile{OS: "linux", Architecture: runtime.GOARCH, Created: v1.Time{Time: time.Unix(0, 0).UTC()}}
	if base, err := made.ConfigFile(); err == nil {
		config.RootFS = base.RootFS
	}
	config.Config = v1.Config{Env: []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin"}, WorkingDir: "/"}
	if made, err = mutate.ConfigFile(made, config); err != nil {
		return err
	}
	refs := map[name.Reference]v1.Image{}
	for _, ref := range v.refs() {
		tag, err := name.NewTag(ref, name.StrictValidation)
		if err != nil {
			return err
		}
		refs[tag] = made
	}
	return tarball.MultiRefWriteToFile(file, refs)
}

func layerOf(root string) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, pattern := range content {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return nil, err
		}
		for _, path := range found {
			if err := addFile(w, root, path); err != nil {
				return nil, err
			}
		}
	}
	return b.Bytes(), w.Close()
}

// addFile adds a program, a library or a link; what else a pattern fits is left out.
func addFile(w *tar.Writer, root, path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(root, path)
	if err != nil {
		return err
	}
	header := &tar.Header{Name: rel, Mode: 0o755, ModTime: time.Unix(0, 0)}
	switch info.Mode().Type() {
	case os.ModeSymlink:
		header.Typeflag = tar.TypeSymlink
		if header.Linkname, err = os.Readlink(path); err != nil {
			return err
		}
		return w.WriteHeader(header)
	case 0:
		header.Typeflag, header.Size = tar.TypeReg, info.Size()
	default:
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := w.WriteHeader(header); err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}
