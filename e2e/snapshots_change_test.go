//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
)

// TestChangeSnapshots turns snapshots on a schedule on, changes and turns them off while the cluster is used, and goes back to
// one that a machine has taken by itself.
func TestChangeSnapshots(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-snap", 45)
	before := lookAtHost(r)
	must(t, 0, c.Up(background(t)))
	s := &scheduled{etcdDay: &etcdDay{day: &day{cluster: c, controlPlane: slices.Clone(controlPlane), workers: []string{"worker-1"}}}, identity: filepath.Join(t.TempDir(), "key")}
	for _, part := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"on", s.turnedOn},
		{"retained", s.retained},
		{"machine-full", s.machineFull},
		{"trouble", s.trouble},
		{"restored", s.restored},
		{"off", s.turnedOff},
	} {
		if !t.Run(part.name, part.run) {
			return
		}
	}
	must(t, 0, c.Down(background(t)))
	before.left(t, lookAtHost(r))
}

type scheduled struct {
	*etcdDay
	identity string // file of the private key
	pids     string // of etcd and the API server on each machine
}

type listed struct {
	File, Node          string
	Revision            int64
	Encrypted, Verified bool
}

// kept are the snapshots of each machine, the oldest first.
func (s *scheduled) kept(ctx context.Context, t *testing.T) map[string][]listed {
	t.Helper()
	var list []listed
	if err := json.Unmarshal([]byte(must(t, 0, s.Run(ctx, "etcd", "snapshot", "list", "--cluster", s.Name, "-o", "json")).Stdout), &list); err != nil {
		t.Fatal(err)
	}
	out := map[string][]listed{}
	for _, one := range list {
		if one.Node != "" {
			out[one.Node] = append(out[one.Node], one)
		}
	}
	return out
}

// programs are the processes that must not restart.
func (s *scheduled) programs(t *testing.T) string {
	t.Helper()
	var out []string
	for _, node := range s.controlPlane {
		out = append(out, s.on(t, node, "systemctl show --property=MainPID --value etcd kube-apiserver kube-controller-manager kube-scheduler haplane-agent kubelet"))
	}
	return strings.Join(out, "\n")
}

func (s *scheduled) takes(t *testing.T, node string) string {
	t.Helper()
	return s.on(t, node, "systemctl show --property=MainPID --value haplane-snapshots")
}

func (s *scheduled) turnedOn(t *testing.T) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.identity, []byte(key.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, 0, s.Kubectl(background(t), "create", "secret", "generic", "kept", "--from-literal=a=b"))
	s.pids = s.programs(t)
	s.append(t, fmt.Sprintf("  etcd: {snapshots: {schedule: \"@every 10s\", retain: 2, recipients: [%s]}}\n", key.Recipient()))
	o := s.change(t, "apply", "-f", s.File())
	unharmed(t, o)
	for _, step := range o.Plan.Steps {
		if step.Verb != "write-files" && step.Verb != "start" {
			t.Errorf("step %s", step.ID)
		}
	}
	want(t, "processes", s.programs(t), s.pids)
	s.wellAgain(t)
}

// retained waits until the first ones have gone.
func (s *scheduled) retained(t *testing.T) {
	first := map[string]string{}
	wait(t, 60*time.Second, "snapshots on all machines", func(ctx context.Context) error {
		for node, list := range s.kept(ctx, t) {
			if first[node] == "" {
				first[node] = list[0].File
			}
		}
		if len(first) < 3 {
			return fmt.Errorf("they are on %v", first)
		}
		return nil
	})
	wait(t, 90*time.Second, "the first ones to go", func(ctx context.Context) error {
		for node, list := range s.kept(ctx, t) {
			if len(list) > 3 { // between the new one and the old one that goes
				t.Errorf("%s keeps %v", node, list)
			}
			if len(list) < 2 || slices.ContainsFunc(list, func(l listed) bool { return l.File == first[node] }) {
				return fmt.Errorf("%s keeps %v", node, list)
			}
		}
		return nil
	})
	t.Log(must(t, 0, s.etcd("snapshot", "list")).Stdout)
	one := s.kept(background(t), t)["cp-1"][0]
	if !one.Encrypted || !one.Verified || one.Revision == 0 {
		t.Errorf("%+v", one)
	}
	want(t, "folder and a file", s.on(t, "cp-2", `stat --format='%U %a' /var/lib/haplane/snapshots; stat --format='%U %a' /var/lib/haplane/snapshots/*.age | sort -u`), "root 700\nroot 600")
	contains(t, "what it begins with", s.on(t, "cp-1", "head -c 21 /var/lib/haplane/snapshots/*.age | head -n 4"), "age-encryption.org/v1")
	contains(t, "health", s.on(t, "cp-1", "curl -s http://127.0.0.1:10272/healthz"), `"kept":`)
	contains(t, "metrics", s.on(t, "cp-1", "curl -s http://127.0.0.1:10272/metrics"), "haplane_snapshots_last_timestamp_seconds")
	contains(t, "x-ray", s.Run(background(t), "xray", "--cluster", s.Name, "-o", "json").Stdout, "etcd-snapshots-current")
}

