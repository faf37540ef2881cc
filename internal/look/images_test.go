package look

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/machine/machinetest"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/runtime/systemd/systemdtest"
)

// What containerd v2.4.2 has of two of the images that are asked for.
const listed = `===image haplane.local/coredns:v1.15.0
{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"sha256:1111","size":432},"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar","digest":"sha256:9999","size":56935074}]}
===image haplane.local/web:v0.1.0
{"schemaVersion":2,"config":{"digest":"sha256:4444"},"layers":[]}
`

// An image is there where containerd has the one that is meant by that name.
func TestImages(t *testing.T) {
	host := &machinetest.Recorder{NodeName: "worker-1", Answer: func(argv []string) (string, error) {
		if got := argv[4]; got != "haplane.local/coredns:v1.15.0" {
			t.Errorf("asks for %s first", got)
		}
		return listed, nil
	}}
	want := []observed.Image{{Ref: "haplane.local/coredns:v1.15.0", ID: "sha256:1111"}, {Ref: "haplane.local/pause:v0.1.0", ID: "sha256:2222"}, {Ref: "haplane.local/web:v0.1.0", ID: "sha256:3333"},
		{Ref: "haplane.local/coredns:v1.16.0", ID: "sha256:5555"}, {Ref: "haplane.local/web:v0.1.0"}, {Ref: "haplane.local/pause:v0.1.0"}}
	got, err := Images(t.Context(), host, want)
	if wanted := []string{"haplane.local/coredns:v1.15.0", "haplane.local/web:v0.1.0"}; err != nil || !slices.Equal(got, wanted) {
		t.Errorf("%v, %v; want %v", got, err, wanted)
	}
	host.Answer = func([]string) (string, error) { return "===image haplane.local/web:v0.1.0\nno JSON\n", nil }
	if _, err := Images(t.Context(), host, want); err == nil || !strings.Contains(err.Error(), "list container images: haplane.local/web:v0.1.0: read its manifest") {
		t.Errorf("error %v", err)
	}
	host.Answer = nil
	if got, err := Images(t.Context(), host, want); err != nil || got != nil {
		t.Errorf("an empty store: %v, %v", got, err)
	}
}

// A containerd that does not run makes no machine one that cannot be looked at.
func TestImagesOfNobody(t *testing.T) {
	host := systemdtest.New("worker-1")
	answer := host.Answer
	host.Answer = func(argv []string) (string, error) {
		if argv[0] == "sh" && argv[2] == imagesScript {
			return "", errors.New("connection refused")
		}
		return answer(argv)
	}
	seen := observed.Machine{}
	if err := Machine(t.Context(), host, Want{Files: []string{"/etc/file"}, Images: []observed.Image{{Ref: "a"}}}, &seen); err != nil || !seen.Reachable || seen.Images != nil {
		t.Errorf("%+v, %v", seen, err)
	}
	if _, err := Images(t.Context(), host, nil); err == nil || !strings.HasPrefix(err.Error(), "list container images: ") {
		t.Errorf("error %v", err)
	}
}
