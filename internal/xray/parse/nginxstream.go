package parse

import (
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// maxServers bounds the time that a hostile file takes.
const maxServers = 100

// Nginx reads a configuration whose stream block balances API servers; nil where
// none does. Included files are not followed, and are named in Notes.
func Nginx(path, text string) *evidence.LoadBalancer {
	file := index(directives(text))
	var blocks [][]directive
	for _, s := range file["stream"] {
		blocks = append(blocks, s.block)
	}
	stream := index(blocks...)
	var best *nginxProxy
	most := 0
	for _, server := range stream["server"][:min(len(stream["server"]), maxServers)] {
		p := newNginxProxy(index(server.block), stream)
		if n := p.likeness(); n > most {
			best, most = p, n
		}
	}
	if best == nil {
		return nil
	}
	best.lb.Kind, best.lb.Path = evidence.Nginx, path
	for _, where := range []block{file, stream, best.server, best.members} {
		for _, d := range where["include"] {
			best.lb.Notes = append(best.lb.Notes, fmt.Sprintf("%s is included and was not read", d.arg()))
		}
	}
	return best.lb
}

// likeness is how much a server looks like that of the API.
func (p *nginxProxy) likeness() int {
	n := 0
	if slices.ContainsFunc(p.lb.Backends, func(b evidence.Backend) bool { return strings.HasSuffix(b.Address, apiPort) }) {
		n += 4
	}
	if slices.ContainsFunc(p.lb.Frontends, func(a string) bool { return strings.HasSuffix(a, apiPort) }) {
		n += 4
	}
	if nameOfAPI(p.pass) {
		n++
	}
	return n
}
