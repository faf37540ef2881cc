package parse

import (
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// HAProxy's defaults of a check.
const (
	defaultInter = 2 * time.Second
	defaultFall  = 3
	defaultRise  = 2
)

// healthCheck is how a proxy checks a server, or the server that it follows.
func (f *haproxyFile) healthCheck(p *proxy, s balanced) evidence.HealthCheck {
	p, s = f.tracked(p, s)
	if !s.options.has("check") {
		return evidence.HealthCheck{Kind: "none"}
	}
	out := evidence.HealthCheck{
		Kind: "tcp", Timeout: p.timeouts["check"],
		Interval: s.options.time("inter", defaultInter), FastInterval: s.options.time("fastinter", 0),
		Fall: s.options.number("fall", defaultFall), Rise: s.options.number("rise", defaultRise),
	}
	if p.check != "" && p.check != "httpchk" && p.check != "tcp-check" {
		out.Option = p.check
	}
	if p.check != "httpchk" && p.has("httpchk") {
		out.Replaces = "httpchk"
	}
	connect := p.checkConnect()
	out.TLS = p.checkTLS(s, connect)
	if p.check == "httpchk" {
		out.Kind = "http"
		out.Method, out.Path = p.httpRequest()
		out.Expect = p.httpExpect()
	}
	verify := s.options["verify"]
	if verify == "" && f.verifyNone {
		verify = "none"
	}
	out.Verified = out.TLS && p.check != "ssl-hello-chk" && verify != "none" && s.options["ca-file"] != ""
	out.LogsIn = out.TLS && s.options["crt"] != ""
	if out.Verified { // the name that is sent goes before verifyhost; sni is of sessions only
		out.Name = first(after(connect, "sni"), s.options["check-sni"], s.options["verifyhost"])
	}
	return out
}

// tracked follows track, [BACKEND/]SERVER, to the server that is checked.
func (f *haproxyFile) tracked(p *proxy, s balanced) (*proxy, balanced) {
	for range maxTracked {
		backend, server, ok := strings.Cut(s.options["track"], "/")
		if !ok {
			backend, server = p.name, backend
		}
		i := slices.IndexFunc(f.proxies, func(o *proxy) bool { return o.name == backend && o.kind != "frontend" })
		if server == "" || i < 0 {
			break
		}
		j := slices.IndexFunc(f.proxies[i].servers, func(o balanced) bool { return o.name == server })
		if j < 0 {
			break
		}
		p, s = f.proxies[i], f.proxies[i].servers[j]
	}
	return p, s
}

// maxTracked ends servers that track each other.
const maxTracked = 5

// rules are those of the kind of check that counts, and of one action.
func (p *proxy) rules(action string) [][]string {
	kind := map[string]string{"httpchk": "http-check", "tcp-check": "tcp-check"}[p.check]
	var out [][]string
	for _, rule := range p.httpCheck {
		if len(rule) > 1 && rule[0] == kind && rule[1] == action {
			out = append(out, rule)
		}
	}
	return out
}

// checkConnect is the last rule that says how checks connect, nil where none does.
func (p *proxy) checkConnect() []string {
	if all := p.rules("connect"); len(all) > 0 {
		return all[len(all)-1]
	}
	return nil
}

// checkTLS reports whether checks use TLS. A connect rule says so itself, unless it
// connects as by default: by check-ssl, else as sessions do, unless checks go
// to another port or address.
func (p *proxy) checkTLS(s balanced, connect []string) bool {
	switch {
	case p.check == "ssl-hello-chk" || slices.Contains(connect, "ssl"):
		return true
	case connect != nil && !slices.Contains(connect, "default"):
		return false
	case s.options.has("check-ssl") || s.options.has("no-check-ssl"):
		return s.options.has("check-ssl")
	}
	return s.options.has("ssl") && !s.options.has("port") && !s.options.has("addr")
}

// after is the word that follows another, "" where none does.
func after(words []string, word string) string {
	if i := slices.Index(words, word); i >= 0 && i+1 < len(words) {
		return words[i+1]
	}
	return ""
}

// httpRequest is what option httpchk asks for, or http-check send. Without a method
// it is OPTIONS.
func (p *proxy) httpRequest() (method, path string) {
	method, path = "OPTIONS", "/"
	switch args := p.options["httpchk"]; {
	case len(args) == 1:
		path = args[0]
	case len(args) > 1:
		method, path = args[0], args[1]
	}
	for _, rule := range p.rules("send") {
		method = first(after(rule, "meth"), method)
		path = first(after(rule, "uri"), after(rule, "uri-lf"), path)
	}
	return method, path
}

// ruleOptions are words of an expect rule that say what is reported, not what is expected.
var ruleOptions = []string{"comment", "ok-status", "error-status", "tout-status", "on-success", "on-error", "status-code", "min-recv"}

// httpExpect is what makes the check pass.
func (p *proxy) httpExpect() string {
	var out []string
	for _, rule := range p.rules("expect") {
		var kept []string
		for i := 2; i < len(rule); i++ {
			if slices.Contains(ruleOptions, rule[i]) {
				i++
				continue
			}
			kept = append(kept, rule[i])
		}
		if len(kept) > 0 {
			out = append(out, strings.Join(kept, " "))
		}
	}
	if len(out) == 0 {
		return "status 2xx or 3xx"
	}
	return strings.Join(out, ", ")
}
