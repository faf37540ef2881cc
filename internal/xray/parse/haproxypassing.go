package parse

import (
	"slices"
	"strconv"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// frontsOf are the sections through which clients of the API come to a proxy. Where servers
// have no port, it is the one that the client connected to: then sections on other ports lead
// to other services on the same machines, and are none of them.
func (f *haproxyFile) frontsOf(p *proxy) []*proxy {
	all := f.leadingTo(p)
	if len(all) < 2 || !slices.ContainsFunc(p.servers, isPortless) {
		return all
	}
	for _, isAPI := range []func(*proxy) bool{
		func(x *proxy) bool { return x.isOfAPI(p) },
		func(x *proxy) bool { return nameOfAPI(x.name) },
	} {
		if found := slices.DeleteFunc(slices.Clone(all), func(x *proxy) bool { return !isAPI(x) }); len(found) > 0 {
			return found
		}
	}
	return all
}

// passing notes what becomes of a session between its client and a server.
func (f *haproxyFile) passing(p *proxy, fronts []*proxy, out *evidence.LoadBalancer) {
	sections := slices.Clone(fronts)
	if p.kind == "backend" {
		sections = append(sections, p)
	}
	for _, s := range sections {
		if s.mode == "http" {
			out.HTTPMode = append(out.HTTPMode, s.title())
		}
	}
	for _, front := range fronts {
		out.EndsTLS = append(out.EndsTLS, front.tlsBinds...)
	}
	for _, s := range p.servers {
		if s.options.has("ssl") {
			out.AddsTLS = append(out.AddsTLS, s.name)
		}
		if slices.ContainsFunc(flags, func(w string) bool { return strings.HasPrefix(w, "send-proxy") && s.options.has(w) }) {
			out.SendsProxy = append(out.SendsProxy, s.name)
		}
	}
}

func (p *proxy) title() string {
	if p.ownMode {
		return p.kind + " " + p.name
	}
	return p.kind + " " + p.name + " (by its defaults)"
}

// defaultRetries of HAProxy.
const defaultRetries = 3

// tries are the connects to one server. With round robin, the default, HAProxy goes to another
// one at once where it may; else on the last retry, or on each so many-th.
func (p *proxy) tries() int {
	retries := defaultRetries
	if n, err := strconv.Atoi(p.retries); err == nil && n >= 0 {
		retries = n
	}
	if !p.redispatches() {
		return retries + 1
	}
	after := -1
	if args := p.options["redispatch"]; len(args) > 0 {
		after, _ = strconv.Atoi(args[0])
	}
	switch {
	case slices.Contains([]string{"", "roundrobin", "static-rr", "random"}, p.balance) && len(p.servers) > 1:
		return 1
	case after > 0:
		return min(after, retries+1)
	}
	return max(retries+1+after, 1)
}

// fewer of two limits, of which 0 is none.
func fewer(a, b int) int {
	if a == 0 || b == 0 {
		return a + b
	}
	return min(a, b)
}
