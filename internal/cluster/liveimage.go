package cluster

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/render"
)

// takeVersions keeps what the cluster runs until it is upgraded: new machines are made
// from the image that the others were made from, and files name its container images.
// Of a cluster that an older haplane made these were not written down.
func (l *live) takeVersions() error {
	v := l.record.Versions
	if l.Upgrade != nil {
		v = l.Upgrade.Versions
		before := l.record.Versions
		if l.Upgrade.goesOn && l.record.Previous != nil {
			before = *l.record.Previous
		}
		l.Upgrade.etcdStays = etcdSkew(programOf(l.Cache, v, "etcd"), programOf(l.Cache, before, "etcd"))
	}
	l.kubernetes, l.inPlace = kubernetesOf(l.Cache, v), v.Programs
	if v.Pause == "" || v.CoreDNS == "" {
		return l.pinImages()
	}
	l.images = render.Images{Pause: v.Pause, CoreDNS: v.CoreDNS}
	l.image.Root, l.image.Digest = v.ImageRoot, v.Image
	return nil
}

// needImage sees to it that there is the image of the machines that are to be made, or that something of is brought to machines.
func (l *live) needImage(ctx context.Context) error {
	takes := func(s change.Step) bool {
		return slices.Contains([]string{change.CreateMachine, change.BringPrograms, change.BringImages}, s.Verb)
	}
	if !slices.ContainsFunc(l.change.Steps, takes) {
		return nil
	}
	wanted := l.image
	if _, err := os.Stat(wanted.Root); wanted.Root != "" && err == nil {
		return nil
	}
	images := l.images
	if err := buildComponents(ctx, l.env); err != nil {
		return err
	}
	if err := buildImage(ctx, l.env); err != nil {
		return err
	}
	if wanted.Digest != "" && (l.image.Digest != wanted.Digest || l.images != images) {
		return withHint(fmt.Errorf("the image that cluster %s was made from (%.12s) is not in the cache any more, and this haplane builds another one (%.12s)",
			l.topology.Name, wanted.Digest, l.image.Digest), "bring the cache back, or build it with the haplane that made the cluster: haplane image build")
	}
	return nil
}

// compareObjects asks the API what applying the manifests would change.
func (l *live) compareObjects(ctx context.Context) ([]kubeapi.Applied, error) {
	client, err := l.api()
	if err != nil {
		return nil, err
	}
	var out []kubeapi.Applied
	for _, manifest := range l.manifests() {
		would, err := client.Compare(ctx, manifest)
		if err != nil {
			return nil, err
		}
		for _, o := range would {
			if o.Change != kubeapi.Unchanged {
				out = append(out, o)
			}
		}
	}
	return out, nil
}

// serial is that of a certificate of the change, in hexadecimal.
func (l *live) serial(name string) string {
	cert, err := pki.ParseCertificate(l.keys.Pairs[name].Cert)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%x", cert.SerialNumber)
}
