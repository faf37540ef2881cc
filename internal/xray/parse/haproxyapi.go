package parse

import (
	"slices"
	"strings"
)

// apiServers finds the proxy whose servers are API servers: by what its checks ask
// for, the ports of its servers and frontends, and its name. nil where none is.
func (f *haproxyFile) apiServers() *proxy {
	var best *proxy
	most := 0
	for _, p := range f.proxies {
		if n := f.likeness(p); n > most {
			best, most = p, n
		}
	}
	return best
}

func (f *haproxyFile) likeness(p *proxy) int {
	if p.kind == "frontend" || p.disabled || len(p.servers) == 0 && !nameOfAPI(p.name) {
		return 0
	}
	n := 0
	if _, path := p.httpRequest(); p.check == "httpchk" && probesAPI(path) {
		n += 8
	}
	if slices.ContainsFunc(p.servers, func(s balanced) bool { return strings.HasSuffix(s.address, apiPort) }) {
		n += 4
	}
	for _, front := range f.leadingTo(p) {
		if front.isOfAPI(p) {
			n += 4
		}
	}
	if nameOfAPI(p.name) || slices.ContainsFunc(p.servers, func(s balanced) bool { return nameOfAPI(s.name) }) {
		n++
	}
	return n
}

// isOfAPI tells a section that listens on the port of the API, or whose port leads to that of
// servers which have none of their own.
func (p *proxy) isOfAPI(backend *proxy) bool {
	port := portOfAPI(p.binds)
	return slices.ContainsFunc(p.binds, func(a string) bool { return strings.HasSuffix(a, apiPort) }) ||
		slices.ContainsFunc(backend.servers, func(s balanced) bool { return isPortless(s) && strings.HasSuffix(mapped(s.address, port), apiPort) })
}

// isPortless tells a server whose port follows from the one that the client connected to.
func isPortless(s balanced) bool {
	_, port := hostPort(s.address)
	return port == "" || port[0] == '+' || port[0] == '-'
}

// apiPort is where API servers serve, unless told otherwise.
const apiPort = ":6443"

func probesAPI(path string) bool {
	path, _, _ = strings.Cut(path, "?")
	return slices.ContainsFunc([]string{"/readyz", "/healthz", "/livez"}, func(p string) bool {
		return path == p || strings.HasPrefix(path, p+"/")
	})
}

func nameOfAPI(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"apiserver", "api-server", "kube-api", "kubeapi", "kubernetes", "k8s-api"}, func(s string) bool {
		return strings.Contains(name, s)
	})
}

// leadingTo are the sections through which a proxy is reached: itself where it
// listens, and frontends that send to it.
func (f *haproxyFile) leadingTo(p *proxy) []*proxy {
	var out []*proxy
	for _, other := range f.proxies {
		itself := other == p && p.kind == "listen"
		sends := other != p && (other.backend == p.name || slices.Contains(other.backends, p.name))
		if !other.disabled && other.kind != "backend" && (itself || sends) {
			out = append(out, other)
		}
	}
	return out
}
