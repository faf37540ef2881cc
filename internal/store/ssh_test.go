package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

func demo() *topology.Topology { return topology.New(spec.Default("demo")) }

func hosts(t *testing.T, s Store) []Host {
	t.Helper()
	out, err := s.Hosts(demo())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func text(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// bringUp records what a bring-up that ended does.
func bringUp(t *testing.T, s Store) {
	t.Helper()
	update(t, s, func(r *Record) { *r = *derived(spec.Default("demo")) })
}

func TestSSHKeysStay(t *testing.T) {
	s := testStore(t)
	first, err := s.PrepareSSH(hosts(t, s))
	if err != nil {
		t.Fatal(err)
	}
	bringUp(t, s)
	again, err := s.PrepareSSH(hosts(t, s))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again); diff != "" || len(first.HostKeys) != 5 {
		t.Errorf("%d host keys; they changed: %v", len(first.HostKeys), diff != "")
	}
	config := text(t, s.SSHConfig())
	if !strings.Contains(config, "Host cp-2\n  HostName 10.10.10.12\n") || !strings.Contains(config, "StrictHostKeyChecking yes") {
		t.Error(config)
	}
}

// A folder that was moved leads to its machines all the same.
func TestMovedSSH(t *testing.T) {
	s := testStore(t)
	if err := s.MoveSSH(); err != nil {
		t.Fatalf("of a cluster without machines: %v", err)
	}
	if _, err := s.PrepareSSH(hosts(t, s)); err != nil {
		t.Fatal(err)
	}
	before := text(t, s.SSHConfig())
	moved := Store{Dir: filepath.Join(t.TempDir(), "demo")}
	if err := os.Rename(s.Dir, moved.Dir); err != nil {
		t.Fatal(err)
	}
	if err := moved.MoveSSH(); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.ReplaceAll(before, s.Dir, moved.Dir), text(t, moved.SSHConfig())); d != "" {
		t.Error(d)
	}
}

// A node that leaves the file is reached until it is forgotten.
func TestLeavingNodeStaysWithinReach(t *testing.T) {
	s := testStore(t)
	keys, err := s.PrepareSSH(hosts(t, s))
	if err != nil {
		t.Fatal(err)
	}
	all := makeKeys(t, s, pki.Catalogue(demo()))
	bringUp(t, s)
	c := spec.Default("demo")
	c.Spec.Nodes = c.Spec.Nodes[1:]
	update(t, s, func(r *Record) { r.Wanted = c; r.Node("cp-1").State = Leaving })
	less, err := s.Hosts(topology.New(c))
	if err != nil {
		t.Fatal(err)
	}
	if want := (Host{Name: "cp-1", Address: "10.10.10.11", Role: spec.RoleControlPlane, Exists: true}); less[4] != want {
		t.Errorf("%+v", less)
	}
	again, err := s.PrepareSSH(less)
	if diff := cmp.Diff(keys, again); err != nil || diff != "" {
		t.Fatal(err, diff)
	}
	for range 2 { // the second time there is nothing to forget
		if err := s.ForgetNode("cp-1"); err != nil {
			t.Fatal(err)
		}
	}
	for file, other := range map[string]string{s.SSHConfig(): "Host cp-2\n", s.path(knownHostsFile): "cp-2 ssh-ed25519 "} {
		if got := text(t, file); strings.Contains(got, "cp-1") || !strings.Contains(got, other) {
			t.Errorf("%s:\n%s", file, got)
		}
	}
	err = filepath.WalkDir(s.Dir, func(path string, _ os.DirEntry, err error) error {
		if strings.Contains(filepath.Base(path), "cp-1") {
			t.Errorf("%s is left", path)
		}
		return err
	})
	read, readErr := s.Keys(pki.Catalogue(topology.New(c)))
	if err := errors.Join(err, readErr); err != nil || len(read.Pairs) != len(all.Pairs)-4 {
		t.Errorf("%d pairs are left of %d, %v", len(read.Pairs), len(all.Pairs), err)
	}
	if err := s.ForgetNode("../x"); err == nil {
		t.Error("forgot what is no name")
	}
}

func TestLostSSHKeys(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(Store) error
		files []string
	}{
		"user missing":     {func(s Store) error { return os.Remove(s.path(userKeyFile)) }, []string{userKeyFile}},
		"user garbage":     {func(s Store) error { return s.save(userKeyFile, []byte("x"), 0o600) }, []string{userKeyFile}},
		"host missing":     {func(s Store) error { return os.Remove(s.path(hostKeyFile("cp-2"))) }, []string{"ssh/host-keys/cp-2"}},
		"host empty":       {func(s Store) error { return s.save(hostKeyFile("lb-1"), nil, 0o600) }, []string{"ssh/host-keys/lb-1"}},
		"all of them":      {func(s Store) error { return os.RemoveAll(s.path("ssh")) }, []string{userKeyFile, "ssh/host-keys/cp-1", "ssh/host-keys/cp-2", "ssh/host-keys/cp-3", "ssh/host-keys/worker-1", "ssh/host-keys/lb-1"}},
		"nothing is wrong": {func(Store) error { return nil }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := testStore(t)
			if _, err := s.PrepareSSH(hosts(t, s)); err != nil {
				t.Fatal(err)
			}
			if err := test.spoil(s); err != nil {
				t.Fatal(err)
			}
			lost, err := s.LostSSH(hosts(t, s))
			if len(lost) > 0 || err != nil {
				t.Errorf("before there are machines: %v, %v", lost, err)
			}
			bringUp(t, s)
			_, err = s.PrepareSSH(hosts(t, s))
			var files []string
			var lostErr *LostError
			if errors.As(err, &lostErr) {
				for _, l := range lostErr.Secrets {
					files = append(files, l.File)
				}
			}
			if diff := cmp.Diff(test.files, files); diff != "" {
				t.Error(err, diff)
			}
		})
	}
}

