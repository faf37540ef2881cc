package xray

import (
	"fmt"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
)

const (
	// clientHandshake is how long client-go waits for a TLS handshake (transport/cache.go): the
	// load balancer has taken its connection, whether there is a server or not.
	clientHandshake = 10 * time.Second
	// deadTooLong is how long a dead server may get connections: with one more handshake that
	// fails a kubelet's status is 40 s old, when node controllers up to 1.31 call it NotReady.
	deadTooLong = 30 * time.Second
	// kernelConnect is how long Linux tries a connect by itself: tcp_syn_retries=6.
	kernelConnect = 127 * time.Second
	// nginxConnectTimeout is what nginx takes without proxy_connect_timeout.
	nginxConnectTimeout = time.Minute
)

func lbConnectTimeout(s *Scene) []Finding {
	return s.configured(func(b balancer) []Finding {
		if servers := activeServers(b); servers < 2 {
			return []Finding{b.at().skip("%s: there is no other to go to", plural(servers, "server"))}
		}
		return []Finding{connectFinding(b)}
	})
}

func activeServers(b balancer) int {
	n := 0
	for _, x := range b.Backends {
		if !x.Backup && x.Status != "MAINT" {
			n++
		}
	}
	return n
}

func connectFinding(b balancer) Finding {
	each, text := connectTimeout(b)
	wait := each * time.Duration(max(b.Tries, 1))
	gone, leaves := deadFor(b)
	expected := fmt.Sprintf("another server before a client gives up, after %s", clientHandshake)
	observed := fmt.Sprintf("%s: a client that meets a dead server comes to another after %s", text, wait)
	if !b.Redispatch {
		observed = fmt.Sprintf("%s: a client that meets a dead server is sent to no other, and is cut off after %s", text, wait)
	}
	switch {
	case leaves:
		observed += fmt.Sprintf("; health checks take the server out after up to %s", gone)
	case b.Kind != evidence.Nginx:
		observed += "; no health check takes the server out"
	}
	switch {
	case b.Redispatch && wait <= clientHandshake:
		return b.at().pass("%s", observed)
	case !leaves && (b.Kind != evidence.Nginx || !b.Redispatch):
		return b.at().fail(expected, observed)
	case each <= clientHandshake && gone <= deadTooLong:
		return b.at().pass("%s", observed)
	}
	return b.at().warn(expected, observed)
}

// connectTimeout is how long a connect to a server may take.
func connectTimeout(b balancer) (time.Duration, string) {
	switch {
	case b.Kind == evidence.Nginx && b.ConnectTimeout == 0:
		return nginxConnectTimeout, fmt.Sprintf("proxy_connect_timeout %s, the default", nginxConnectTimeout)
	case b.Kind == evidence.Nginx:
		return b.ConnectTimeout, fmt.Sprintf("proxy_connect_timeout %s", b.ConnectTimeout)
	case b.ConnectTimeout == 0:
		return kernelConnect, fmt.Sprintf("no timeout connect, so that the kernel's %s count", kernelConnect)
	}
	return b.ConnectTimeout, fmt.Sprintf("timeout connect %s", b.ConnectTimeout)
}

// deadFor is how long a server that answers nothing stays in at most: until the last check that
// fails, which has to run out of time.
func deadFor(b balancer) (time.Duration, bool) {
	d := b.Check.Detection()
	if d == 0 || b.Check.Kind == "passive" {
		return 0, false
	}
	last := b.Check.Interval
	if t := b.Check.Timeout; t > 0 && t < last {
		last = t
	}
	return d + last, true
}
