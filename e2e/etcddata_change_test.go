//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/haplane/haplane/e2e/rig"
)

// An etcdMember is what scripts may rely on in what etcd members prints with -o json.
type etcdMember struct {
	Name, Role       string
	Leader, Healthy  bool
	DBSize, DBInUse  int64
	Alarms, PeerURLs []string
}

// TestChangeEtcd looks after etcd while requests of all kinds run: another leader, room given back, a
// snapshot, no room at all, the whole control plane back to a snapshot, and a quorum that is lost for good.
func TestChangeEtcd(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-etcd", 44)
	c.append(t, "  extraArgs: {etcd: {quota-backend-bytes: \"33554432\"}}\n")
	before := lookAtHost(r)
	must(t, 0, c.Up(background(t)))
	e := &etcdDay{day: &day{cluster: c, controlPlane: slices.Clone(controlPlane), workers: []string{"worker-1"}}}
	for _, part := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"leader", e.leader},
		{"defrag", e.defrag},
		{"defrag-killed", e.defragKilled},
		{"snapshot", e.snapshot},
		{"restore", e.restore},
		{"no-space", e.noSpace},
		{"quorum-lost", e.quorumLost},
	} {
		t.Run(part.name, part.run)
	}
	must(t, 0, c.Down(background(t)))
	before.left(t, lookAtHost(r))
}

type etcdDay struct {
	*day
	file string // a snapshot
}

func (e *etcdDay) etcd(args ...string) rig.Result {
	return e.Run(interrupted, append(append([]string{"etcd"}, args...), "--cluster", e.Name)...)
}

func (e *etcdDay) members(t *testing.T) map[string]etcdMember {
	t.Helper()
	var list []etcdMember
	if err := json.Unmarshal([]byte(must(t, 0, e.etcd("members", "-o", "json")).Stdout), &list); err != nil {
		t.Fatal(err)
	}
	out := map[string]etcdMember{}
	for _, m := range list {
		out[m.Name] = m
	}
	return out
}

// etcdctl runs on the first control-plane node.
func (e *etcdDay) etcdctl(t *testing.T, line string) string {
	t.Helper()
	const pki = "/etc/kubernetes/pki/etcd/"
	return e.on(t, e.controlPlane[0], "export ETCDCTL_CACERT="+pki+"ca.crt ETCDCTL_CERT="+pki+"healthcheck-client.crt ETCDCTL_KEY="+pki+"healthcheck-client.key; "+line)
}

func (e *etcdDay) leader(t *testing.T) {
	leads := func() (name string) {
		for _, m := range e.members(t) {
			if m.Leader {
				name = m.Name
			}
		}
		return name
	}
	others := slices.DeleteFunc(slices.Clone(e.controlPlane), func(n string) bool { return n == leads() })
	for _, to := range others {
		unnoticed(t, e.change(t, "etcd", "move-leader", to))
		want(t, "leader", leads(), to)
	}
	unnoticed(t, e.change(t, "etcd", "move-leader"))
	if leads() == others[1] {
		t.Errorf("%s leads still", others[1])
	}
	contains(t, "of who has no member", must(t, 2, e.etcd("move-leader", "worker-1", "--yes")).Stderr, "no etcd member on \"worker-1\"")
	contains(t, "table", must(t, 0, e.etcd("members")).Stdout, "NAME", "cp-1", "voter, leader", "https://"+e.address("cp-2")+":2380")
}

// fill writes data that nobody needs, until there is enough of it or etcd takes no more.
func (e *etcdDay) fill(t *testing.T, megabytes int) {
	t.Helper()
	e.etcdctl(t, fmt.Sprintf("head -c 700000 /dev/urandom | base64 -w 0 >/tmp/megabyte; for i in $(seq %d); do etcdctl put /filler/$i </tmp/megabyte >/dev/null || break; done", megabytes))
}

