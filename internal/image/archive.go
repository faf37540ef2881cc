package image

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/haplane/haplane/internal/component"
	"github.com/haplane/haplane/internal/topology"
)

// registry is in the names of container images that no registry has.
const registry = "haplane.local"

// An Archive is a container image in the golden image.
type Archive struct {
	Name   string `json:"name"` // the program in it
	Ref    string `json:"ref"`
	Digest string `json:"digest"` // of its config: the image ID
	Path   string `json:"path"`
}

// ImageRef is the reference of the container image that has a program, as pod
// specs and containerd's configuration name it: haplane.local/pause:v1.0.0.
func ImageRef(program, version string) string {
	return fmt.Sprintf("%s/%s:%s", registry, program, strings.ReplaceAll(version, "+", "_"))
}

// writeArchives makes the container images of the programs that run in pods.
func writeArchives(dir string, programs []component.Program) ([]Archive, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	var out []Archive
	for _, p := range programs {
		if !slices.Contains(contained, p.Name) {
			continue
		}
		a, err := writeArchive(dir, p)
		if err != nil {
			return nil, fmt.Errorf("make container image of %s: %w", p.Name, err)
		}
		out = append(out, a)
	}
	return out, nil
}

func writeArchive(dir string, p component.Program) (Archive, error) {
	ref, err := name.NewTag(ImageRef(p.Name, p.Version), name.StrictValidation)
	if err != nil {
		return Archive{}, err
	}
	img, err := containerImage(p)
	if err != nil {
		return Archive{}, err
	}
	id, err := img.ConfigName()
	if err != nil {
		return Archive{}, err
	}
	file := p.Name + ".tar"
	a := Archive{Name: p.Name, Ref: ref.String(), Digest: id.String(), Path: filepath.Join(topology.ImageDir, file)}
	return a, tarball.WriteToFile(filepath.Join(dir, file), ref, img)
}

// checkStatic fails for a program that needs a loader and libraries, which its
// container image does not have.
func checkStatic(path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return nil //nolint:nilerr // what it is was found out where it comes from
	}
	defer f.Close() //nolint:errcheck // read only
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is linked dynamically, but runs in a container without libraries", path)
		}
	}
	return nil
}

// containerImage has one layer with one static program. It is the same whenever
// it is made. The layer is not compressed: machines unpack it, nobody sends it.
func containerImage(p component.Program) (v1.Image, error) {
	layer, err := programLayer(p)
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, static.NewLayer(layer, types.DockerUncompressedLayer))
	if err != nil {
		return nil, err
	}
	return mutate.ConfigFile(img, withProgram(img, p))
}

func withProgram(img v1.Image, p component.Program) *v1.ConfigFile {
	config, err := img.ConfigFile()
	if err != nil {
		config = &v1.ConfigFile{}
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Created = v1.Time{Time: time.Unix(0, 0).UTC()}
	config.Config = v1.Config{Entrypoint: []string{"/" + p.Name}, WorkingDir: "/"}
	return config
}

func programLayer(p component.Program) ([]byte, error) {
	if err := checkStatic(p.Path); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(p.Path)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	header := &tar.Header{Name: p.Name, Typeflag: tar.TypeReg, Mode: 0o755, Size: int64(len(data)), ModTime: time.Unix(0, 0)}
	if err := w.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	return b.Bytes(), w.Close()
}
