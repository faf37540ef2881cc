package collect

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// Folder looks at copies of files: of one machine's root or its /etc/kubernetes, or
// a folder with one of these for each machine, which is then named after it. It looks
// at nothing outside, and opens no key.
func Folder(dir string) ([]*evidence.Machine, []evidence.Missing) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, []evidence.Missing{folderMissing(dir, err.Error())}
	}
	defer root.Close()
	if prefix, ok := copied(root); ok {
		m, missing := folderMachine(nameOf(dir), root, prefix)
		return []*evidence.Machine{m}, missing
	}
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, []evidence.Missing{folderMissing(dir, err.Error())}
	}
	var out []*evidence.Machine
	var missing []evidence.Missing
	for _, e := range entries {
		m, lost := subFolder(root, e)
		missing = append(missing, lost...)
		if m != nil {
			out = append(out, m)
		}
	}
	if len(out)+len(missing) == 0 {
		missing = []evidence.Missing{folderMissing(dir, "no copies of /etc/kubernetes in it")}
	}
	return out, missing
}

// subFolder is nil where there is nothing of a machine.
func subFolder(root *os.Root, e fs.DirEntry) (*evidence.Machine, []evidence.Missing) {
	if !e.IsDir() {
		return nil, nil
	}
	sub, err := root.OpenRoot(e.Name())
	if err != nil {
		return nil, []evidence.Missing{folderMissing(e.Name(), err.Error())}
	}
	defer sub.Close()
	prefix, ok := copied(sub)
	inside, _ := fs.ReadDir(sub.FS(), ".")
	switch {
	case !ok && (len(inside) == 0 || strings.HasPrefix(e.Name(), ".") || e.Name() == "manifests"): // those of objects, as haplane render writes them
		return nil, nil
	case !ok:
		return nil, []evidence.Missing{folderMissing(e.Name(), "not known as a copy of files of a machine, and not looked at")}
	}
	return folderMachine(e.Name(), sub, prefix)
}

func folderMissing(source, text string) evidence.Missing {
	return evidence.Missing{Way: evidence.Folder, Source: source, Err: text,
		Fix: folderFix}
}

const folderFix = "Name a folder with a copy of a machine's root or /etc/kubernetes, or with one such folder for each machine."

func nameOf(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	return filepath.Base(dir)
}

// copied tells what a folder is a copy of: /, /etc/kubernetes, or where a load balancer has its configuration.
func copied(root *os.Root) (prefix string, ok bool) {
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { _, err := root.Stat(name); return err == nil })
	}
	switch {
	case has("etc", "usr/lib/systemd", "lib/systemd", "usr/local/etc", "opt", "var/lib"):
		return "/", true
	case !ofMachines(root) && has("manifests", "pki", "admin.conf", "kubelet.conf", "controller-manager.conf", "scheduler.conf"):
		return "/etc/kubernetes/", true
	case has("haproxy.cfg"):
		return "/etc/haproxy/", true
	case has("nginx.conf"):
		return "/etc/nginx/", true
	}
	return "", false
}

// ofMachines tells a folder with copies of roots in it.
func ofMachines(root *os.Root) bool {
	entries, _ := fs.ReadDir(root.FS(), ".")
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		_, err := root.Stat(filepath.Join(e.Name(), "etc"))
		return err == nil
	})
}

func folderMachine(name string, root *os.Root, prefix string) (*evidence.Machine, []evidence.Missing) {
	files := &copies{root: root, prefix: prefix}
	h := newHost(name, evidence.Folder, files)
	h.states = statesOfFiles(files.glob, files.target)
	h.interpret()
	h.machine.Hostname = h.hostname()
	h.nodeFiles()
	if m := h.machine; len(m.Programs)+len(m.Kubeconfigs)+len(m.Certificates)+len(h.missing) == 0 {
		text := "no manifest, unit, kubeconfig, certificate or load balancer"
		if len(m.Unbalancing) > 0 {
			text, m.Unbalancing = "no server in "+strings.Join(m.Unbalancing, ", ")+" is known as an API server", nil
		}
		if len(m.Unrecognised) > 0 {
			text += " of a program that is known here"
		}
		h.add(name, "nothing of a cluster is in it: "+text, folderFix)
	}
	return h.machine, h.missing
}

// nodeFiles names what a node has and a copy of it lacks: the unit that starts its kubelet.
// Where its manifests are is told there, too.
func (h *host) nodeFiles() {
	isNode := h.machine.Kubeconfigs["/etc/kubernetes/kubelet.conf"].Path != "" || slices.ContainsFunc(h.programs, func(p located) bool { return p.pod != "" })
	if !isNode || slices.ContainsFunc([]string{evidence.Kubelet, evidence.K0s, evidence.K3s}, func(name string) bool { return h.program(name) != nil }) {
		return
	}
	if h.masked("kubelet.service") {
		h.unjudged("kubelet.service with its drop-ins", "kubelet.service is masked")
	} else {
		h.unjudged("kubelet.service with its drop-ins", evidence.NotInCopy)
	}
	const config = "/var/lib/kubelet/config.yaml"
	if _, err := h.read(config, asText); err != nil {
		h.unjudged(config, evidence.NotInCopy)
	}
}

// hostname is what the machine of the files called itself, else its node's name.
func (h *host) hostname() string {
	if text, err := h.read("/etc/hostname", asText); err == nil {
		return strings.TrimSpace(text)
	}
	const conf, rotated = "/etc/kubernetes/kubelet.conf", "/var/lib/kubelet/pki/kubelet-client-current.pem"
	users := []string{h.machine.Kubeconfigs[conf].User}
	for _, path := range []string{conf, rotated} {
		if c := h.machine.Certificate(path); c != nil && c.Certificate != nil {
			users = append(users, c.Subject.CommonName)
		}
	}
	for _, user := range users {
		if name, ok := strings.CutPrefix(user, "system:node:"); ok {
			return name
		}
	}
	return ""
}

// tooLarge is a file that is no configuration.
func tooLarge(size int64) error {
	if size <= maxFile {
		return nil
	}
	return fmt.Errorf("larger than %d MiB", maxFile>>20)
}

var errNotRegular = errors.New("not a regular file")
