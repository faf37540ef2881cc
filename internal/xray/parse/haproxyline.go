package parse

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// checks are options of which the last one says how servers are checked.
var checks = []string{"httpchk", "tcp-check", "ssl-hello-chk", "external-check", "ldap-check", "mysql-check", "pgsql-check", "redis-check",
	"smtpchk", "spop-check"}

// timeouts and options are those that matter.
var (
	timeouts = []string{"connect", "client", "server", "tunnel", "check"}
	options  = append([]string{"redispatch", "tcpka", "srvtcpka"}, checks...)
)

// settings are words of http-check that add no rule.
var settings = []string{"disable-on-404", "send-state"}

// oldTimeouts are names of before HAProxy 1.3.
var oldTimeouts = map[string]string{"contimeout": "connect", "clitimeout": "client", "srvtimeout": "server"}

// line takes one line of a section. Words it does not know are passed over.
func (p *proxy) line(words []string) {
	key, args := words[0], words[1:]
	if key == "disabled" || key == "enabled" {
		p.disabled = key == "disabled"
	}
	if len(args) == 0 {
		return
	}
	switch key {
	case "timeout":
		if len(args) > 1 && slices.Contains(timeouts, args[0]) {
			p.timeouts[args[0]] = haproxyTime(args[1])
		}
	case "contimeout", "clitimeout", "srvtimeout":
		p.timeouts[oldTimeouts[key]] = haproxyTime(args[0])
	case "retries":
		p.retries = args[0]
	case "mode":
		p.mode, p.ownMode = args[0], true
	case "balance":
		p.balance = args[0]
	case "rate-limit":
		if args[0] == "sessions" && len(args) > 1 {
			p.rate = positive(args[1])
		}
	case "maxconn":
		p.maxconn = positive(args[0])
	case "option":
		p.option(args)
	case "no":
		if args[0] == "option" && len(args) > 1 {
			p.noOption(args[1])
		}
	case "http-check", "tcp-check":
		if !slices.Contains(settings, args[0]) {
			p.rule(words)
		}
	case "default-server":
		p.server.read(args)
	case "server", "server-template":
		p.addServer(key, args)
	case "bind":
		p.limitBind(args)
		p.binds = append(p.binds, bindAddresses(args[0])...)
		if slices.Contains(args[1:], "ssl") {
			p.tlsBinds = append(p.tlsBinds, bindAddresses(args[0])...)
		}
	case "default_backend":
		p.backend = args[0]
	case "use_backend":
		p.backends = append(p.backends, args[0])
	}
}

// limitBind adds the maxconn of a bind to those before it.
func (p *proxy) limitBind(args []string) {
	n := 0
	if i := slices.Index(args, "maxconn"); i >= 0 && i+1 < len(args) {
		n = positive(args[i+1])
	}
	if n == 0 || len(p.binds) > 0 && p.bindMaxconn == 0 {
		p.bindMaxconn = 0
		return
	}
	p.bindMaxconn += n
}

// positive reads a number, 0 where it is none or negative.
func positive(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return max(n, 0)
}

func (p *proxy) option(args []string) {
	if slices.Contains(options, args[0]) {
		p.options[args[0]] = args[1:]
	}
	if slices.Contains(checks, args[0]) {
		p.check = args[0]
	}
	if args[0] == "httpchk" {
		p.rulesOfItsOwn()
	}
}

func (p *proxy) noOption(name string) {
	delete(p.options, name)
	if p.check == name {
		p.check = ""
	}
}

// rule adds one to the checks.
func (p *proxy) rule(words []string) {
	p.rulesOfItsOwn()
	p.httpCheck = append(p.httpCheck, words)
}

// rulesOfItsOwn take the place of those of the defaults, which a section loses with
// its first rule, and with its own option httpchk.
func (p *proxy) rulesOfItsOwn() {
	if !p.ownRules {
		p.httpCheck, p.ownRules = nil, true
	}
}

func (p *proxy) addServer(kind string, args []string) {
	if kind == "server-template" { // prefix, number, address
		if len(args) < 3 {
			return
		}
		args = append([]string{args[0]}, args[2:]...)
	}
	if len(args) < 2 {
		return
	}
	s := balanced{name: args[0], address: serverAddress(args[1]), options: maps.Clone(p.server)}
	s.options.read(args[2:])
	p.servers = append(p.servers, s)
}

var haproxyUnits = map[string]time.Duration{"": time.Millisecond, "us": time.Microsecond, "ms": time.Millisecond,
	"s": time.Second, "m": time.Minute, "h": time.Hour, "d": day}

// haproxyTime reads a time: a number with a unit, milliseconds without. What is
// none is 0.
func haproxyTime(text string) time.Duration {
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyz")
	n, err := strconv.ParseInt(digits, 10, 64)
	unit, ok := haproxyUnits[text[len(digits):]]
	if err != nil || !ok || n < 0 {
		return 0
	}
	if n > math.MaxInt64/int64(unit) {
		return Forever
	}
	return time.Duration(n) * unit
}
