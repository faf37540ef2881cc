package xray

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

var frontProxyFlags = []string{
	"requestheader-client-ca-file", "requestheader-username-headers", "requestheader-group-headers", "requestheader-extra-headers-prefix",
	"proxy-client-cert-file", "proxy-client-key-file",
}

func frontProxy(s *Scene) []Finding {
	var out []Finding
	var all []said
	for _, a := range s.Instances(evidence.APIServer) {
		missing, shown := frontProxySettings(a)
		all = append(all, said{at: a.at(), value: cmp.Or(strings.Join(shown, " "), "none")})
		switch {
		case len(missing) == len(frontProxyFlags):
			out = append(out, a.at().warn("--requestheader-* and --proxy-client-*", "none: extension API servers cannot be asked"))
		case len(missing) > 0:
			out = append(out, a.at().fail("--"+strings.Join(missing, ", --"), "not set, though others are"))
		default:
			out = append(out, s.frontProxyTrust(a)...)
		}
	}
	if len(all) > 1 {
		out = append(out, agree("front-proxy flags", all, Fail)...)
	}
	return out
}

func frontProxySettings(a Instance) (missing, shown []string) {
	for _, flag := range append([]string{"requestheader-allowed-names"}, frontProxyFlags...) {
		v, ok := a.Flag(flag)
		if ok {
			shown = append(shown, "--"+flag+"="+v)
		} else if flag != "requestheader-allowed-names" {
			missing = append(missing, flag)
		}
	}
	return missing, shown
}

// frontProxyTrust judges who is believed: the CA, the names, and whether the API
// server's own certificate is one of them.
func (s *Scene) frontProxyTrust(a Instance) []Finding {
	var out []Finding
	allowed := a.List("requestheader-allowed-names")
	l := frontProxyLink(a)
	if len(l.chain) > 0 {
		cn := l.chain[0].Subject.CommonName
		if len(allowed) > 0 && !slices.Contains(allowed, cn) {
			out = append(out, l.chain[0].at().fail("a common name of --requestheader-allowed-names="+list(allowed), cn))
		}
		if f, ok := l.judge(s.At); len(l.roots) > 0 && !ok {
			out = append(out, f)
		}
	}
	if f, shared := frontProxyShared(a, l.roots, len(allowed) == 0); shared {
		out = append(out, f)
	}
	if len(l.chain) == 0 || len(l.roots) == 0 {
		return append(out, a.at().skip("its front-proxy certificate or CA was not seen"))
	}
	return orPass(out, a.at(), "CA %s, names %s", subject(*l.roots[0].Certificate), list(allowed))
}

// frontProxyShared: with a CA that signs other clients too, only the allowed names
// keep those from being anybody.
func frontProxyShared(a Instance, roots []placed, anyName bool) (Finding, bool) {
	for _, c := range named(a, "client-ca-file") {
		for _, r := range roots {
			if c.PublicKeyDigest() != r.PublicKeyDigest() {
				continue
			}
			status, observed := Warn, fmt.Sprintf("CA %s signs other clients too", subject(*r.Certificate))
			if anyName {
				status, observed = Fail, observed+", and every name is allowed: each of them can be anybody"
			}
			return a.at().judge(false, status, "a CA for the front proxy alone", observed), true
		}
	}
	return Finding{}, false
}
