package collect

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// A setting is a flag or an entry of a configuration file.
type setting struct{ name, value string }

// settings are the flags of a program, the variables that stand for flags, and what its
// configuration file says of files.
func settings(p *located) []setting {
	var out []setting
	for _, f := range p.Flags() {
		out = append(out, setting{f.Name, f.Value})
	}
	for _, name := range slices.Sorted(maps.Keys(p.Variables)) {
		out = append(out, setting{name, p.Variables[name]})
	}
	return append(out, configured(p.Name, p.Config)...)
}

// configured are the files that configurations name, under the names of the flags
// that mean the same.
func configured(program string, config map[string]any) []setting {
	var out []setting
	add := func(name string, value any) {
		if text, ok := value.(string); ok {
			out = append(out, setting{name, text})
		}
	}
	section := func(of map[string]any, name string) map[string]any { // nil where there is none
		inner, _ := of[name].(map[string]any)
		return inner
	}
	switch program {
	case evidence.Kubelet:
		add("tls-cert-file", config["tlsCertFile"])
		add("tls-private-key-file", config["tlsPrivateKeyFile"])
		add("client-ca-file", section(section(config, "authentication"), "x509")["clientCAFile"])
	case evidence.KubeProxy, evidence.Scheduler:
		add("kubeconfig", section(config, "clientConnection")["kubeconfig"])
	case evidence.EtcdServer:
		add("data-dir", config["data-dir"])
		for prefix, s := range map[string]map[string]any{"": section(config, "client-transport-security"), "peer-": section(config, "peer-transport-security")} {
			for _, name := range []string{"cert-file", "key-file", "trusted-ca-file"} {
				add(prefix+name, s[name])
			}
		}
	}
	return out
}

// filesOf looks at the files that the settings of a program name. They have to be
// there: it would not have started without them, or not start again.
func (h *host) filesOf(p *located) {
	for _, c := range p.NamedCertificates() {
		h.byName(p, c)
	}
	for _, s := range settings(p) {
		if s.name == "tls-sni-cert-key" {
			continue
		}
		for value := range strings.SplitSeq(s.value, ",") {
			if file := path.Clean(value); strings.HasPrefix(value, "/") && !foreign(file) {
				h.named(p, s.name, file)
			}
		}
	}
	if cert, key := p.ServingFiles(); p.Name == evidence.APIServer {
		h.pem(p.place, cert, false)
		h.file(p.place, key, asStat)
	}
	if p.Name == evidence.EtcdServer && !slices.ContainsFunc(settings(p), func(s setting) bool { return s.name == "data-dir" }) {
		h.file(p.place, "/var/lib/etcd", asStat)
	}
}

// foreign files are those of the distribution, such as the CAs of the world. What else
// lies beside them is the cluster's.
func foreign(file string) bool {
	bundles := []string{"ca-certificates.crt", "ca-bundle.crt", "ca-bundle.trust.crt", "ca-bundle.pem", "tls-ca-bundle.pem", "cert.pem"}
	has := func(folders ...string) bool {
		return slices.ContainsFunc(folders, func(of string) bool { return strings.HasPrefix(file, of) })
	}
	switch {
	case has("/etc/ssl/", "/etc/pki/tls/", "/etc/pki/ca-trust/"):
		return slices.Contains(bundles, path.Base(file)) || has("/etc/pki/ca-trust/")
	case has("/usr/local/etc/", "/usr/local/share/"):
		return false
	}
	return has("/usr/")
}

// optional are files that are named whether they are there or not: one is gone when
// a node has joined, others may be kept off the machine.
var optional = []string{"bootstrap-kubeconfig"}

// named looks at a file as far as the flag that names it says that it may.
func (h *host) named(p *located, flag, file string) {
	if slices.Contains(tokenKeyFlags, flag) {
		h.tokenKeys(p.place, file)
		return
	}
	switch how := howOf(flag, file); how {
	case asStat:
		h.file(p.place, file, how)
	case asDigest:
		h.digested(p.place, file)
	case asPEM:
		h.pem(p.place, file, true)
		if p.on(file) == file {
			for _, beside := range h.glob(path.Dir(file)+"/*.crt", asPEM) {
				h.pem(onHost, beside, false)
			}
		}
	case asText:
		h.kubeconfig(p.place, file, !slices.Contains(optional, flag))
	}
}

// howOf tells what of a file may be looked at by the flag that names it; "" where
// nothing has to be. Whatever may be a key is not opened.
func howOf(flag, file string) kind {
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(flag, part) })
	}
	switch {
	case strings.HasSuffix(file, ".key") || flag == "data-dir":
		return asStat
	case has("key", "token", "password", "secret"):
		return asStat
	case strings.HasSuffix(flag, "kubeconfig"):
		return asText
	case strings.HasSuffix(flag, "-dir") || flag == "config" || flag == "config-file" || has("log", "pid"):
		return ""
	case has("cert", "ca-file", "cafile"):
		return asPEM
	case has("config", "policy"):
		return asDigest
	}
	return ""
}