// Only machines that were made depend on their keys: others get new ones.
func TestHostKeyOfANewNodeIsMade(t *testing.T) {
	s := testStore(t)
	if _, err := s.PrepareSSH(hosts(t, s)); err != nil {
		t.Fatal(err)
	}
	bringUp(t, s)
	c := spec.Default("demo")
	c.Spec.Nodes = append(c.Spec.Nodes, spec.Node{Name: "worker-2", Role: spec.RoleWorker, Address: "10.10.10.52"})
	update(t, s, func(r *Record) {
		r.Nodes = append(r.Nodes, Node{Name: "worker-2", Role: spec.RoleWorker, Address: "10.10.10.52", State: Joining})
	})
	more, err := s.Hosts(topology.New(c))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := s.PrepareSSH(more)
	if err != nil || len(keys.HostKeys) != 6 {
		t.Errorf("%d host keys, %v", len(keys.HostKeys), err)
	}
	machine := s.path("machines", "worker-2", "machine.json")
	if err := errors.Join(os.MkdirAll(filepath.Dir(machine), 0o700), os.WriteFile(machine, []byte("{}"), 0o600), os.Remove(s.path(hostKeyFile("worker-2")))); err != nil {
		t.Fatal(err)
	}
	if more, err = s.Hosts(topology.New(c)); err != nil || !more[5].Exists {
		t.Errorf("%+v, %v", more[5], err)
	}
	if _, err := s.PrepareSSH(more); err == nil {
		t.Error("made a new host key for a machine that has one")
	}
}

func TestLostKeysSayWhatDependsAndHowTheyComeBack(t *testing.T) {
	s := testStore(t)
	bringUp(t, s)
	_, lost := pki.Plan(pki.Catalogue(demo()), pki.Bundle{}, testNow, true)
	got := (&LostError{Cluster: "demo", Secrets: s.LostKeys(lost, hosts(t, s))}).Error()
	for _, want := range []string{
		"pki/ca.key: missing\n  it signs all certificates of Kubernetes",
		"haplane ssh --cluster demo cp-1 cat /etc/kubernetes/pki/ca.key | install -D -m 600 /dev/stdin " + s.Dir + "/pki/ca.key\n",
		"pki/encryption.key: missing\n  Secrets in etcd are encrypted with it",
		`cp-1 "sed -n 's/^ *secret: *//p' /etc/kubernetes/encryption.yaml" | base64 -d | install -D -m 600 /dev/stdin ` + s.Dir + "/pki/encryption.key",
		"pki/etcd/ca.key: missing\n  it signs the certificates of etcd's members and of their clients\n  no machine has it: restore " + s.Dir + "/pki/etcd/ca.key from a backup\n",
		"cat /etc/kubernetes/pki/sa.key |", "cat /etc/kubernetes/pki/etcd/ca.crt |", "cat /etc/kubernetes/pki/front-proxy-ca.crt |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if err := s.Update(func(r *Record) error {
		r.Rotation = &Rotation{Name: pki.RotateCA, Phase: pki.Trust}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, l := range s.LostKeys(lost, hosts(t, s)) {
		rotated := l.File == "pki/ca.key" || l.File == "pki/ca.crt"
		if rotated != strings.Contains(l.Way, "machines have both generations") || rotated && strings.Contains(l.Way, "haplane ssh") {
			t.Errorf("while ca is rotated, of %s: %s", l.File, l.Way)
		}
	}
	ended := func() string {
		return s.LostKeys([]pki.Lost{{File: "ca.crt", Reason: "it ended", Ended: true}}, hosts(t, s))[0].Way
	}
	if way := ended(); !strings.Contains(way, "while the rotation of ca is under way it is not made anew") || strings.Contains(way, "backup") {
		t.Error(way)
	}
	if err := s.Update(func(r *Record) error { r.Rotation = nil; return nil }); err != nil {
		t.Fatal(err)
	}
	if way := ended(); !strings.Contains(way, "haplane certs renew --cluster demo makes it anew") || strings.Contains(way, "backup") {
		t.Error(way)
	}
	for _, l := range s.LostKeys(lost, nil) {
		if l.Depends == "" || strings.Contains(l.Way, "haplane ssh") {
			t.Errorf("without machines: %+v", l)
		}
	}
}

func TestWhatExists(t *testing.T) {
	s := testStore(t)
	exists := func(want bool, when string) {
		t.Helper()
		if got, err := s.Exists(hosts(t, s)); got != want || err != nil {
			t.Errorf("%s: %v, %v", when, got, err)
		}
	}
	exists(false, "nothing")
	if err := s.SaveCluster(spec.Default("demo")); err != nil {
		t.Fatal(err)
	}
	exists(false, "a file alone")
	update(t, s, func(r *Record) {
		r.Applied, r.Wanted = nil, spec.Default("demo")
		for i := range r.Nodes {
			r.Nodes[i].State = Joining
		}
	})
	exists(false, "a bring-up that made no machine yet")
	machine := s.path("machines", "cp-3", "machine.json")
	if err := errors.Join(os.MkdirAll(filepath.Dir(machine), 0o700), os.WriteFile(machine, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	exists(true, "a bring-up that made one")
	if err := os.RemoveAll(s.Machines()); err != nil {
		t.Fatal(err)
	}
	bringUp(t, s)
	exists(true, "brought up, and its machines destroyed")
}
