package parse

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// A nginxProxy is a server of the stream block with its upstream.
type nginxProxy struct {
	server, around block // around is the stream block, or http
	http           bool
	pass           string
	members        block // of the upstream; nil where there is none
	lb             *evidence.LoadBalancer
}

func newNginxProxy(server, around block) *nginxProxy {
	p := &nginxProxy{server: server, around: around}
	p.pass = p.setting("proxy_pass", "")
	p.read()
	return p
}

func (p *nginxProxy) read() {
	for _, u := range p.around["upstream"] {
		if u.arg() == p.pass {
			p.members = index(u.block)
			break
		}
	}
	p.lb = &evidence.LoadBalancer{
		ConnectTimeout: nginxTime(p.setting("proxy_connect_timeout", ""), nginxConnectTimeout),
		ServerTimeout:  nginxTime(p.setting("proxy_timeout", ""), nginxProxyTimeout),
		KeepAlive:      p.setting("proxy_socket_keepalive", "off") == "on",
		Check:          evidence.HealthCheck{Kind: "passive"},
	}
	p.lb.ClientTimeout = p.lb.ServerTimeout
	for _, l := range p.server["listen"] {
		p.listen(l)
	}
	p.addBackends()
	another := p.setting("proxy_next_upstream", "on") != "off" && p.setting("proxy_next_upstream_tries", "0") != "1"
	p.lb.Redispatch, p.lb.Tries = another && len(p.lb.Backends) > 1, 1
	if checks := p.server["health_check"]; len(checks) > 0 { // of nginx Plus
		p.lb.Check = nginxCheck(checks[0])
	}
	p.passing()
}

// listen takes one address; the same of another family is none of its own.
func (p *nginxProxy) listen(d directive) {
	address := nginxListen(d.arg())
	p.lb.Frontends = append(p.lb.Frontends, address)
	if slices.Contains(d.words, "ssl") || p.setting("ssl", "off") == "on" {
		p.lb.EndsTLS = append(p.lb.EndsTLS, address)
	}
}

// passing notes what becomes of a session between its client and a server.
func (p *nginxProxy) passing() {
	var names []string
	for _, b := range p.lb.Backends {
		names = append(names, b.Name)
	}
	if p.http {
		p.lb.HTTPMode = []string{"http {}"}
		return
	}
	if p.setting("proxy_ssl", "off") == "on" {
		p.lb.AddsTLS = names
	}
	if p.setting("proxy_protocol", "off") == "on" {
		p.lb.SendsProxy = names
	}
}

// setting is that of the server, else of the stream block.
func (p *nginxProxy) setting(name, otherwise string) string {
	for _, where := range []block{p.server, p.around} {
		if text, ok := where.setting(name); ok {
			return text
		}
	}
	return otherwise
}

// addBackends takes the servers of the upstream, or the address that is in its place.
func (p *nginxProxy) addBackends() {
	switch {
	case p.members != nil:
		for _, s := range p.members["server"] {
			p.addMember(s)
		}
		if p.lb.Check.Fall == 0 { // failures are counted of none
			p.lb.Check.Kind = "none"
		}
	case strings.Contains(p.pass, "$"):
		p.lb.Notes = append(p.lb.Notes, fmt.Sprintf("servers depend on variables: proxy_pass %s", p.pass))
	case strings.Contains(p.pass, ":"):
		p.lb.Backends = []evidence.Backend{{Name: p.pass, Address: p.pass}}
		p.lb.Check.Kind = "none" // nowhere else to go
	}
}

// addMember takes a server of an upstream, and how many failures take it out.
func (p *nginxProxy) addMember(d directive) {
	b := evidence.Backend{Name: d.arg(), Address: d.arg()}
	fails := nginxMaxFails
	for _, option := range d.words[min(2, len(d.words)):] {
		key, value, _ := strings.Cut(option, "=")
		switch key {
		case "backup":
			b.Backup = true
		case "max_fails":
			fails, _ = strconv.Atoi(value)
		case "max_conns":
			b.MaxConn = positive(value)
		case "down":
			b.Status = "MAINT"
		}
	}
	b.Checked = fails > 0
	if !b.Backup {
		p.lb.Check.Fall = max(p.lb.Check.Fall, fails)
	}
	p.lb.Backends = append(p.lb.Backends, b)
}
