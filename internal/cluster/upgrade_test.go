package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/semver"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/component"
	"github.com/haplane/haplane/internal/etcdapi"
	"github.com/haplane/haplane/internal/image"
	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/probe"
	"github.com/haplane/haplane/internal/render"
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
		{"v1.36.3", "1.37.2", false, `"1.37.2" is no version of Kubernetes: write v1.37.2, say`}, {"v1.36.3", "newest", false, `"newest" is no version`},
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
	l.rendered = map[string]render.Machine{"lb-1": {Units: []render.Unit{{Name: "haproxy"}}}}
	l.issues = []pki.Reissue{{Name: "apiserver", Reason: "it ends soon"}}
	var got []string
	for _, check := range []func(context.Context) []string{l.checkRotation, l.checkParts, l.checkCertificates, l.checkRoom} {
		got = append(got, check(t.Context())...)
	}
	want := []string{"the rotation of ca is under way, at trust; haplane certs rotate ca --cluster demo goes on with it first", "the machine of cp-2 does not answer",
		"the API server of cp-3 is not ready: refused", "node worker-1 is not Ready: KubeletNotReady", "haproxy of lb-1 does not run", "certificate apiserver: it ends soon; haplane up --cluster demo makes it first"}
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

func TestRoomOnMachines(t *testing.T) {
	for text, says := range map[string]string{"1000 1048576\n": "", "300 1048576\n": "", "299 1048576\n": "cp-1 has room for 299 MiB, and what is brought there takes 300", "": "is not known",
		"1000 1048576\n76800 4096\n": "", "1000 1048576\n25600 4096\n": "cp-1 has room for 100 MiB", "1000 1048576\nstat: no\n": "is not known"} {
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
			var hinted *HintedError
			if errors.As(err, &hinted) && !strings.Contains(hinted.Hint, map[bool]string{true: "haplane node add --role etcd --cluster demo", false: "haplane node add --role control-plane --cluster demo"}[strings.Contains(says, "etcd")]) {
				t.Errorf("%s, %s: the hint is %s", nodes, name, hinted.Hint)
			}
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

// In place, what is no program and no container image is not brought: that is said.
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
		"another CoreDNS":  {image.Manifest{Packages: base.Packages, Programs: []image.Program{kube, {Name: "pause", SHA256: "2"}, {Name: "coredns", SHA256: "1"}}}, ""},
		"no packages left": {image.Manifest{Programs: base.Programs}, "package libc6: 1 -> none"},
	} {
		err := onlyPrograms(base, test.after)
		if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
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
	r := &store.Record{Versions: store.Versions{Kubernetes: "v1.37.2", Image: "new"}, Change: &store.Change{Upgrade: &store.Upgrade{From: "v1.36.3", To: "v1.37.2", AtOnce: 3, InPlace: true, PauseSeconds: 90.5, ConfirmEach: true}}}
	q := Request{}
	q.goOnUpgrading(r)
	if u := q.Upgrade; u == nil || !u.goesOn || u.AtOnce != 3 || !u.InPlace || u.Versions.Image != "new" || u.Pause != 90500*time.Millisecond || !u.ConfirmEach {
		t.Errorf("%+v", q.Upgrade)
	}
	if diff := cmp.Diff(r.Change.Upgrade, q.Upgrade.record()); diff != "" {
		t.Errorf("the record of the run that goes on: %s", diff)
	}
	q = Request{Abort: true}
	if q.goOnUpgrading(r); q.Upgrade != nil {
		t.Errorf("abort: %+v", q.Upgrade)
	}
}

// What clients ask for and the next version lacks is named, with what makes an API server forget it.
func TestRemovedAPIs(t *testing.T) {
	asked := []kubeapi.DeprecatedAPI{{Resource: "flowschemas.v1beta3.flowcontrol.apiserver.k8s.io", Removed: "1.32"}, {Resource: "next.v1beta1.example.k8s.io", Removed: "1.37"}, {Resource: "later.v1beta1.example.k8s.io", Removed: "1.38"}}
	want := []string{"clients have asked cp-1 for flowschemas.v1beta3.flowcontrol.apiserver.k8s.io, which v1.32 does not have any more; it forgets that when its kube-apiserver is restarted",
		"clients have asked cp-1 for next.v1beta1.example.k8s.io, which v1.37 does not have any more; it forgets that when its kube-apiserver is restarted"}
	if diff := cmp.Diff(want, removedAPIs("cp-1", asked, "v1.37.2")); diff != "" {
		t.Error(diff)
	}
	if got := removedAPIs("cp-1", asked[1:], "v1.36.3"); got != nil {
		t.Errorf("v1.36 has them: %v", got)
	}
}

// imageOf puts the manifest of an image with some programs into a cache, and is what a cluster of that image runs.
func imageOf(t *testing.T, cache, digest string, versions map[string]string) store.Versions {
	t.Helper()
	m := image.Manifest{Digest: digest}
	for component, version := range versions {
		m.Programs = append(m.Programs, image.Program{Component: component, Name: component, Version: version})
	}
	data, err := json.Marshal(m)
	dir := filepath.Join(cache, "images", digest)
	if err := errors.Join(err, os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "manifest.json"), data, 0o600)); err != nil {
		t.Fatal(err)
	}
	return store.Versions{Kubernetes: versions["kube"], Image: digest}
}