// trouble stops them on one machine: status tells of it.
func (s *scheduled) trouble(t *testing.T) {
	s.on(t, "cp-3", "systemctl stop haplane-snapshots; rm -f /var/lib/haplane/snapshots/*")
	contains(t, "status", must(t, 0, s.Run(background(t), "status", "--cluster", s.Name)).Stdout, "warning: snapshots of etcd (@every 10s): cp-3 has none yet")
	must(t, 0, s.Run(background(t), "apply", "--cluster", s.Name, "--yes", "--no-probe"))
	s.wellAgain(t)
}

func (s *scheduled) restored(t *testing.T) {
	// Less often: a restore is copied first, and its snapshot is not to go meanwhile.
	was := s.takes(t, "cp-1")
	s.edit(t, "@every 10s", "@daily")
	s.change(t, "apply", "-f", s.File())
	want(t, "process that takes snapshots", s.takes(t, "cp-1"), was)
	list := s.kept(background(t), t)["cp-2"]
	one := list[len(list)-1]
	must(t, 0, s.Kubectl(background(t), "create", "configmap", "newer"))
	contains(t, "without its key", must(t, 2, s.etcd("restore", one.File, "--discard-newer", "--yes")).Stderr, "it is encrypted", "--identity")
	contains(t, "another name", must(t, 2, s.etcd("restore", "cp-2:20200101T000000Z-r1.tar", "--yes")).Stderr, "none of this name")
	contains(t, "verified", must(t, 0, s.etcd("snapshot", "verify", one.File, "--identity", s.identity)).Stdout, fmt.Sprintf("revision %d", one.Revision), "a test restore")
	restored := must(t, 0, s.etcd("restore", one.File, "--identity", s.identity, "--discard-newer", "--yes"))
	contains(t, "outcome", restored.Stdout, "first write acknowledged", fmt.Sprintf("restored is revision %d", one.Revision))
	t.Log(restored.Stdout)
	if s.Kubectl(background(t), "get", "configmap", "newer").Code == 0 {
		t.Error("newer data is there")
	}
	want(t, "Secret of before", s.Kubectl(background(t), "get", "secret", "kept", "-o", "jsonpath={.data.a}").Stdout, "Yg==")
	file := strings.TrimSpace(must(t, 0, s.etcd("snapshot", "copy", one.File)).Stdout)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	s.wellAgain(t)
}

func (s *scheduled) turnedOff(t *testing.T) {
	s.pids = s.programs(t)
	file, err := os.ReadFile(s.File())
	if err != nil {
		t.Fatal(err)
	}
	text := string(file)
	if err := os.WriteFile(s.File(), []byte(text[:strings.Index(text, "  etcd: {snapshots:")]), 0o644); err != nil {
		t.Fatal(err)
	}
	unharmed(t, s.change(t, "apply", "-f", s.File()))
	want(t, "processes", s.programs(t), s.pids)
	want(t, "what is left of it", s.on(t, "cp-1", "ls /etc/systemd/system/haplane-snapshots.service /etc/kubernetes/haplane-snapshots.json /var/lib/haplane/deposit-* 2>/dev/null; systemctl is-active haplane-snapshots || true"), "inactive")
	if len(s.kept(background(t), t)["cp-1"]) == 0 {
		t.Error("the snapshots went with the schedule")
	}
	s.wellAgain(t)
}
