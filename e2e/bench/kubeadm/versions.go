package kubeadm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/image"
)

// versions are the tags of the container images.
type versions struct{ kubernetes, etcd, flannel, coredns string }

func readVersions(img image.Image) (versions, error) {
	version := func(program string) string {
		i := slices.IndexFunc(img.Manifest.Programs, func(p image.Program) bool { return p.Name == program })
		if i < 0 {
			return ""
		}
		return img.Manifest.Programs[i].Version
	}
	v := versions{kubernetes: version("kube"), etcd: version("etcd"), flannel: version("flanneld"), coredns: version("coredns")}
	if v.kubernetes == "" || v.etcd == "" || v.flannel == "" || v.coredns == "" {
		return v, fmt.Errorf("image %s lacks a program of %+v", img.Digest, v)
	}
	return v, nil
}

// refs are the names that kubeadm, and our manifest of flannel, know the image by.
func (v versions) refs() []string {
	var out []string
	for _, program := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"} {
		out = append(out, image.ImageRef(program, v.kubernetes))
	}
	return append(out, image.ImageRef("etcd", v.etcd), image.ImageRef("flannel", v.flannel))
}

// repository is the part of the names that kubeadm wants apart.
func (v versions) repository() string {
	repository, _, _ := strings.Cut(image.ImageRef("pause", v.kubernetes), "/")
	return repository
}
