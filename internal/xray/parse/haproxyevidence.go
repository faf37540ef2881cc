package parse

import (
	"cmp"
	"slices"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// loadBalancer is the evidence of a proxy with servers.
func (f *haproxyFile) loadBalancer(p *proxy, path string) *evidence.LoadBalancer {
	out := &evidence.LoadBalancer{
		Kind: evidence.HAProxy, Path: path,
		ConnectTimeout: p.timeouts["connect"], ServerTimeout: p.timeouts["server"], TunnelTimeout: p.timeouts["tunnel"],
		Redispatch: p.redispatches(), KeepAlive: p.has("tcpka") || p.has("srvtcpka"),
		Tries: p.tries(), Limits: evidence.Limits{Process: f.maxconn, Files: f.files, PerSecond: f.rate},
	}
	fronts := f.frontsOf(p)
	f.passing(p, fronts, out)
	for _, front := range fronts {
		out.Limits.Frontend = fewer(out.Limits.Frontend, fewer(front.maxconn, front.bindMaxconn))
		out.Limits.PerSecond = fewer(out.Limits.PerSecond, front.rate)
		out.Frontends = append(out.Frontends, front.binds...)
		out.ClientTimeout = shorter(out.ClientTimeout, front.timeouts["client"])
	}
	out.Backends = p.serversAt(portOfAPI(out.Frontends))
	out.Check.Kind = "none"
	model := p.model()
	if model == nil {
		return out
	}
	out.Check = f.healthCheck(p, *model)
	out.TCPUserTimeout = model.options.time("tcp-ut", 0)
	out.CutDeadSessions = p.cutsSessions()
	if p.check == "external-check" {
		out.Notes = append(out.Notes, "servers are checked by a command, which was not looked at")
	}
	return out
}

// serversAt are the servers for clients that connect to port.
func (p *proxy) serversAt(port string) []evidence.Backend {
	var out []evidence.Backend
	for _, s := range p.servers {
		b := evidence.Backend{Name: s.name, Address: mapped(s.address, port),
			Backup: s.options.has("backup"), Checked: s.options.has("check") || s.options.has("track"), MaxConn: s.options.number("maxconn", 0)}
		if s.options.has("disabled") {
			b.Status = "MAINT"
		} else if s.options["weight"] == "0" { // it gets no new connections
			b.Status, b.Detail = "MAINT", "weight 0"
		}
		out = append(out, b)
	}
	return out
}

func (p *proxy) has(option string) bool {
	_, ok := p.options[option]
	return ok
}

// redispatches reports whether a connect that failed goes to another server: not
// without a second try, and not after every zeroth.
func (p *proxy) redispatches() bool {
	args := p.options["redispatch"]
	return p.has("redispatch") && p.retries != "0" && (len(args) == 0 || args[0] != "0")
}

// cutsSessions reports whether all servers end their sessions when they are marked
// down. Backups count where there are no others.
func (p *proxy) cutsSessions() bool {
	backups := !slices.ContainsFunc(p.servers, func(s balanced) bool { return !s.options.has("backup") })
	return !slices.ContainsFunc(p.servers, func(s balanced) bool {
		return s.options.has("backup") == backups && s.options["on-marked-down"] != "shutdown-sessions"
	})
}

// shorter of two time limits, of which 0 is none.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return cmp.Or(a, b)
	}
	return min(a, b)
}
