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

// curlOptions bound a request, and have curl say how it went.
func curlOptions() []string {
	return []string{"--noproxy", "*", "--max-time", "2", "-w", `\n@status %{http_code} %{time_total}\n`}
}
