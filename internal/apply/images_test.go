package apply

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/machine/machinetest"
	"github.com/haplane/haplane/internal/observed"
)

// A shelf is a machine with containerd's store.
type shelf struct {
	machinetest.Recorder
	ids  map[string]string // of images by reference
	away time.Time         // until when containerd does not answer
	room int64
	took []string // references that were brought
}

func (s *shelf) Run(ctx context.Context, cmd machine.Command) (machine.Result, error) {
	fails := func(text string) (machine.Result, error) {
		return machine.Result{}, &machine.CommandError{Machine: "worker-1", Argv: cmd.Argv, ExitCode: 1, Stderr: text}
	}
	switch script := cmd.Argv[2]; {
	case time.Now().Before(s.away):
		return fails("ctr: connection refused")
	case strings.Contains(script, "images list"):
		list := ""
		for _, ref := range cmd.Argv[4:] {
			if id, ok := s.ids[ref]; ok {
				list += fmt.Sprintf("===image %s\n{\"config\": {\"digest\": %q}}\n", ref, id)
			}
		}
		return machine.Result{Stdout: list}, nil
	case script != takeIn:
		return fails("what is " + script)
	}
	data, err := io.ReadAll(cmd.Stdin)
	if need := cmd.Argv[5]; err != nil || need != fmt.Sprint(2*len(data)) {
		return fails(fmt.Sprintf("%s bytes are wanted for %d, %v", need, len(data), err))
	}
	if int64(2*len(data)) > s.room {
		return fails("/var/lib/containerd has room for 0 MiB, and it takes 1")
	}
	opener := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
	list, err := tarball.LoadManifest(opener)
	if err != nil {
		return fails("ctr: " + err.Error())
	}
	img, err := tarball.Image(opener, nil)
	if err != nil {
		return fails("ctr: " + err.Error())
	}
	id, err := img.ConfigName()
	if err != nil {
		return fails("ctr: " + err.Error())
	}
	s.ids[list[0].RepoTags[0]] = id.String()
	s.took = append(s.took, list[0].RepoTags[0])
	return machine.Result{}, nil
}

// archived makes the archive of a container image.
func archived(t *testing.T, ref string) ImageFile {
	t.Helper()
	img, err := random.Image(2000, 1)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag(ref)
	if err != nil {
		t.Fatal(err)
	}
	id, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	f := ImageFile{Image: observed.Image{Ref: ref, ID: id.String()}, From: filepath.Join(t.TempDir(), "image.tar")}
	if err := tarball.WriteToFile(f.From, tag, img); err != nil {
		t.Fatal(err)
	}
	return f
}

// Of container images those are brought that containerd does not have, by what is in them; a second run brings none.
func TestBringImages(t *testing.T) {
	dns, pause := archived(t, "haplane.local/coredns:v2"), archived(t, "haplane.local/pause:v2")
	cut := dns
	cut.From = filepath.Join(t.TempDir(), "cut.tar")
	data, err := os.ReadFile(dns.From)
	if err == nil {
		err = os.WriteFile(cut.From, data[:len(data)/2], 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	gone, other := dns, dns
	gone.From, other.ID = filepath.Join(t.TempDir(), "none.tar"), "sha256:other"
	all, before := []ImageFile{dns, pause}, map[string]string{"haplane.local/coredns:v1": "sha256:1"}
	for name, test := range map[string]struct {
		images []ImageFile
		there  map[string]string
		full   bool
		away   time.Duration
		took   []ImageFile
		says   string // in its error; "" where there is none
	}{
		"none is there":         {images: all, there: before, took: all},
		"one is there":          {images: all, there: map[string]string{pause.Ref: pause.ID}, took: []ImageFile{dns}},
		"all are":               {images: all, there: map[string]string{pause.Ref: pause.ID, dns.Ref: dns.ID}},
		"another of that name":  {images: all, there: map[string]string{pause.Ref: pause.ID, dns.Ref: "sha256:1"}, took: []ImageFile{dns}},
		"containerd starts":     {images: all, away: 10 * time.Second, took: all},
		"containerd does not":   {images: all, away: time.Hour, says: "list container images: worker-1: sh -c ..."},
		"a full disk":           {images: all, full: true, says: "bring container image haplane.local/coredns:v2: worker-1: "},
		"an archive cut off":    {images: []ImageFile{cut}, there: before, says: "bring container image haplane.local/coredns:v2: worker-1: "},
		"an archive of another": {images: []ImageFile{other}, took: []ImageFile{other}, says: "is not whole, or another one than sha256:other"},
		"no archive":            {images: []ImageFile{gone}, says: "none.tar: no such file"},
		"an image that is gone": {says: "the image that has them is not in the cache any more"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				host := &shelf{ids: map[string]string{}, away: time.Now().Add(test.away), room: 1 << 20}
				if test.full {
					host.room = 100
				}
				for ref, id := range test.there {
					host.ids[ref] = id
				}
				r := &Runner{Cluster: &access.Cluster{Machine: func(string) machine.Machine { return host }}, Images: test.images, Waiting: func(string, string) {},
					Detail: func(string, string) {}, Log: slog.New(slog.DiscardHandler)}
				step := change.Step{ID: "bring-images@worker-1", Verb: change.BringImages, Node: "worker-1"}
				err := bringImages(t.Context(), r, step)
				if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
					t.Fatalf("error %v, want %q", err, test.says)
				}
				if test.full && !strings.HasSuffix(err.Error(), "has room for 0 MiB, and it takes 1") {
					t.Errorf("error %v", err)
				}
				var want []string
				for _, f := range test.took {
					want = append(want, f.Ref)
				}
				if !slices.Equal(host.took, want) {
					t.Errorf("took %v, want %v", host.took, want)
				}
				if _, kept := host.ids["haplane.local/coredns:v1"]; len(test.there) > 0 && test.there["haplane.local/coredns:v1"] != "" && !kept {
					t.Error("the one of before is gone")
				}
				if host.took = nil; err != nil {
					return
				}
				if err := bringImages(t.Context(), r, step); err != nil || host.took != nil {
					t.Errorf("a second run took %v, %v", host.took, err)
				}
			})
		})
	}
}

// The archive goes to containerd as it is, where there is room for it; else one line says how much there is.
func TestTakeIn(t *testing.T) {
	dir := t.TempDir()
	run := func(need string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", takeIn, "sh", dir, need, "sh", "-c", `cat >"$1"; echo "took $2"`, "sh", filepath.Join(dir, "taken"))
		cmd.Stdin = strings.NewReader("archive")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run(fmt.Sprint(int64(1) << 60)); err == nil || !strings.HasPrefix(out, dir+" has room for ") || !strings.HasSuffix(out, " MiB, and it takes 1099511627776\n") || strings.Count(out, "\n") != 1 {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "taken")); err == nil {
		t.Error("it is taken without room")
	}
	out, err := run("7")
	if data, _ := os.ReadFile(filepath.Join(dir, "taken")); err != nil || out != "" || string(data) != "archive" {
		t.Errorf("%q, %v; took %q", out, err, data)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", takeIn, "sh", dir, "7", "false")
	if err := cmd.Run(); err == nil {
		t.Error("what containerd refuses is taken for done")
	}
}
