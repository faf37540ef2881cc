package apply

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/runtime/systemd/systemdtest"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

func TestPeers(t *testing.T) {
	text := "0      0          10.10.10.3:8443     10.10.10.21:40122\n0      0      [::ffff:10.10.10.3]:8443 [::ffff:10.10.10.11]:51000 \n\n0 0 [fd00::3]:8443 [fd00::21]:1\nno address\n"
	if got := fmt.Sprint(peers(text)); got != "[10.10.10.21 10.10.10.11 fd00::21]" {
		t.Error(got)
	}
}

// Who is connected through a load balancer that leaves is waited for, and named when the time is over; haplane itself is not, nor is
// who is connected to something else there.
func TestClientsGone(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	own, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if !ownSockets()[netip.MustParseAddrPort(own.LocalAddr().String())] {
		t.Errorf("%s is none of ours", own.LocalAddr())
	}
	const listens = `LISTEN 0 4096 0.0.0.0:6443 0.0.0.0:* users:(("haproxy",pid=9,fd=7))
LISTEN 0 4096 [::]:8443 [::]:* users:(("haproxy",pid=9,fd=8))
LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=3,fd=3))
established
0 0 10.10.10.3:22 10.10.10.1:50000
0 0 10.10.10.3:43210 10.10.10.11:6443
0 0 127.0.0.1:6443 127.0.0.1:50001
`
	clients := "0 0 10.10.10.3:6443 10.0.0.7:40122\n0 0 [::ffff:10.10.10.3]:8443 [::ffff:10.10.10.21]:51000\n0 0 10.10.10.3:6443 10.10.10.21:51001\n"
	for name, test := range map[string]struct {
		looks []string // the last one from then on
		want  string
		waits time.Duration
	}{
		"nobody":    {[]string{listens}, "", 0},
		"goes":      {[]string{listens + clients, listens + clients, listens}, "", 2 * pollEvery},
		"stays":     {[]string{listens + clients}, "connections through lb-1 that end with it: 1 from 10.0.0.7, 2 from worker-1 10.10.10.21", goneTimeout},
		"one stays": {[]string{listens + clients, listens + clients[:strings.Index(clients, "\n")+1]}, "connections through lb-1 that end with it: 1 from 10.0.0.7", goneTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := systemdtest.New("lb-1")
				h.Answer = func([]string) (string, error) {
					now := test.looks[0]
					if len(test.looks) > 1 {
						test.looks = test.looks[1:]
					}
					return now, nil
				}
				r := onMachine(h, nil, nil)
				r.Nodes = map[string]topology.Node{"worker-1": topology.NewNode("worker-1", spec.RoleWorker, "10.10.10.21")}
				r.Waiting, r.Log, r.stopped = func(string, string) {}, slog.New(slog.DiscardHandler), make(chan struct{})
				told := ""
				r.Notice = func(_, text string) { told = text }
				began := time.Now()
				if err := clientsGone(t.Context(), r, change.Step{ID: "clients-gone@lb-1", Node: "lb-1"}); err != nil {
					t.Fatal(err)
				}
				if waited := time.Since(began); told != test.want || waited != test.waits {
					t.Errorf("told %q after %s, want %q after %s", told, waited, test.want, test.waits)
				}
			})
		})
	}
}

// onMachine is a runner that has one recorded machine.
func onMachine(h *systemdtest.Host, want, last fileset.Set) *Runner {
	name := h.Name()
	return &Runner{Cluster: &access.Cluster{Machine: func(string) machine.Machine { return h }},
		Desired: map[string]render.Machine{name: {Files: want}}, Last: map[string]render.Machine{name: {Files: last}}}
}

// A step of some files writes these, and touches no others, wanted or not; one of the last writes what is there in the end.
func TestWriteSomeFiles(t *testing.T) {
	file := func(path, text string) fileset.File { return fileset.File{Path: path, Mode: 0o644, Data: []byte(text)} }
	h := systemdtest.New("cp-1")
	want := fileset.New(file("/etc/certificate", "wide"), file("/etc/other", "new"))
	r := onMachine(h, want, fileset.New(file("/etc/certificate", "narrow"), file("/etc/other", "new")))
	seen := observed.Machine{Files: map[string]fileset.State{}, Manifest: "/etc/unwanted\n"}
	for _, test := range []struct {
		step change.Step
		want map[string]string
	}{
		{change.Step{ID: "a", Node: "cp-1", Files: []string{"/etc/certificate"}}, map[string]string{"/etc/certificate": "wide"}},
		{change.Step{ID: "b", Node: "cp-1", Last: true, Files: []string{"/etc/certificate"}}, map[string]string{"/etc/certificate": "narrow"}},
	} {
		r.looked.Store(test.step.ID, seen)
		if err := writeFiles(t.Context(), r, test.step); err != nil {
			t.Fatal(err)
		}
		files := h.Files()
		if len(files) != len(test.want) || string(files["/etc/certificate"].Data) != test.want["/etc/certificate"] {
			t.Errorf("%s: files %v", test.step.ID, files.Paths())
		}
	}
	if did := h.Commands(); len(did) > 0 {
		t.Errorf("commands %v", did)
	}
}

// kubelet ends before the pods do, and containerd after them. It can be done twice.
func TestRemoveKubelet(t *testing.T) {
	h := systemdtest.New("cp-1")
	r := onMachine(h, nil, nil)
	for range 2 {
		if err := removeKubelet(t.Context(), r, change.Step{Node: "cp-1"}); err != nil {
			t.Fatal(err)
		}
	}
	var order []string
	for _, c := range h.Commands() {
		for _, part := range []string{"stop kubelet.service", "ctr -n k8s.io tasks delete", "kube-proxy --cleanup", "stop containerd.service"} {
			if strings.Contains(c, part) {
				order = append(order, part)
			}
		}
	}
	once := []string{"stop kubelet.service", "ctr -n k8s.io tasks delete", "kube-proxy --cleanup", "stop containerd.service"}
	if !slices.Equal(order, append(slices.Clone(once), once...)) {
		t.Errorf("%q", order)
	}
}
