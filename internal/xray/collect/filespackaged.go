package collect

import (
	"regexp"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/parse"
)

// packaged are units of packages as far as they matter, for copies that have a link to
// one and not its file. Debian and RHEL put their settings in different files.
var packaged = map[string][]string{
	"haproxy.service":    {"[Service]\nExecStart=/usr/sbin/haproxy -f " + haproxyConfig + " -f /etc/haproxy/conf.d\n"},
	"nginx.service":      {"[Service]\nExecStart=/usr/sbin/nginx\n"},
	"keepalived.service": {"[Service]\nExecStart=/usr/sbin/keepalived\n"},
	"etcd.service":       {"[Service]\nEnvironmentFile=-/etc/default/etcd\nEnvironmentFile=-/etc/etcd/etcd.conf\nEnvironmentFile=-/etc/etcd.env\nExecStart=/usr/bin/etcd $DAEMON_ARGS\n"},
}

// Configurations that say without a unit that a program is to run. Those of etcd are
// variables, or its own YAML.
var (
	etcdVariables = []string{"/etc/etcd.env", "/etc/etcd/etcd.conf", "/etc/default/etcd", "/etc/sysconfig/etcd", "/etc/etcd/etcd.env"}
	etcdConfigs   = []string{"/etc/etcd/etcd.conf.yml", "/etc/etcd/etcd.conf.yaml", "/etc/etcd/etcd.yaml", "/etc/etcd/etcd.yml", "/etc/etcd/config.yaml", "/etc/etcd/config.yml"}

	haproxyConfigs = []string{haproxyConfig, "/usr/local/etc/haproxy/haproxy.cfg", "/etc/haproxy/*.cfg", haproxyFolder + "/*.cfg", "/opt/*/haproxy.cfg", "/opt/*/*/haproxy.cfg", "/srv/*/haproxy.cfg", "/root/*/haproxy.cfg", "/etc/*/haproxy.cfg", "/etc/*/*/haproxy.cfg"}
	nginxConfigs   = []string{nginxConfig, "/usr/local/nginx/conf/nginx.conf", "/etc/kube-lb/conf/kube-lb.conf", "/opt/*/nginx.conf", "/opt/*/*/nginx.conf", "/srv/*/nginx.conf", "/root/*/nginx.conf", "/etc/*/nginx.conf", "/etc/*/*/nginx.conf"}
)

// haproxyFolder is read after haproxyConfig by RHEL's unit.
const haproxyFolder = "/etc/haproxy/conf.d"

// byConfiguration are the programs of a copy that has their configuration and nothing
// that starts them: a container may.
func (h *host) byConfiguration(found []located) []located {
	if h.machine.Way != evidence.Folder {
		return nil
	}
	var out []located
	for _, try := range []struct {
		program, flag string
		files         []string
		is            func(p *located) bool
	}{
		{evidence.EtcdServer, "--config-file", etcdConfigs, h.isEtcd},
		{evidence.EtcdServer, "", etcdVariables, h.isEtcd},
		{evidence.HAProxy, "-f", haproxyConfigs, func(p *located) bool { return h.haproxy(p) != nil }},
		{evidence.Nginx, "-c", nginxConfigs, func(p *located) bool { return h.nginx(p) != nil }},
		{evidence.KeepalivedProgram, "-f", keepalivedConfigs[:1], func(*located) bool { return true }},
	} {
		for _, file := range h.globs(try.files) {
			if named(slices.Concat(found, out), try.program) != nil {
				break
			}
			p := located{place: onHost, Program: evidence.Program{Name: try.program, From: evidence.FromConfiguration, Where: file, Argv: []string{try.program}}}
			if try.flag != "" {
				p.Argv = append(p.Argv, try.flag, file)
			}
			if file == haproxyConfig && len(h.glob(haproxyFolder+"/*.cfg", asText)) > 0 {
				p.Argv = append(p.Argv, try.flag, haproxyFolder)
			}
			if try.is(&p) && h.unlessDisabled(p) {
				out = append(out, p)
			}
		}
	}
	return out
}

// globs are the files of several patterns, each once.
func (h *host) globs(patterns []string) []string {
	var out []string
	for _, pattern := range patterns {
		for _, file := range h.glob(pattern, asText) {
			if !slices.Contains(out, file) {
				out = append(out, file)
			}
		}
	}
	return out
}

var nginxStream = regexp.MustCompile(`\bstream\b`)

// otherBalancers notes the configurations of a copy in which no API server is balanced, as far as
// can be seen: another file may, or a port that we do not take for an API server's. TLS passes
// nginx by its module stream alone: one without is a server of something else. What nothing starts
// balances nothing.
func (h *host) otherBalancers() {
	if h.machine.Way != evidence.Folder || h.machine.LoadBalancer != nil {
		return
	}
	note := func(program string, patterns []string, is func(text string) bool) {
		if h.unstarted(program) != "" {
			return
		}
		for _, file := range h.globs(patterns) {
			if text, err := h.read(file, asBalancer); err == nil && is(text) {
				h.machine.Unbalancing = append(h.machine.Unbalancing, file)
			}
		}
	}
	note(evidence.HAProxy, haproxyConfigs, func(string) bool { return true })
	note(evidence.Nginx, nginxConfigs, nginxStream.MatchString)
}

// isEtcd tells a file of settings of etcd. Packages have one in which all is a comment.
func (h *host) isEtcd(p *located) bool {
	text, err := h.read(p.Where, asText)
	if err != nil || slices.ContainsFunc(h.states, func(s parse.UnitState) bool {
		return strings.HasPrefix(s.Name, "k0s") || strings.HasPrefix(s.Name, "k3s")
	}) {
		return false
	}
	if len(p.Argv) > 1 {
		return parse.IsEtcdConfig(text)
	}
	p.Variables = parse.EtcdEnvironment(text)
	return len(p.Variables) > 0
}

// unlessDisabled is false where nothing starts the program; it is named then.
func (h *host) unlessDisabled(p located) bool {
	why := h.unstarted(p.Name)
	if why != "" {
		h.unjudged(p.Where, why)
	}
	return why == ""
}

// unstarted is why nothing starts a program of a copy that has its configuration: its unit is
// masked, or it is not enabled, where units were copied with their links. "" where that is not known.
func (h *host) unstarted(program string) string {
	if named(h.programs, program) != nil {
		return ""
	}
	if h.masked(program + ".service") {
		return program + ".service is masked"
	}
	linked := slices.ContainsFunc(h.seen, func(u unit) bool { return u.state.Linked })
	i := slices.IndexFunc(h.seen, func(u unit) bool { return u.name == program })
	if i < 0 || !linked {
		return ""
	}
	return h.seen[i].Name + " is not enabled"
}

// masked tells a unit that is a link to /dev/null: systemd never starts it.
func (h *host) masked(unit string) bool {
	return slices.ContainsFunc(h.states, func(s parse.UnitState) bool { return s.Name == unit && s.Path == "/dev/null" })
}