func (e *etcdDay) defrag(t *testing.T) {
	e.fill(t, 12)
	e.etcdctl(t, "etcdctl del --prefix /filler/ >/dev/null; etcdctl compact --physical $(etcdctl get x -w json | sed 's/.*\"revision\":\\([0-9]*\\).*/\\1/') >/dev/null")
	was := e.members(t)
	o := e.change(t, "etcd", "defrag")
	unnoticed(t, o)
	for name, m := range e.members(t) {
		t.Logf("%s: %.1f MiB -> %.1f MiB", name, float64(was[name].DBSize)/(1<<20), float64(m.DBSize)/(1<<20))
		if m.DBSize > was[name].DBSize-8<<20 {
			t.Errorf("%s has %d bytes still, of %d", name, m.DBSize, was[name].DBSize)
		}
	}
	var order []string
	for _, s := range o.Plan.Steps {
		if s.Verb == "etcd-defrag" {
			order = append(order, s.Node)
		}
	}
	if len(order) != 3 || !was[order[2]].Leader {
		t.Errorf("defragmented in order %v, and of these %+v", order, was)
	}
	e.wellAgain(t)
}

// defragKilled is killed on the way. Nobody stays drained, and clients notice none of it.
func (e *etcdDay) defragKilled(t *testing.T) {
	clients := e.startTraffic(t)
	e.killedAtVerbs(t, []string{"lb-drain", "etcd-defrag", "lb-restore"}, "etcd", "defrag")
	clients.unnoticed(t, "defragmented, killed")
	e.wellAgain(t)
}

