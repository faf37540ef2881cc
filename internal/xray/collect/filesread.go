package collect

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/parse"
)

const (
	readAsRoot = "Let the user that logs in read it, or log in as root."
	putBack    = "Put the file back: what names it does not start again without it."
	copyToo    = "Copy the file as well, or put it back on the machine where it is gone: what names it does not start again without it."
	copyItself = "Copy the file itself, readable for whoever looks, and look again."
)

// onHost notes where the file of a container is on the machine.
func (h *host) onHost(p place, name string) {
	if at := p.on(name); at != name && !p.inside {
		h.machine.OnHost[name] = at
	}
}

// shown is the path of a file on the machine, and the one in the container.
func (p place) shown(name string) string {
	if at := p.on(name); at != name && !p.inside {
		return at + " (in its container " + name + ")"
	}
	return name
}

// file notes mode and owner of a file, if it is there. In a container they say
// nothing.
func (h *host) file(p place, name string, how kind) {
	h.onHost(p, name)
	if _, done := h.machine.Files[name]; done || p.inside {
		return
	}
	f, err := h.stat(p.on(name), how)
	if err != nil {
		return
	}
	f.Path = name
	h.machine.Files[name] = f
}

// pem looks at certificates or public keys. It has to be there where something needs it.
func (h *host) pem(p place, name string, needed bool) {
	h.onHost(p, name)
	if _, done := h.machine.Certificates[name]; done || strings.HasSuffix(name, ".pub") && len(h.machine.Files[name].PublicKeys) > 0 {
		return
	}
	text, err := h.read(p.on(name), asPEM)
	if err != nil {
		if needed && !p.inside || !errors.Is(err, fs.ErrNotExist) {
			h.miss(p.shown(name), err, putBack)
		}
		return
	}
	h.file(p, name, asPEM)
	if keys, err := parse.PublicKeys(text); err == nil && !strings.Contains(text, "CERTIFICATE") {
		f := h.machine.Files[name]
		f.Path, f.PublicKeys = name, keys
		h.machine.Files[name] = f
		return
	}
	if strings.HasSuffix(name, ".pub") {
		h.add(p.shown(name), "no public key in it", putBack)
		return
	}
	h.machine.Certificates[name] = parse.Certificates(text)
}

func (h *host) digested(p place, name string) {
	if h.file(p, name, asDigest); p.inside {
		return
	}
	if _, err := h.stat(p.on(name), asDigest); err != nil {
		h.miss(p.shown(name), err, putBack)
	}
}

// configuration reads what --config names.
func (h *host) configuration(p *located) {
	if !slices.Contains(withConfig, p.Name) {
		return
	}
	for _, name := range h.configFiles(p) {
		text, err := h.read(p.on(name), asText)
		if p.inside && err != nil {
			return
		}
		if err != nil {
			h.miss(p.shown(name), err, readAsRoot)
			return
		}
		h.file(p.place, name, asText)
		config, err := parse.Config(text)
		if err != nil {
			h.miss(p.shown(name), err, "Mend it: "+p.Name+" cannot read it either when it starts again.")
			continue
		}
		p.Config = merged(p.Config, config)
	}
}

// configFiles are the configuration file of a program and, for a kubelet, those of the
// folder that --config-dir names, in the order in which they change it.
func (h *host) configFiles(p *located) []string {
	flag := "config"
	if p.Name == evidence.EtcdServer {
		flag = "config-file"
	}
	var out []string
	if name, ok := p.Flag(flag); ok && strings.HasPrefix(name, "/") {
		out = append(out, name)
	}
	if dir, ok := p.Flag("config-dir"); ok && p.Name == evidence.Kubelet && p.on(dir) == dir {
		out = append(out, h.glob(dir+"/*.conf", asText)...)
	}
	return out
}

// merged is a configuration with another over it: maps are merged, all else is replaced.
func merged(config, over map[string]any) map[string]any {
	if config == nil {
		return over
	}
	for key, value := range over {
		below, isMap := config[key].(map[string]any)
		if inner, ok := value.(map[string]any); ok && isMap {
			value = merged(below, inner)
		}
		config[key] = value
	}
	return config
}

// withConfig are programs whose configuration file is YAML.
var withConfig = []string{evidence.Kubelet, evidence.KubeProxy, evidence.Scheduler, evidence.EtcdServer, evidence.K3s, evidence.K0s}

// kubeconfig reads one, and the certificates in it and those that it names. One that
// nothing needs is passed over where it is not there, or is none.
func (h *host) kubeconfig(p place, name string, needed bool) {
	if _, done := h.machine.Kubeconfigs[name]; done {
		return
	}
	text, err := h.read(p.on(name), asText)
	if err != nil {
		if needed && !p.inside || !errors.Is(err, fs.ErrNotExist) {
			h.miss(p.shown(name), err, putBack)
		}
		return
	}
	h.onHost(p, name)
	k := parse.Kubeconfig(name, text)
	if !needed && k.Err != "" && !strings.Contains(text, "current-context") && !strings.Contains(text, "clusters:") {
		return
	}
	h.machine.Kubeconfigs[name] = k.Kubeconfig
	h.file(p, name, asText)
	beside := func(file string) string {
		if file != "" && !path.IsAbs(file) {
			return path.Join(path.Dir(name), file)
		}
		return file
	}
	if all := slices.Concat(k.ClientCerts, k.CACerts); len(all) > 0 {
		h.machine.Certificates[name] = all
	}
	h.trusts[name] = trust{parse.PEM(k.CACerts), beside(k.CAPath)}
	if p.inside {
		return
	}
	for _, file := range []string{beside(k.ClientPath), beside(k.CAPath)} {
		if file != "" && !foreign(file) {
			h.pem(p, file, true)
		}
	}
	if k.KeyPath != "" && beside(k.KeyPath) != beside(k.ClientPath) {
		h.file(p, beside(k.KeyPath), asStat)
	}
}
