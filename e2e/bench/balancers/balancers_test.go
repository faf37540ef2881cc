package balancers

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/probe"
)

var servers = []Server{
	{"cp-1", netip.MustParseAddrPort("127.0.0.11:6443")},
	{"cp-2", netip.MustParseAddrPort("127.0.0.12:6443")},
}

const rendered = `global
    stats socket /run/haproxy/admin.sock mode 600 level admin
    lua-load /etc/haproxy/loadbalancer.lua
defaults
    mode tcp
    timeout connect 1s
    timeout client 1s
    timeout server 1s
frontend kube-apiserver
    bind :6443
    default_backend kube-apiserver
backend kube-apiserver
    server cp-1 127.0.0.11:6443 check
    server cp-2 127.0.0.12:6443 check
`

func renderedBy(t *testing.T, text string) Options {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "etc", "haproxy")
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "errors"), 0o755), os.WriteFile(filepath.Join(dir, "haproxy.cfg"), []byte(text), 0o644),
		os.WriteFile(filepath.Join(dir, "loadbalancer.lua"), []byte("-- nothing"), 0o644)); err != nil {
		t.Fatal(err)
	}
	return Options{Rendered: root, Servers: servers}
}

// Each program finds its configuration correct, and it leads to the servers.
func TestConfigurations(t *testing.T) {
	for _, c := range contenders {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			text, err := c.config(renderedBy(t, rendered), setting{Listen: "127.0.0.1:17443", Dir: dir, Servers: servers})
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"127.0.0.1:17443", "127.0.0.11:6443", "127.0.0.12:6443"} {
				if strings.Count(string(text), want) != 1 {
					t.Errorf("%s is in it %d times, want 1", want, strings.Count(string(text), want))
				}
			}
			if strings.Contains(string(text), "/etc/") || strings.Contains(string(text), "/run/") {
				t.Errorf("it uses files of the host:\n%s", text)
			}
			if _, err := os.Stat(c.argv[0]); err != nil {
				t.Skip(err)
			}
			file := filepath.Join(dir, "config")
			if err := os.WriteFile(file, text, 0o644); err != nil {
				t.Fatal(err)
			}
			argv := []string{c.argv[0], "-c", "-f", file}
			if strings.HasSuffix(c.argv[0], "nginx") {
				argv = []string{c.argv[0], "-t", "-e", "stderr", "-c", file}
			}
			if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
				t.Errorf("%v: %v\n%s\n%s", argv, err, out, text)
			}
		})
	}
}

func TestOursBindsOnce(t *testing.T) {
	_, err := ours(renderedBy(t, strings.Replace(rendered, "    bind :6443\n", "    bind :6443\n    bind :443\n", 1)), setting{Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "2 lines that bind") {
		t.Errorf("error %v", err)
	}
}

func TestSample(t *testing.T) {
	lane := func(name string, failed int, firstError string) probe.LaneReport {
		l := probe.LaneReport{Name: name, Requests: 100 + failed, Failed: failed, LongestGap: 7, Percentiles: probe.Percentiles{P99: 3}}
		if firstError != "" {
			l.Outages = []probe.Outage{{FirstError: firstError}, {FirstError: "later"}}
		}
		return l
	}
	report := probe.Report{Lanes: []probe.LaneReport{lane("kind open cp-1", 1, ""), lane("kind open cp-2", 4, "EOF"), lane("kind open cp-3", 2, ""),
		lane("kind new", 8, "refused"), lane("haplane new", 16, ""), lane("haplane open cp-2", 32, "")}}
	want := Sample{Fault: "killed", Server: "cp-2", Balancer: "kind", New: Figures{108, 8, 7, 3, "refused"}, Open: Figures{104, 4, 7, 3, "EOF"}, Elsewhere: 3}
	if d := cmp.Diff(want, sample(report, "kind", Fault{Name: "killed"}, servers[1])); d != "" {
		t.Error("-want +got\n" + d)
	}
}

func TestPrint(t *testing.T) {
	var samples []Sample
	for round, failed := range []int{4, 1, 3} {
		for _, who := range []string{Ours, "kind"} {
			samples = append(samples, Sample{Round: round + 1, Fault: "killed", Balancer: who, New: Figures{Failed: failed, Gap: 20, P99: 5},
				Open: Figures{Failed: 2 * failed, Gap: 30, P99: 6}, Elsewhere: 1})
			failed *= 10
		}
	}
	samples = append(samples, Sample{Round: 1, Fault: "gone", Balancer: Ours})
	var w strings.Builder
	if err := Print(&w, samples); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(w.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	head := " NEW: FAILED GAP P99 OPEN: FAILED GAP P99 ELSEWHERE NEW, EACH ROUND OPEN, EACH ROUND"
	want := []string{"KILLED" + head, "haplane 3 20 ms 5 ms 6 30 ms 6 ms 1 4 1 3 8 2 6", "kind 30 20 ms 5 ms 60 30 ms 6 ms 1 40 10 30 80 20 60", "",
		"GONE" + head, "haplane 0 0 ms 0 ms 0 0 ms 0 ms 0 0 0", ""}
	if d := cmp.Diff(want, got); d != "" {
		t.Error("-want +got\n" + d)
	}
}

// A fault is put right and its server is ready again, whatever became of it.
func TestFaults(t *testing.T) {
	for name, fail := range map[string]bool{"injected": false, "half injected": true} {
		t.Run(name, func(t *testing.T) {
			var did []string
			note := func(what string) error { did = append(did, what); return nil }
			acts := Acts{
				Shell: func(_ context.Context, s Server, line string) error {
					if err := note(s.Name + ": " + line); fail && !strings.Contains(line, "start") && !strings.Contains(line, "CONT") {
						return errors.Join(err, errors.New("cut off"))
					}
					return nil
				},
				Unplug: func(_ context.Context, s Server) (func(context.Context) error, error) {
					return func(context.Context) error { return note("plug " + s.Name) }, note("unplug " + s.Name)
				},
				Ready: func(_ context.Context, s Server) error { return note(s.Name + " is ready") },
			}
			for _, f := range acts.Faults() {
				f.Lasts = 0
				if err := happen(t.Context(), f, servers[1]); (err != nil) != (fail && f.Name != "gone from the network") {
					t.Errorf("%s: error %v", f.Name, err)
				}
			}
			want := []string{
				"cp-2: systemctl stop kube-apiserver", "cp-2: systemctl start kube-apiserver", "cp-2 is ready",
				"cp-2: systemctl kill --signal=KILL kube-apiserver; systemctl stop kube-apiserver", "cp-2: systemctl start kube-apiserver", "cp-2 is ready",
				"cp-2: systemctl kill --signal=STOP kube-apiserver", "cp-2: systemctl kill --signal=CONT kube-apiserver", "cp-2 is ready",
				"unplug cp-2", "plug cp-2", "cp-2 is ready",
			}
			if d := cmp.Diff(want, did); d != "" {
				t.Error("-want +got\n" + d)
			}
		})
	}
}

func TestGuide(t *testing.T) {
	text, err := Guide("*:6443", []Server{{Name: "cp-1", Address: netip.MustParseAddrPort("10.0.0.1:6443")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"bind *:6443\n", "server cp-1 10.0.0.1:6443 check", "uri /healthz"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
