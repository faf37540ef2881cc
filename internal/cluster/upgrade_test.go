package cluster

import (
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/etcdapi"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/spec"
)

func TestCheckVersions(t *testing.T) {
	for _, c := range []struct {
		from, to string
		down     bool
		says     string // "": it is allowed
	}{
		{"v1.36.3", "v1.37.2", false, ""}, {"v1.36.3", "v1.37", false, ""}, {"v1.36.3", "v1.36.4", false, ""},
		{"v1.36.3", "v1.36.3", false, ""}, {"v1.36.3", "v1.36", false, ""},
		{"v1.36.3", "v1.38.0", false, "skips a minor version"}, {"v1.36.3", "v1.38", false, "so next is v1.37"},
		{"v1.36.3", "v1.36.2", false, "is older than v1.36.3"}, {"v1.37.2", "v1.36", false, "is older than v1.37.2"},
		{"v1.36.3", "v2.0.0", false, "another major version"}, {"", "v1.37.2", false, "not known"},
		{"v1.37.2", "v1.36.3", true, ""}, {"v1.37.2", "v1.35.9", true, "more than one minor version before"},
	} {
		err := checkVersions(c.from, c.to, c.down)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s to %s, down %v: %v, want %q", c.from, c.to, c.down, err, c.says)
		}
	}
}

func TestSkewOfKubelets(t *testing.T) {
	for kubelet, says := range map[string]string{
		"v1.37.2": "", "v1.36.3": "", "v1.34.0": "", "v1.37.9": "",
		"v1.33.9": "more than 3 minor versions behind", "v1.38.0": "newer than API servers of v1.37.2", "": "tells no version",
	} {
		if got := skew(kubelet, "v1.37.2"); (got == "") != (says == "") || !strings.Contains(got, says) {
			t.Errorf("%q: %q, want %q", kubelet, got, says)
		}
	}
}

func TestMembersThatAreNoneToUpgrade(t *testing.T) {
	well := etcdapi.Status{Member: etcdapi.Member{Name: "cp-1"}, Healthy: true, DBSize: 10 << 20, DBQuota: 100 << 20}
	if got := memberProblems(well); got != nil {
		t.Errorf("a member that is well: %v", got)
	}
	sick := well
	sick.Healthy, sick.Error, sick.DBSize, sick.Alarms = false, "no leader", 90<<20, []etcdapi.Alarm{{Kind: "NOSPACE"}}
	got := strings.Join(memberProblems(sick), "\n")
	for _, says := range []string{"not healthy: no leader", "the alarm NOSPACE", "used 90 of 100 MiB"} {
		if !strings.Contains(got, says) {
			t.Errorf("%s lacks %q", got, says)
		}
	}
}

// What is left of an upgrade is whose machine is not made of the wanted image; load balancers stay.
func TestTakeTurns(t *testing.T) {
	c := spec.Default("demo")
	l := &live{env: newEnv(c, testOptions(t, store.Store{})), Request: Request{Upgrade: &Upgrade{From: "v1.36.3", To: "v1.37.2"}}, record: &store.Record{}}
	l.image.Root = "/new"
	for _, n := range l.topology.Nodes {
		l.record.Nodes = append(l.record.Nodes, store.Node{Name: n.Name, Role: n.Role, Image: "/old"})
	}
	l.record.Nodes[0].Image = "/new"
	l.takeTurns()
	if got := strings.Join(l.Replace, " "); got != "cp-2 cp-3 worker-1" {
		t.Errorf("made anew are %s", got)
	}
	l.Replace, l.Upgrade.InPlace = nil, true
	if l.takeTurns(); l.Replace != nil {
		t.Errorf("in place, made anew are %v", l.Replace)
	}
	for name, m := range l.interim() {
		if !strings.HasPrefix(name, "cp-") || !strings.Contains(string(m.Files["/etc/kubernetes/kubelet.conf"].Data), "https://127.0.0.1:6443") {
			t.Errorf("between two versions, the kubelet of %s asks another API server", name)
		}
	}
}

// A change that was cut off in an upgrade goes on with it, whatever the command.
func TestAChangeGoesOnUpgrading(t *testing.T) {
	r := &store.Record{Versions: store.Versions{Kubernetes: "v1.37.2", Image: "new"}, Change: &store.Change{Upgrade: &store.Upgrade{From: "v1.36.3", To: "v1.37.2", AtOnce: 3, InPlace: true}}}
	q := Request{}
	q.goOnUpgrading(r)
	if u := q.Upgrade; u == nil || !u.goesOn || u.AtOnce != 3 || !u.InPlace || u.Versions.Image != "new" {
		t.Errorf("%+v", q.Upgrade)
	}
	q = Request{Abort: true}
	if q.goOnUpgrading(r); q.Upgrade != nil {
		t.Errorf("abort: %+v", q.Upgrade)
	}
}
