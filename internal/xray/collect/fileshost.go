package collect

import (
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/parse"
)

// A host is a machine while its files are interpreted: the same for a live one and
// for copies of its files.
type host struct {
	shelf
	machine   *evidence.Machine
	missing   []evidence.Missing
	processes []process
	states    []parse.UnitState // of systemd; of a folder, as the files have it
	seen      []unit            // those whose files were read
	programs  []located
	trusts    map[string]trust // by kubeconfig
	balancing balancing
	suspects  []suspect
	unknown   []evidence.Unrecognised // what may be among the suspects, too
}

// A process is one of a program of the cluster.
type process struct {
	pid  int
	name string
	argv []string
	unit string // kubelet.service; "" where it is in none
	pod  bool   // of a pod
	box  bool   // of a container that no kubelet runs
	exe  string // identifies the file that it runs
}

// A trust is with what a client verifies the API server: certificates, or their file.
type trust struct{ pem, path string }

func (t trust) known() bool { return t != trust{} }

// newHost is one of which nothing is known yet.
func newHost(name string, way evidence.Way, files shelf) *host {
	return &host{shelf: files, trusts: map[string]trust{}, machine: &evidence.Machine{
		Name: name, Way: way,
		Files: map[string]evidence.File{}, OnHost: map[string]string{}, Certificates: map[string][]evidence.Certificate{}, Kubeconfigs: map[string]evidence.Kubeconfig{},
	}}
}

// interpret fills the machine with what its processes and files tell.
func (h *host) interpret() {
	h.programs = h.findPrograms()
	for i := range h.programs {
		h.openshift(&h.programs[i])
		h.configuration(&h.programs[i])
		h.filesOf(&h.programs[i])
	}
	h.usualFiles()
	h.loadBalancer()
	h.otherBalancers()
	h.keepalived()
	for _, p := range h.programs {
		h.machine.Programs = append(h.machine.Programs, p.Program)
	}
}

// usualFiles are those that are there whatever flags say: spare kubeconfigs,
// certificates that wait to be used, keys of CAs.
func (h *host) usualFiles() {
	for _, pattern := range kubeconfigs {
		for _, path := range h.glob(pattern, asText) {
			h.kubeconfig(onHost, path, false)
		}
	}
	for _, pattern := range certificates {
		for _, path := range h.glob(pattern, asPEM) {
			h.pem(onHost, path, false)
		}
	}
	for _, pattern := range keys {
		for _, path := range h.glob(pattern, asStat) {
			h.file(onHost, path, asStat)
		}
	}
}

// miss notes what could not be looked at. What is still to be fetched is not missing.
func (h *host) miss(source string, err error, fix string) {
	switch {
	case errors.Is(err, errPending):
		return
	case errors.Is(err, errNotCopied):
		h.unjudged(source, evidence.NotInCopy)
		return
	case errors.Is(err, fs.ErrNotExist) && h.machine.Way == evidence.Folder && namedKey(source): // whoever copies leaves keys where they are
		return
	}
	text := err.Error()
	if errors.Is(err, fs.ErrNotExist) {
		text = "no such file"
	}
	h.add(source, strings.TrimSpace(text), h.remedy(err, fix))
}

// remedy is the fix for a file that cannot be read: nobody logs in to a copy, and no login
// helps where there is no file.
func (h *host) remedy(err error, fix string) string {
	gone, copied := errors.Is(err, fs.ErrNotExist), h.machine.Way == evidence.Folder
	switch {
	case fix != readAsRoot && fix != putBack:
		return fix
	case gone && copied:
		return copyToo
	case gone:
		return putBack
	case copied:
		return copyItself
	}
	return fix
}

// namedKey tells a private key by its file's name.
func namedKey(file string) bool {
	return strings.HasSuffix(file, ".key") || strings.HasSuffix(file, "key.pem")
}

// add notes something missing once.
func (h *host) add(source, text, fix string) {
	for _, m := range h.missing {
		if m.Source == source && m.Err == text {
			return
		}
	}
	h.missing = append(h.missing, evidence.Missing{Way: h.machine.Way, Node: h.machine.Name, Source: source, Err: text, Fix: fix})
}

// unjudged notes once what was not looked at, and why.
func (h *host) unjudged(source, why string) {
	if u := (evidence.Unjudged{Source: source, Why: why}); !slices.Contains(h.machine.Unjudged, u) {
		h.machine.Unjudged = append(h.machine.Unjudged, u)
	}
}
