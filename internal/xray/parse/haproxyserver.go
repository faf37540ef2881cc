package parse

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A balanced server is one behind HAProxy.
type balanced struct {
	name, address string
	options       serverOptions
}

// serverOptions are words of a server line with their values, those of
// default-server before them.
type serverOptions map[string]string

// withValue are words that take one, so that it is not taken for a word.
var withValue = strings.Fields(`addr agent-addr agent-inter agent-port agent-send alpn ca-file cc check-alpn check-proto check-sni
	check-pool-conn-name ciphers ciphersuites client-sigalgs cookie crl-file crt curves downinter error-limit fall fastinter guid hash-key id
	idle-ping init-addr init-state inter ktls log-bufsize log-proto maxconn maxqueue maxreuse minconn namespace npn observe on-error on-marked-down on-marked-up
	pool-conn-name pool-low-conn pool-max-conn pool-purge-delay port proto redir resolve-net resolve-opts resolve-prefer resolvers rise shard sigalgs
	slowstart sni socks4 source ssl-max-ver ssl-min-ver tcp-md5sig tcp-ut track verify verifyhost weight ws`)

// flags are words without one that matter.
var flags = []string{"backup", "check", "check-ssl", "disabled", "ssl", "send-proxy", "send-proxy-v2", "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn"}

func (o serverOptions) read(words []string) {
	for i := 0; i < len(words); i++ {
		word := words[i]
		if slices.Contains(withValue, word) && i+1 < len(words) {
			i++
			o[word] = words[i]
			continue
		}
		off, no := strings.CutPrefix(word, "no-")
		switch {
		case no:
			delete(o, off)
			if off == "check-ssl" { // overrules ssl, too
				o[word] = ""
			}
		case word == "enabled":
			delete(o, "disabled")
		case slices.Contains(flags, word):
			o[word] = ""
			delete(o, "no-"+word)
		}
	}
}

func (o serverOptions) has(word string) bool {
	_, ok := o[word]
	return ok
}

func (o serverOptions) time(word string, otherwise time.Duration) time.Duration {
	if text, ok := o[word]; ok && text != "" {
		return haproxyTime(text)
	}
	return otherwise
}

func (o serverOptions) number(word string, otherwise int) int {
	if n, err := strconv.Atoi(o[word]); err == nil && n > 0 {
		return n
	}
	return otherwise
}

// model is the server that the others are taken to be like: the first that is
// checked and no backup, else the first.
func (p *proxy) model() *balanced {
	for _, backup := range []bool{false, true} {
		for i := range p.servers {
			if s := &p.servers[i]; s.options.has("check") && s.options.has("backup") == backup {
				return s
			}
		}
	}
	if len(p.servers) == 0 {
		return nil
	}
	return &p.servers[0]
}

// caFiles are those of the servers; relative ones are in the folder of ca-base.
func (p *proxy) caFiles(base string) []string {
	var out []string
	for _, s := range p.servers {
		f := s.options["ca-file"]
		if base != "" && f != "" && !strings.HasPrefix(f, "/") && !strings.HasPrefix(f, "@") {
			f = path.Join(base, f)
		}
		if strings.HasPrefix(f, "/") && !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out
}