// A haplane that builds more than the cluster has says so: of Kubernetes, or of what is beside it. It does not where haplane upgrade
// would refuse.
func TestWhatIsNewer(t *testing.T) {
	components, err := filepath.Abs("../../components")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HAPLANE_COMPONENTS", components)
	cache, built := t.TempDir(), must[[]string](t)(component.Kubernetes(components))
	now, older := map[string]string{"kube": built[0]}, map[string]string{}
	for _, p := range must[[]component.Pinned](t)(component.Versions(components)) {
		now[p.Name] = p.Version
	}
	for name, version := range now {
		older[name] = version
	}
	older["etcd"], older["runc"] = "v3.0.1", "v1.0.0"
	before := map[string]string{"kube": built[len(built)-1], "etcd": "v3.0.1"}
	own := spec.Default("demo")
	own.Spec.Components.Dir = "/opt/kubernetes"
	for name, test := range map[string]struct {
		has  store.Versions
		c    *spec.Cluster
		want []string // nothing where there are none
	}{
		"all of it":             {imageOf(t, cache, "aa", now), spec.Default("demo"), nil},
		"older etcd and runc":   {imageOf(t, cache, "bb", older), spec.Default("demo"), []string{"etcd " + now["etcd"] + " (it has v3.0.1)", "runc " + now["runc"] + " (it has v1.0.0)", "haplane upgrade --to " + built[0] + " --cluster demo brings it"}},
		"an older Kubernetes":   {imageOf(t, cache, "cc", before), spec.Default("demo"), []string{"Kubernetes " + built[0] + " is there", "haplane upgrade --to " + built[0] + " --cluster demo"}},
		"programs of its own":   {imageOf(t, cache, "dd", before), own, nil},
		"an image that is gone": {store.Versions{Kubernetes: built[0], Image: "ee"}, spec.Default("demo"), nil},
		"nobody knows":          {store.Versions{}, spec.Default("demo"), nil},
	} {
		got := newer(test.c, cache, test.has)
		if (got == "") != (len(test.want) == 0) {
			t.Errorf("%s: %q", name, got)
		}
		for _, says := range test.want {
			if !strings.Contains(got, says) {
				t.Errorf("%s: no %q in %q", name, says, got)
			}
		}
	}
}

