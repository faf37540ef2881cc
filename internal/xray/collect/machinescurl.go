package collect

import (
	"net"
	"net/url"
)

// command is the arguments of curl for one request.
func (a ask) command() []string {
	out := append(curlOptions(), a.args...)
	switch {
	case a.trust.pem != "":
		out = append(out, "--cacert", "/dev/stdin")
	case a.trust.path != "":
		out = append(out, "--cacert", a.trust.path)
	}
	target := a.request.URL
	if u, err := url.Parse(target); err == nil && a.request.ServerName != "" {
		u.Host = net.JoinHostPort(a.request.ServerName, u.Port())
		target = u.String()
	}
	return append(out, target)
}

// grouped puts the requests together that one curl can make, one after the other.
// A CA that is in no file comes on its input, which can be read once.
func grouped(asks []ask) [][]ask {
	var first []ask
	var out [][]ask
	for _, a := range asks {
		if a.trust.pem == "" {
			first = append(first, a)
		} else {
			out = append(out, []ask{a})
		}
	}
	if len(first) > 0 {
		out = append([][]ask{first}, out...)
	}
	return out
}

// together is the arguments of one curl.
func together(group []ask) []string {
	var out []string
	for i, a := range group {
		if i > 0 {
			out = append(out, "--next")
		}
		out = append(out, a.command()...)
	}
	return out
}

// curlOptions bound a request, and have curl say how it went.
func curlOptions() []string {
	return []string{"--noproxy", "*", "--max-time", "2", "-w", `\n@status %{http_code} %{time_total}\n`}
}