func (e *etcdDay) snapshot(t *testing.T) {
	e.applyText(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: kept, namespace: default}\nstringData: {a: b}\n")
	saved := must(t, 0, e.etcd("snapshot", "save", "-o", "json"))
	var s struct {
		File     string
		Revision int64
		Verified bool
	}
	if err := json.Unmarshal([]byte(saved.Stdout), &s); err != nil || !s.Verified || s.Revision == 0 {
		t.Fatalf("%v\n%s", err, saved)
	}
	e.file = s.File
	if info, err := os.Stat(s.File); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	contains(t, "list", must(t, 0, e.etcd("snapshot", "list")).Stdout, s.File, fmt.Sprint(s.Revision))
	contains(t, "verified", must(t, 0, e.etcd("snapshot", "verify", s.File)).Stdout, "a test restore")
	elsewhere := filepath.Join(t.TempDir(), "demo.tar")
	contains(t, "keys that would leave", must(t, 2, e.etcd("snapshot", "save", elsewhere)).Stderr, "UNENCRYPTED", "--recipient")
	if _, err := os.Stat(elsewhere); err == nil {
		t.Error("it was written all the same")
	}
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	identity := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(identity, []byte(key.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, 0, e.etcd("snapshot", "save", elsewhere, "--recipient", key.Recipient().String()))
	contains(t, "without its key", must(t, 2, e.etcd("snapshot", "verify", elsewhere)).Stderr, "it is encrypted", "--identity")
	must(t, 0, e.etcd("snapshot", "verify", elsewhere, "--identity", identity))
	data, err := os.ReadFile(s.File)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.tar")
	if err := os.WriteFile(cut, data[:len(data)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	contains(t, "one that is cut", must(t, 2, e.etcd("restore", cut, "--discard-newer", "--yes")).Stderr, "damaged", "it ends in the middle")
	contains(t, "recover of what is well", must(t, 4, e.etcd("recover", "--yes")).Stderr, "refused", "not lost for good")
}

// restore goes back to the snapshot: first as far as the exchange of the data and back again, then killed at all boundaries.
func (e *etcdDay) restore(t *testing.T) {
	newer := func() bool { return e.Kubectl(background(t), "get", "configmap", "newer").Code == 0 }
	must(t, 0, e.Kubectl(background(t), "create", "configmap", "newer"))
	contains(t, "one that is older", must(t, 4, e.etcd("restore", e.file, "--yes")).Stderr, "revisions less than the cluster", "--discard-newer")
	args := []string{"etcd", "restore", e.file, "--discard-newer", "--cluster", e.Name, "--yes"}
	kill := func(at string) {
		t.Helper()
		cmd, stderr := e.start(t, args...)
		done := waitFor(cmd)
		for !slices.ContainsFunc(e.steps(), func(s step) bool { return strings.HasPrefix(s.ID, at) }) {
			select {
			case <-done:
				t.Fatalf("it ended before %s: %s", at, stderr)
			case <-background(t).Done():
				t.Fatal(background(t).Err())
			case <-time.After(2 * time.Millisecond):
			}
		}
		_ = cmd.Process.Kill()
		<-done
		contains(t, "status after a kill at "+at, e.Run(background(t), "status", "--cluster", e.Name).Stdout, "cut off", "etcd restore")
	}
	kill("etcd-swap@cp-2")
	contains(t, "another change meanwhile", must(t, 4, e.Run(background(t), "node", "add", "--yes", "--cluster", e.Name)).Stderr, "has to end first")
	must(t, 0, e.Run(background(t), "apply", "--abort", "--yes", "--cluster", e.Name))
	want(t, "after going back, newer data is there", newer(), true)
	e.wellAgain(t)

	for _, at := range []string{"etcd-stage@", "halt@cp-1/kube-apiserver", "etcd-swap@cp-1", "write-object"} {
		kill(at)
		t.Logf("killed at %s", at)
	}
	restored := must(t, 0, e.Run(background(t), args...))
	t.Log(restored.Stderr, restored.Stdout)
	contains(t, "outcome", restored.Stdout, "first write acknowledged", "lost revisions: ")
	want(t, "newer data is there", newer(), false)
	want(t, "Secret of before", e.Kubectl(background(t), "get", "secret", "kept", "-o", "jsonpath={.data.a}").Stdout, "Yg==")
	e.wellAgain(t)
	for _, node := range e.controlPlane {
		want(t, "folders beside the data of "+node, e.on(t, node, "ls /var/lib/etcd"), "member")
	}
}

func (e *etcdDay) noSpace(t *testing.T) {
	e.fill(t, 60)
	contains(t, "alarms", must(t, 0, e.etcd("alarm", "list")).Stdout, "NOSPACE")
	contains(t, "status", must(t, 0, e.Run(background(t), "status", "--cluster", e.Name)).Stdout, "warning: etcd has raised the alarm NOSPACE on ", "haplane etcd alarm disarm")
	full := e.Kubectl(background(t), "create", "configmap", "no-room")
	if full.Code == 0 {
		t.Error("a write was taken")
	}
	e.etcdctl(t, "etcdctl del --prefix /filler/ >/dev/null")
	e.killedAtVerbs(t, []string{"etcd-compact", "etcd-defrag", "etcd-disarm"}, "etcd", "alarm", "disarm")
	contains(t, "alarms", must(t, 0, e.etcd("alarm", "list")).Stdout, "no alarm is raised")
	must(t, 0, e.Kubectl(background(t), "create", "configmap", "room"))
	for name, m := range e.members(t) {
		if m.DBSize > 16<<20 {
			t.Errorf("%s has %d bytes still", name, m.DBSize)
		}
	}
	e.wellAgain(t)
}

// quorumLost destroys two machines of three with their disks. It is killed on the way, until the data of the one that is left serves: what comes
// then is a replacement like any other.
func (e *etcdDay) quorumLost(t *testing.T) {
	for _, node := range []string{"cp-2", "cp-3"} {
		if _, err := e.Provider().Remove(background(t), node); err != nil {
			t.Fatal(err)
		}
	}
	at := []string{"etcd-stage", "halt", "etcd-swap", "start", "write-object"}
	runs := e.runKilled(t, killing{args: []string{"etcd", "recover"}, at: at, kind: func(step string) string {
		if verb := verbOf(step); slices.Contains(at, verb) {
			return verb
		}
		return ""
	}})
	began, recovered := runs.first, runs.last
	t.Log(began.Stderr, recovered.Stderr, recovered.Stdout)
	contains(t, "what it says before it begins", began.Stderr, "etcd goes on with the data of cp-1", "cp-2 and cp-3 acknowledged after that", "cp-2, cp-3 are made anew")
	contains(t, "outcome", recovered.Stdout, "first write acknowledged", "lost revisions: nobody can know")
	must(t, 0, e.Kubectl(background(t), "get", "configmap", "room"))
	e.wellAgain(t)
}