// etcd skips no minor version and does not go back one: said before anything begins, and no way back is promised then.
func TestVersionsOfEtcd(t *testing.T) {
	for _, c := range []struct{ from, to, says string }{
		{"v3.7.3", "v3.7.3", ""}, {"v3.7.3", "v3.7.4", ""}, {"v3.7.4", "v3.7.3", ""}, {"v3.6.9", "v3.7.3", ""}, {"", "v3.7.3", ""}, {"v3.7.3", "", ""},
		{"v3.5.21", "v3.7.3", "its members skip no minor version: next is v3.6"}, {"v3.7.3", "v4.0.0", "next is v3.8"},
		{"v3.7.3", "v3.6.9", "etcd would go from v3.7.3 to v3.6.9, and does not start with data of a newer minor version"},
	} {
		if got := etcdSkew(c.from, c.to); (got == "") != (c.says == "") || !strings.Contains(got, c.says) {
			t.Errorf("%s to %s: %q, want %q", c.from, c.to, got, c.says)
		}
	}
	s := applied(t, commented)
	cache := t.TempDir()
	t.Setenv("HAPLANE_CACHE", cache)
	old, now := imageOf(t, cache, "aa", map[string]string{"kube": "v1.36.3", "etcd": "v3.6.9"}), imageOf(t, cache, "bb", map[string]string{"kube": "v1.37.2", "etcd": "v3.7.3"})
	old.Pause, old.CoreDNS, now.Pause, now.CoreDNS = "p", "c", "p", "c"
	set := func(versions store.Versions, previous *store.Versions) {
		t.Helper()
		if err := s.Update(func(r *store.Record) error { r.Versions, r.Previous = versions, previous; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	set(old, nil)
	q := opened(t).Request()
	q.Upgrade = &Upgrade{From: "v1.36.3", To: "v1.37.2", Versions: now}
	o := testOptions(t, s)
	o.Cache = cache
	l := &live{env: newEnv(q.Wanted, o), Request: q, record: must[*store.Record](t)(s.Record())}
	if err := l.takeVersions(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(l.Upgrade.warnings(l.Wanted), " ") + l.Upgrade.wayOn(l.Wanted); !strings.Contains(got, "there is no way back to v1.36.3: etcd would go from v3.7.3 to v3.6.9") || strings.Contains(got, "--back") {
		t.Error(got)
	}
	if got := l.checkEtcdVersion(t.Context()); got != nil {
		t.Errorf("to the next minor version: %v", got)
	}
	set(now, &old)
	var refused *change.Refused
	if _, err := opened(t).UpgradeBack(); !errors.As(err, &refused) || !strings.Contains(err.Error(), "upgrade --back: refused: etcd would go from v3.7.3 to v3.6.9") {
		t.Errorf("the way back: %v", err)
	}
}

// A minor that means a patch of before the cluster's goes down, by a haplane that is older than the cluster.
func TestAMinorThatMeansAnOlderPatch(t *testing.T) {
	components, err := filepath.Abs("../../components")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HAPLANE_COMPONENTS", components)
	t.Setenv("HAPLANE_CACHE", t.TempDir())
	s := applied(t, commented)
	built := must[[]string](t)(component.Kubernetes(components))[0]
	has := semver.MajorMinor(built) + ".99"
	if err := s.Update(func(r *store.Record) error { r.Versions.Kubernetes = has; return nil }); err != nil {
		t.Fatal(err)
	}
	var wrong *VersionError
	if _, err := opened(t).UpgradeTo(semver.MajorMinor(built)); !errors.As(err, &wrong) || !strings.Contains(err.Error(), built+" is older than "+has) {
		t.Errorf("error %v", err)
	}
}

// written is a store of keys that can lose one, or not be asked.
type written struct {
	sync.Mutex
	keys []string
	lost []string
	away bool
}

func (w *written) Write(_ context.Context, key string) error {
	w.Lock()
	defer w.Unlock()
	w.keys = append(w.keys, key)
	return nil
}

func (w *written) Stored(context.Context) ([]string, error) {
	w.Lock()
	defer w.Unlock()
	if w.away {
		return nil, errors.New("connection refused")
	}
	return slices.DeleteFunc(slices.Clone(w.keys), func(key string) bool { return slices.Contains(w.lost, key) }), nil
}

func (w *written) Remove(context.Context) error { return nil }

// An upgrade stops where more of the requests of a turn failed than a busy machine explains, a lane had no answer for long, or a write is lost, and
// each turn counts by itself.
func TestClientsThatNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fails, hangs atomic.Bool
		writes := &written{}
		lanes := []probe.Lane{{Name: "it", Send: func(context.Context) error {
			for hangs.Load() {
				time.Sleep(10 * time.Millisecond)
			}
			if fails.Load() {
				return errors.New("connection refused")
			}
			return nil
		}}, {Name: "write", Writes: writes, Rate: 0.2}}
		session, err := probe.Start(t.Context(), lanes, probe.Options{Rate: 10, Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		m := &measurement{session: session}
		turn := func(what *atomic.Bool, lasts time.Duration) error {
			what.Store(true)
			time.Sleep(lasts)
			what.Store(false)
			time.Sleep(50*time.Second - lasts)
			return m.noticed(t.Context())
		}
		time.Sleep(50 * time.Millisecond) // between two requests
		says := func(err error, want string) {
			t.Helper()
			if (err == nil) != (want == "") || err != nil && err.Error() != want {
				t.Errorf("%v, want %q", err, want)
			}
		}
		says(turn(&fails, 0), "")
		says(turn(&fails, 300*time.Millisecond), "")
		says(turn(&fails, time.Second), "clients notice: 10 of 510 requests failed in this turn")
		says(turn(&hangs, 4900*time.Millisecond), "")
		says(turn(&hangs, 5500*time.Millisecond), "clients notice: lane it had no answer for 5.4 s")
		says(turn(&fails, 6*time.Second), "clients notice: 60 of 510 requests failed in this turn; lane it had no answer for 6.0 s")
		writes.lost = []string{"w3"}
		says(turn(&fails, 0), "clients notice: 1 writes that were acknowledged are lost: w3")
		writes.lost = []string{"w1", "w2", "w3", "w4", "w5", "w6"}
		says(turn(&fails, 0), "clients notice: 6 writes that were acknowledged are lost: w1, w2, w3, w4, w5, ...")
		writes.lost, writes.away = nil, true
		says(turn(&fails, 0), "clients notice: whether all writes that were acknowledged are there is not known: look for what was written: connection refused")
		writes.away = false
		says(turn(&fails, 0), "")
		session.Stop()
	})
	if err := (*measurement)(nil).noticed(t.Context()); err != nil {
		t.Errorf("nothing is measured: %v", err)
	}
	began := time.Now()
	err := noticed([]string{"10 of 500 requests failed in this turn"}, []probe.Lateness{{Start: began, End: began.Add(2400 * time.Millisecond)}, {Start: began, End: began.Add(time.Second)}})
	if want := "clients notice: 10 of 500 requests failed in this turn; haplane itself was late by up to 2.4 s meanwhile"; !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
}
