package xray

import (
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

// atVersions has all programs be of some version; "" is one that is not known.
func atVersions(kubernetes, etcd, haproxy string) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		for _, m := range e.Machines {
			for i := range m.Programs {
				switch p := &m.Programs[i]; p.Name {
				case evidence.EtcdServer:
					p.Version = etcd
				case evidence.HAProxy:
					p.Version = haproxy
				default:
					p.Version = kubernetes
				}
			}
			if m.Etcd != nil {
				m.Etcd.Version = etcd
			}
		}
		for i := range e.Servers {
			e.Servers[i].Version = kubernetes
		}
		if e.API != nil {
			e.API.Version = kubernetes
		}
	}
}

// No advice names what the program does not know that it is for: it would not start again. Where
// the version is not known, advice says from which on.
func TestAdviceIsGoodForTheVersion(t *testing.T) {
	named := map[string]bool{}
	for name, version := range map[string]func(*evidence.Evidence){"oldest": atVersions("v1.8.0", "3.2.0", "1.8.0"), "unknown": atVersions("", "", "")} {
		for _, c := range cases() {
			check, ok := Find(c.check)
			if !ok {
				t.Fatal(c.check)
			}
			if c.of == nil {
				c.of = healthy(spec.Shared)
			}
			e := c.of()
			if c.change != nil {
				c.change(e)
			}
			version(e)
			s := NewScene(e, c.expect)
			for _, f := range check.findings(s) {
				for _, row := range newer {
					if !strings.Contains(f.Fix, row.name) || len(s.Instances(row.program)) == 0 {
						continue
					}
					named[name] = true
					old := name == "oldest" && !strings.HasPrefix(f.Fix, "Nothing to set yet")
					if old || !strings.Contains(f.Fix, row.version) {
						t.Errorf("%s/%s, version %s: names %s of %s %s:\n%s", c.check, c.name, name, row.name, row.program, row.version, f.Fix)
					}
				}
			}
		}
	}
	if !named["unknown"] {
		t.Error("no advice names anything that came with a version")
	}
}

// The advice of a check, as docs/checks.md has it, says from which version on it is good.
func TestChecksSayFromWhichVersionOn(t *testing.T) {
	for _, c := range Catalogue() {
		for _, row := range newer {
			if strings.Contains(c.Fix, row.name) && !strings.Contains(c.Fix, row.version) {
				t.Errorf("%s: %s of %s came with %s:\n%s", c.ID, row.name, row.program, row.version, c.Fix)
			}
		}
	}
}

func TestSafeAdvice(t *testing.T) {
	const fix = "Let the unit wait. Set --shutdown-delay-duration (1.16 and later). Set --shutdown-send-retry-after (1.23 and later)."
	for version, want := range map[string]string{
		"v1.8.0":  "Let the unit wait.",
		"v1.21.3": "Let the unit wait. Set --shutdown-delay-duration (1.16 and later).",
		"v1.37.2": fix,
		"": "Look at the version first, an older one does not start with it: --shutdown-delay-duration since kube-apiserver 1.16, " +
			"--shutdown-send-retry-after since kube-apiserver 1.23. " + fix,
	} {
		e := evidencetest.Healthy(spec.Shared)
		atVersions(version, "", "")(e)
		if got := NewScene(e, Expectation{}).safe("cp-2", fix); got != want {
			t.Errorf("%q: %s\nwant %s", version, got, want)
		}
	}
	e := evidencetest.Healthy(spec.Shared)
	atVersions("v1.8.0", "", "")(e)
	if got := NewScene(e, Expectation{}).safe("", "Set --goaway-chance."); got != "Nothing to set yet: kube-apiserver knows no --goaway-chance before 1.18." {
		t.Error(got)
	}
	evidencetest.Program(e, "cp-1", evidence.APIServer).Version = "v1.37.2" // cp-2 is still old
	if got := NewScene(e, Expectation{}).safe("cp-1", "Set --goaway-chance."); got != "Set --goaway-chance." {
		t.Error(got)
	}
}

var adviceCases = []checkCase{
	{check: "leader-release-on-exit", name: "a unit that tells no version", of: evidencetest.Kubeadm, status: Skip, says: "its version is not known", change: atVersions("", "", "")},
	{check: "graceful-shutdown", name: "1.8 has no such flags", of: evidencetest.Kubeadm, status: Pass, says: "delay 0s", change: changes(atVersions("v1.8.0", "", ""), longStop)},
	{check: "graceful-shutdown", name: "1.21 has a delay", of: evidencetest.Kubeadm, status: Warn, node: "cp-1,cp-2,cp-3", says: "stops listening at once | First let TimeoutStopSec", change: atVersions("v1.21.14", "", "")},
	{check: "graceful-shutdown", name: "a version that is not known", of: evidencetest.Kubeadm, status: Warn, node: "cp-1,cp-2,cp-3", says: "Look at the version first", change: atVersions("", "", "")},
}

func longStop(e *evidence.Evidence) {
	for _, node := range everyServer {
		evidencetest.Program(e, node, evidence.APIServer).StopTimeout = 0
	}
}
