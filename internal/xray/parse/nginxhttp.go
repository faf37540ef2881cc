package parse

import (
	"strings"
)

// newHTTPProxy is a server of the http block that passes everything on to API servers: one that
// has a part of its own paths answered by the API is no load balancer of it.
func newHTTPProxy(server, around block) *nginxProxy {
	p := &nginxProxy{server: server, around: around, http: true}
	for _, l := range server["location"] {
		if l.arg() != "/" {
			continue
		}
		inside := index(l.block)
		url, ok := inside.setting("proxy_pass")
		if !ok {
			continue
		}
		scheme, rest, _ := strings.Cut(url, "://")
		p.pass, _, _ = strings.Cut(rest, "/")
		for name, all := range inside { // goes before what is around it
			server[name] = append(server[name], all...)
		}
		p.read()
		for _, b := range p.lb.Backends {
			if scheme == "https" {
				p.lb.AddsTLS = append(p.lb.AddsTLS, b.Name)
			}
		}
		return p
	}
	return nil
}
