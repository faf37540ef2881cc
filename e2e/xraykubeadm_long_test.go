//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/haplane/haplane/e2e/bench/kubeadm"
	"github.com/haplane/haplane/e2e/rig"
	"github.com/haplane/haplane/internal/image"
)

// TestLongXrayKubeadm x-rays a cluster that upstream's kubeadm made, with static
// pods: by its machines and its API, by either alone, and from copies of its files.
// However it looks, it sees what kubeadm makes and finds no failure.
func TestLongXrayKubeadm(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-kubeadm", 13)
	img := openImage(t, r)
	before := lookAtHost(r)
	k := c.upByKubeadm(t, img)
	machines := []string{"--machines", strings.Join(allNodes, ","), "--ssh-config", k.ssh}
	api := []string{"--kubeconfig", k.admin(t)}
	for _, way := range []struct {
		name string
		args []string
		sees []sighting // among others
	}{
		{"machines-and-api", append(machines, api...), []sighting{passing("serving-cert-names", "cp-1"), passing("advertise-address", "cp-3"),
			passing("kubernetes-service-endpoints", ""), passing("leader-elect-flags", "cp-2"), passing("etcd-quorum", ""), passing("lb-backends", "lb-1")}},
		{"machines", machines, []sighting{passing("serving-cert-names", "cp-1"), passing("etcd-tls", "cp-2"), {"kubernetes-service-endpoints", "", "skip"}}},
		{"api", api, []sighting{passing("kubernetes-service-endpoints", ""), passing("advertise-address", "cp-1"), {"key-permissions", "", "skip"}}},
		{"folder", []string{"--dir", k.copies(t)}, []sighting{passing("serving-cert-names", "cp-2"), passing("leader-elect-flags", "cp-1"),
			{"kubernetes-service-endpoints", "", "skip"}, {"leader-leases", "", "skip"}}},
	} {
		t.Run(way.name, func(t *testing.T) { c.checkKubeadm(t, way.args, way.sees) })
	}
	must(t, 0, c.Down(background(t)))
	before.left(t, lookAtHost(r))
}

func passing(check, node string) sighting { return sighting{check, node, "pass"} }

// checkKubeadm waits until an x-ray sees what it should: a health check that was late on a busy machine
// is told of until the next one.
func (c *cluster) checkKubeadm(t *testing.T, args []string, sees []sighting) {
	var x xrayed
	wait(t, time.Minute, "an x-ray that sees what kubeadm makes", func(ctx context.Context) error {
		var err error
		if x, err = readXray(c.Run(ctx, append([]string{"xray", "-o", "json"}, args...)...)); err != nil {
			return err
		}
		for _, s := range sees {
			if !x.has(s) {
				err = errors.Join(err, fmt.Errorf("it does not see %s; not right: %s", s, strings.Join(x.wrong(), ", ")))
			}
		}
		return errors.Join(err, x.failures())
	})
	t.Logf("%s (%s); not right: %s", x.Verdict.Summary, x.elapsed.Round(10*time.Millisecond), strings.Join(x.wrong(), ", "))
	want(t, "exit code", x.code, 0)
	want(t, "identity", x.Verdict.Identity, "perNode")
}

// madeByKubeadm is a cluster that haplane knows nothing of.
type madeByKubeadm struct {
	dir string
	ssh string // the ssh_config of its machines
}

// upByKubeadm brings a cluster up. Its machines are where haplane would have them,
// with its cluster file beside them: so haplane takes them down.
func (c *cluster) upByKubeadm(t *testing.T, img image.Image) madeByKubeadm {
	t.Helper()
	file, err := os.ReadFile(c.File())
	if err != nil {
		t.Fatal(err)
	}
	topo := c.use(t, string(file))
	dir := filepath.Join(c.Dir, "kubeadm")
	made := madeByKubeadm{dir, filepath.Join(dir, "ssh", "config")}
	o := kubeadm.Options{Topology: topo, Rendered: filepath.Join(dir, "rendered"), Image: img, Archive: filepath.Join(dir, "images.tar"),
		Machines: filepath.Join(c.Store(), "machines"), Dir: filepath.Join(dir, "ssh"), Progress: os.Stderr}
	for _, folder := range []string{dir, o.Machines} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	must(t, 0, c.Run(background(t), "render", "-f", c.File(), "-o", o.Rendered))
	if err := os.WriteFile(filepath.Join(c.Store(), "cluster.yaml"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := kubeadm.WriteImages(o.Image, o.Archive); err != nil {
		t.Fatal(err)
	}
	if _, err := kubeadm.Run(background(t), o); err != nil {
		t.Fatal(err)
	}
	return made
}

func openImage(t *testing.T, r *rig.Rig) image.Image {
	t.Helper()
	built := must(t, 0, r.Run(background(t), "image", "build"))
	img, err := image.Open(userCache(t), strings.Fields(built.Stdout)[1]) // image DIGEST in FOLDER
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func (k madeByKubeadm) run(t *testing.T, node string, argv ...string) []byte {
	t.Helper()
	out, err := exec.CommandContext(background(t), "ssh", append([]string{"-F", k.ssh, node}, argv...)...).Output()
	if err != nil {
		t.Fatalf("%s: %v: %v", node, argv, err)
	}
	return out
}

// admin writes the administrator's kubeconfig.
func (k madeByKubeadm) admin(t *testing.T) string {
	t.Helper()
	file := filepath.Join(k.dir, "admin.conf")
	if err := os.WriteFile(file, k.run(t, "cp-1", "cat", "/etc/kubernetes/admin.conf"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// copies makes a folder for each machine, with what an administrator would send to
// somebody who is to look at the cluster: no keys.
func (k madeByKubeadm) copies(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(k.dir, "copies")
	for _, node := range allNodes {
		at := filepath.Join(dir, node)
		if err := os.MkdirAll(at, 0o700); err != nil {
			t.Fatal(err)
		}
		untar := exec.CommandContext(background(t), "tar", "--extract", "--directory", at)
		untar.Stdin = strings.NewReader(string(k.run(t, node, "tar", "--create", "--directory=/", "--exclude=*.key", "--ignore-failed-read",
			"etc/kubernetes", "etc/systemd/system", "etc/haproxy", "etc/hostname", "var/lib/kubelet/config.yaml", "2>/dev/null", "||", "true")))
		if out, err := untar.CombinedOutput(); err != nil {
			t.Fatalf("%s: unpack: %v: %s", node, err, out)
		}
	}
	return dir
}
