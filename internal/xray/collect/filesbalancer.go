package collect

import (
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
		case h.machine.LoadBalancer != nil || p.inside:
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
	for _, file := range files {
		one, err := h.read(p.on(file), asBalancer)
		if err != nil {
			return h.unreadable(evidence.HAProxy, file, err)
		}
		h.file(p.place, file, asBalancer)
		text.WriteString(one + "\n")
	}
	if len(files) == 0 {
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
		if !foreign(file) {
			h.pem(p.place, file, true)
		}
	}
	return config.LoadBalancer
}

// haproxyFiles are those of -f, and of folders that it names.
func (h *host) haproxyFiles(p *located) []string {
	var out []string
	for i, arg := range p.Argv[:max(len(p.Argv)-1, 0)] {
		if arg != "-f" && arg != "--" || !strings.HasPrefix(p.Argv[i+1], "/") {
			continue
		}
		if name := p.Argv[i+1]; path.Ext(name) == "" || strings.HasSuffix(name, ".d") {
			if inside := h.glob(p.on(name)+"/*.cfg", asBalancer); len(inside) > 0 {
				out = append(out, inside...)
				continue
			}
		}
		out = append(out, p.Argv[i+1])
	}
	if len(out) == 0 && p.process == nil && p.Unit == nil { // a static pod whose image knows
		out = append(out, "/usr/local/etc/haproxy/haproxy.cfg")
	}
	if len(out) == 0 {
		out = append(out, haproxyConfig)
	}
	return out
}

// unreadable is a load balancer whose configuration was not read. One that is still
// to be fetched is none yet.
func (h *host) unreadable(kind, file string, err error) *evidence.LoadBalancer {
	if err == errPending {
		return nil
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
		for _, file := range h.glob(p.on(pattern), asBalancer) {
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
