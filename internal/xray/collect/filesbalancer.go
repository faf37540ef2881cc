package collect

import (
	"errors"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/parse"
)

// A balancing is how the load balancer of a machine is asked for its state.
type balancing struct {
	backend string
	sockets []string
}

// loadBalancer reads the configuration of the HAProxy or nginx that balances API
// servers, if one does.
func (h *host) loadBalancer() {
	for i := range h.programs {
		var lb *evidence.LoadBalancer
		switch p := &h.programs[i]; {
		case h.machine.LoadBalancer != nil || p.inside && !p.process.box:
		case p.Name == evidence.HAProxy:
			lb = h.haproxy(p)
		case p.Name == evidence.Nginx:
			lb = h.nginx(p)
		}
		if lb != nil {
			h.machine.LoadBalancer = lb
		}
	}
}

func (h *host) haproxy(p *located) *evidence.LoadBalancer {
	files := h.haproxyFiles(p)
	var text strings.Builder
	pending := false
	for _, file := range files {
		h.onHost(p.place, file)
		one, err := h.read(p.on(file), asBalancer)
		switch pending = pending || err == errPending; {
		case err == errPending, err != nil && len(files) > 1 && isFolder(file): // an empty folder adds nothing, and is in no copy
			continue
		case err != nil:
			return h.unreadable(evidence.HAProxy, file, err)
		}
		h.file(p.place, file, asBalancer)
		text.WriteString(one + "\n")
	}
	if len(files) == 0 || pending {
		return nil
	}
	config := parse.HAProxy(files[0], text.String())
	if config.LoadBalancer == nil {
		return nil
	}
	h.balancing = balancing{config.Backend, nil}
	for _, socket := range config.Sockets {
		h.balancing.sockets = append(h.balancing.sockets, p.on(socket))
	}
	for _, file := range config.CAFiles {
		if _, err := h.stat(p.on(file), asPEM); errors.Is(err, fs.ErrNotExist) && h.machine.Way == evidence.Folder {
			h.unjudged(file, evidence.NotInCopy) // often the configuration alone is copied
		} else if !foreign(file) {
			h.pem(p.place, file, true)
		}
	}
	return config.LoadBalancer
}

// haproxyFiles are those of -f and after --, and of folders that these name: *.cfg in
// the order of their names, but for hidden ones (management guide, "Starting HAProxy").
func (h *host) haproxyFiles(p *located) []string {
	var out []string
	for _, name := range haproxyArguments(p) {
		inside := slices.DeleteFunc(h.glob(path.Clean(p.on(name))+"/*.cfg", asBalancer), func(file string) bool {
			return strings.HasPrefix(path.Base(file), ".")
		})
		if len(inside) == 0 {
			out = append(out, name)
		}
		for _, file := range inside {
			out = append(out, path.Join(name, path.Base(file)))
		}
	}
	if len(out) == 0 && p.process == nil && p.Unit == nil { // a static pod whose image knows
		out = append(out, "/usr/local/etc/haproxy/haproxy.cfg")
	}
	if len(out) == 0 {
		out = append(out, haproxyConfig)
	}
	return out
}

// haproxyArguments are the files and folders of a command line, by their whole paths.
func haproxyArguments(p *located) []string {
	var out []string
	base, rest := p.FlagOr("C", ""), false
	for i, arg := range p.Argv {
		if i > 0 && (rest || p.Argv[i-1] == "-f") && arg != "" {
			if !path.IsAbs(arg) {
				arg = path.Join(base, arg)
			}
			if path.IsAbs(arg) {
				out = append(out, arg)
			}
		}
		rest = rest || arg == "--"
	}
	return out
}

// isFolder tells a name of -f that is likely a folder's.
func isFolder(name string) bool { return path.Ext(name) == "" || strings.HasSuffix(name, ".d") }

// unreadable is a load balancer whose configuration was not read. One that is still
// to be fetched is none yet.
func (h *host) unreadable(kind, file string, err error) *evidence.LoadBalancer {
	switch {
	case err == errPending:
		return nil
	case errors.Is(err, errNotCopied):
		h.unjudged(file, evidence.NotInCopy)
		return &evidence.LoadBalancer{Kind: kind, Path: file, Err: evidence.NotInCopy}
	}
	before := len(h.missing)
	h.miss(file, err, readAsRoot)
	text := err.Error()
	if len(h.missing) > before {
		text = h.missing[before].Err
	}
	return &evidence.LoadBalancer{Kind: kind, Path: file, Err: text}
}

func (h *host) nginx(p *located) *evidence.LoadBalancer {
	file := p.FlagOr("c", nginxConfig)
	h.onHost(p.place, file)
	text, err := h.read(p.on(file), asBalancer)
	if err != nil {
		return h.unreadable(evidence.Nginx, file, err)
	}
	h.file(p.place, file, asBalancer)
	return parse.Nginx(file, h.included(p, text, file))
}

var include = regexp.MustCompile(`(?m)(^|[;{}])[ \t]*include[ \t]+["']?([^;"'\s]+)["']?[ \t]*;`)

// Bounds of what includes may add.
const (
	includedBytes  = 1 << 20
	includesNested = 5
)

// included puts files in the place of the directives that include them, but for
// those that are being included. Names are relative to the main configuration.
func (h *host) included(p *located, text string, chain ...string) string {
	return include.ReplaceAllStringFunc(text, func(directive string) string {
		parts := include.FindStringSubmatch(directive)
		pattern := parts[2]
		if !path.IsAbs(pattern) {
			pattern = path.Join(path.Dir(chain[0]), pattern)
		}
		var b strings.Builder
		b.WriteString(parts[1])
		files := h.glob(p.on(pattern), asBalancer)
		if _, err := h.stat(p.on(path.Dir(pattern)), asStat); len(files) == 0 && (errors.Is(err, errNotCopied) || !strings.ContainsAny(pattern, "*?[")) {
			return directive // and the parser says that it was not read
		}
		for _, file := range files {
			if slices.Contains(chain, file) {
				continue
			}
			if one, err := h.read(file, asBalancer); err == nil && b.Len()+len(one) < includedBytes && len(chain) < includesNested {
				b.WriteString("\n" + h.included(p, one, append(slices.Clone(chain), file)...) + "\n")
			}
		}
		return b.String()
	})
}
