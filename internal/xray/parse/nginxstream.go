package parse

import (
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// maxServers bounds the time that a hostile file takes.
const maxServers = 100

// Nginx reads a configuration whose stream block balances API servers, or whose http block
// does; nil where none does. Included files are not followed, and are named in Notes.
func Nginx(path, text string) *evidence.LoadBalancer {
	file := index(directives(text))
	best := file.balancing("stream", newNginxProxy)
	if best == nil {
		best = file.balancing("http", newHTTPProxy)
	}
	if best == nil {
		return nil
	}
	best.lb.Kind, best.lb.Path, best.lb.Limits = evidence.Nginx, path, file.limits(best)
	for _, where := range []block{file, best.around, best.server, best.members} {
		for _, d := range where["include"] {
			best.lb.Notes = append(best.lb.Notes, fmt.Sprintf("%s is included and was not read", d.arg()))
		}
	}
	return best.lb
}

// balancing is the server of the blocks of a name that looks most like that of the API.
func (b block) balancing(name string, read func(server, around block) *nginxProxy) *nginxProxy {
	var blocks [][]directive
	for _, s := range b[name] {
		blocks = append(blocks, s.block)
	}
	around := index(blocks...)
	var best *nginxProxy
	most := 0
	for _, server := range around["server"][:min(len(around["server"]), maxServers)] {
		if p := read(index(server.block), around); p != nil && p.likeness() > most {
			best, most = p, p.likeness()
		}
	}
	return best
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
