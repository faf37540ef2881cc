package parse

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// An HAProxyConfig is what an x-ray takes from HAProxy's configuration.
type HAProxyConfig struct {
	LoadBalancer *evidence.LoadBalancer // nil where nothing balances API servers
	Backend      string                 // whose servers those are
	Sockets      []string               // paths of the runtime API
	CAFiles      []string               // with which servers are verified
}

// HAProxy reads a configuration, or several after one another, as with several -f.
// It takes what it knows and passes over the rest: HAProxy has checked it.
func HAProxy(path, text string) HAProxyConfig {
	f := haproxyFile{defaults: map[string]*proxy{}}
	for line := range strings.Lines(text) {
		if words := haproxyWords(line); len(words) > 0 {
			f.line(words)
		}
	}
	out := HAProxyConfig{Sockets: f.sockets}
	if p := f.apiServers(); p != nil {
		out.LoadBalancer, out.Backend = f.loadBalancer(p, path), p.name
		out.CAFiles = p.caFiles(f.caBase)
	}
	return out
}

// A proxy is a section of a configuration with what it takes from its defaults.
type proxy struct {
	kind, name string // frontend, backend, listen or defaults
	timeouts   map[string]time.Duration
	options    map[string][]string
	check      string     // the option that says how servers are checked, "" for a connect
	httpCheck  [][]string // rules
	ownRules   bool       // not those of the defaults
	retries    string
	mode       string // "" is tcp
	ownMode    bool   // not that of the defaults
	balance    string
	maxconn    int
	// bindMaxconn is the most that the binds take together, 0 where one of them has no limit.
	bindMaxconn int
	rate        int // connections a second
	disabled    bool
	server      serverOptions // default-server
	servers     []balanced
	binds       []string
	tlsBinds    []string // those of binds that take TLS apart
	backend     string   // where a frontend sends to
	backends    []string // where else, on conditions
}

// inherit starts a section from its defaults.
func (p *proxy) inherit(kind, name string) *proxy {
	out := *p
	out.kind, out.name, out.ownRules, out.ownMode = kind, name, false, false
	out.timeouts, out.options, out.server = maps.Clone(p.timeouts), maps.Clone(p.options), maps.Clone(p.server)
	out.servers, out.binds, out.tlsBinds, out.backends, out.bindMaxconn = nil, nil, nil, nil, 0
	out.httpCheck = slices.Clip(p.httpCheck) // shared as long as nobody appends
	return &out
}

// A haproxyFile while it is read.
type haproxyFile struct {
	global     bool
	verifyNone bool // ssl-server-verify none
	maxconn    int
	files      int // ulimit-n
	rate       int // connections a second
	caBase     string
	sockets    []string
	current    *proxy // nil in sections of no interest
	last       *proxy // the last defaults
	defaults   map[string]*proxy
	proxies    []*proxy
}

// maxProxies bounds the time that a hostile file takes.
const maxProxies = 1000

// sections are all that end the one before.
var sections = []string{"global", "defaults", "frontend", "backend", "listen", "userlist", "peers", "resolvers", "mailers", "program",
	"http-errors", "ring", "log-forward", "log-profile", "cache", "fcgi-app", "crt-store", "traces", "acme", "healthcheck"}

func (f *haproxyFile) line(words []string) {
	if slices.Contains(sections, words[0]) {
		f.section(words)
		return
	}
	if f.global {
		f.globalLine(words)
	}
	if f.current != nil {
		f.current.line(words)
	}
}

func (f *haproxyFile) globalLine(words []string) {
	switch {
	case len(words) >= 3 && words[0] == "stats" && words[1] == "socket":
		if s := strings.TrimPrefix(words[2], "unix@"); strings.HasPrefix(s, "/") {
			f.sockets = append(f.sockets, s)
		}
	case len(words) >= 2 && words[0] == "ssl-server-verify":
		f.verifyNone = words[1] == "none"
	case len(words) >= 2 && words[0] == "maxconn":
		f.maxconn = positive(words[1])
	case len(words) >= 2 && words[0] == "ulimit-n":
		f.files = positive(words[1])
	case len(words) >= 2 && (words[0] == "maxconnrate" || words[0] == "maxsessrate"):
		f.rate = fewer(f.rate, positive(words[1]))
	case len(words) >= 2 && words[0] == "ca-base":
		f.caBase = words[1]
	}
}

func (f *haproxyFile) section(words []string) {
	f.global, f.current = words[0] == "global", nil
	name := ""
	if len(words) > 1 {
		name = words[1]
	}
	from := f.last
	if i := slices.Index(words, "from"); i >= 1 && i+1 < len(words) {
		from = f.defaults[words[i+1]]
		if i == 1 {
			name = ""
		}
	}
	if from == nil || words[0] == "defaults" && !slices.Contains(words, "from") {
		from = &proxy{timeouts: map[string]time.Duration{}, options: map[string][]string{}, server: serverOptions{}}
	}
	switch words[0] {
	case "defaults":
		f.current = from.inherit(words[0], name)
		f.last = f.current
		f.defaults[name] = f.current
	case "frontend", "backend", "listen":
		if len(f.proxies) == maxProxies {
			return
		}
		f.current = from.inherit(words[0], name)
		f.proxies = append(f.proxies, f.current)
	}
}
