package apply

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/runtime/systemd/systemdtest"
)

func TestPeers(t *testing.T) {
	text := "0      0          10.10.10.3:8443     10.10.10.21:40122\n0      0      [::ffff:10.10.10.3]:8443 [::ffff:10.10.10.11]:51000 \n\n0 0 [fd00::3]:8443 [fd00::21]:1\nno address\n"
	if got := fmt.Sprint(peers(text)); got != "[10.10.10.21 10.10.10.11 fd00::21]" {
		t.Error(got)
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
