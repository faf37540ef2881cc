package cluster

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/etcdapi"
	"github.com/haplane/haplane/internal/image"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/pki"
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
	if got := memberProblems(well, false); got != nil {
		t.Errorf("a member that is well: %v", got)
	}
	sick := well
	sick.Healthy, sick.Error, sick.DBSize, sick.Alarms = false, "no leader", 90<<20, []etcdapi.Alarm{{Kind: "NOSPACE"}}
	got := strings.Join(memberProblems(sick, false), "\n")
	for _, says := range []string{"not healthy: no leader", "the alarm NOSPACE", "used 90 of 100 MiB"} {
		if !strings.Contains(got, says) {
			t.Errorf("%s lacks %q", got, says)
		}
	}
}

// What stands in the way is told all at once; on the way back it is none that somebody is hurt.
func TestWhatStandsInTheWayOfAnUpgrade(t *testing.T) {
	l := &live{env: newEnv(spec.Default("demo"), testOptions(t, store.Store{})), Request: Request{Upgrade: &Upgrade{From: "v1.36.3", To: "v1.37.2"}},
		record: &store.Record{Rotation: &store.Rotation{Name: "ca", Phase: "trust"}}}
	l.seen = observed.State{Machines: map[string]observed.Machine{}, APIServers: map[string]observed.APIServer{}, Nodes: map[string]observed.Node{}}
	for _, n := range l.topology.Nodes {
		l.seen.Machines[n.Name], l.seen.Nodes[n.Name] = observed.Machine{Made: true, Running: true, Reachable: true}, observed.Node{Ready: true}
	}
	if got := l.checkParts(t.Context()); got != nil {
		t.Errorf("all are well: %v", got)
	}
	l.seen.Machines["cp-2"], l.seen.Nodes["worker-1"] = observed.Machine{Made: true}, observed.Node{Reason: "KubeletNotReady"}
	l.seen.APIServers["cp-3"] = observed.APIServer{Error: "refused"}
	l.issues = []pki.Reissue{{Name: "apiserver", Reason: "it ends soon"}}
	var got []string
	for _, check := range []func(context.Context) []string{l.checkRotation, l.checkParts, l.checkCertificates, l.checkRoom} {
		got = append(got, check(t.Context())...)
	}
	want := []string{"the rotation of ca is under way, at trust; haplane certs rotate ca --cluster demo goes on with it first", "the machine of cp-2 does not answer",
		"the API server of cp-3 is not ready: refused", "node worker-1 is not Ready: KubeletNotReady", "certificate apiserver: it ends soon; haplane up --cluster demo makes it first"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if l.Upgrade.Down = true; l.checkParts(t.Context()) != nil {
		t.Error("on the way back it is refused for who is hurt")
	}
	if got := memberProblems(etcdapi.Status{Error: "no leader"}, true); got != nil {
		t.Errorf("on the way back: %v", got)
	}
}

func TestRoomForPrograms(t *testing.T) {
	for text, says := range map[string]string{"1000 1048576\n": "", "300 1048576\n": "", "299 1048576\n": "cp-1 has room for 299 MiB, and the programs take 300", "": "is not known"} {
		if got := tooFull(text, "cp-1", 300<<20); (got == "") != (says == "") || !strings.Contains(got, says) {
			t.Errorf("%q: %q, want %q", text, got, says)
		}
	}
}

// With one control-plane node or one etcd member there is no way back, and none by replacing: that is said before anything is built.
func TestUpgradeOfOneControlPlaneNode(t *testing.T) {
	parse := func(nodes string) *spec.Cluster {
		c, err := spec.Parse("test", []byte("apiVersion: haplane/v1alpha1\nkind: Cluster\nmetadata: {name: demo}\nspec: {nodes: ["+nodes+"]}\n"))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	const cp, etcd = "{role: control-plane}", "{role: etcd}"
	for nodes, says := range map[string]string{cp: "one control-plane node", cp + "," + cp + "," + etcd: "one etcd member", cp + "," + cp: "", cp + "," + cp + "," + etcd + "," + etcd + "," + etcd: ""} {
		c := parse(nodes)
		for name, u := range map[string]*Upgrade{"replacing": {From: "v1.36.3", To: "v1.37.2"}, "back": {From: "v1.37.2", To: "v1.36.3", Down: true, Versions: store.Versions{Image: "old"}},
			"in place": {From: "v1.36.3", To: "v1.37.2", InPlace: true, Versions: store.Versions{Image: "new"}}} {
			q := Request{Wanted: c, Upgrade: u}
			if says == "" {
				u.Versions.Image = "built"
			}
			err := q.prepareUpgrade(t.Context(), testOptions(t, store.Store{}))
			var refused *change.Refused
			if want := says != "" && !u.InPlace; errors.As(err, &refused) != want || want && !strings.Contains(err.Error(), says) || !want && err != nil {
				t.Errorf("%s, %s: error %v, want %q", nodes, name, err, says)
			}
			if promised := strings.Contains(strings.Join(u.warnings(c), " ")+u.wayOn(c), "upgrade --back returns"); promised != (says == "" && !u.Down) {
				t.Errorf("%s, %s: the way back is promised: %v", nodes, name, promised)
			}
		}
		if warned := strings.Join((&Upgrade{From: "v1.36.3", InPlace: true}).warnings(c), " "); says != "" && !strings.Contains(warned, "there is no way back to v1.36.3: haplane upgrade --back makes machines anew, and the cluster has "+says) {
			t.Errorf("%s: %s", nodes, warned)
		}
	}
}

// In place, what is no program is not brought: that is said, with the way that brings it.
func TestOnlyProgramsDiffer(t *testing.T) {
	kube := image.Program{Name: "kube", Path: "/usr/local/bin/kube", SHA256: "1", Links: []string{"kubelet"}}
	base := image.Manifest{Packages: []image.Package{{Name: "libc6", Version: "1"}}, Programs: []image.Program{kube, {Name: "pause"}}}
	newer := kube
	newer.SHA256 = "2"
	renamed := kube
	renamed.Links = []string{"kubelet", "kube-log-runner"}
	for name, test := range map[string]struct {
		after image.Manifest
		says  string
	}{
		"only programs":    {image.Manifest{Packages: base.Packages, Programs: []image.Program{newer, {Path: "/usr/local/bin/more"}}}, ""},
		"a package":        {image.Manifest{Packages: []image.Package{{Name: "libc6", Version: "2"}}, Programs: base.Programs}, "package libc6: 1 -> 2"},
		"one more":         {image.Manifest{Packages: append([]image.Package{{Name: "socat", Version: "3"}}, base.Packages...), Programs: base.Programs}, "package socat: none -> 3"},
		"a program less":   {image.Manifest{Packages: base.Packages}, "program /usr/local/bin/kube: gone"},
		"a name more":      {image.Manifest{Packages: base.Packages, Programs: []image.Program{renamed}}, "name /usr/local/bin/kube-log-runner: none -> /usr/local/bin/kube"},
		"no packages left": {image.Manifest{Programs: base.Programs}, "package libc6: 1 -> none"},
	} {
		err := onlyPrograms(base, test.after)
		var hinted *HintedError
		if test.says == "" && err != nil || test.says != "" && (!errors.As(err, &hinted) || !strings.Contains(err.Error(), test.says) || hinted.Hint != byReplacing) {
			t.Errorf("%s: %v, want %q", name, err, test.says)
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
