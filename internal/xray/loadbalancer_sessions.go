package xray

import (
	"fmt"
	"strconv"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// clientPing is the silence after which client-go pings its connection, and
// clientGivesUp when it leaves one whose pings are not answered:
// k8s.io/apimachinery/pkg/util/net/http.go.
const (
	clientPing    = 30 * time.Second
	clientGivesUp = clientPing + 15*time.Second
)

// An acknowledgement that is missing for so long ends a session well before
// clients give up.
const shortUserTimeout = 30 * time.Second

func lbDeadSessions(s *Scene) []Finding {
	return s.configured(func(b balancer) []Finding {
		switch {
		case b.CutDeadSessions:
			return []Finding{b.at().pass("sessions of a server that is marked down are ended")}
		case b.TCPUserTimeout > 0 && b.TCPUserTimeout <= shortUserTimeout && b.KeepAlive:
			return []Finding{b.at().pass("sessions end %s after a server stops acknowledging", b.TCPUserTimeout)}
		}
		observed := fmt.Sprintf("they stay until clients give up: client-go after %s", clientGivesUp)
		if b.TCPUserTimeout > 0 {
			observed += fmt.Sprintf(" (TCP user timeout %s, keep-alive %t)", b.TCPUserTimeout, b.KeepAlive)
		}
		f := b.at().warn("sessions of a server that is down are ended", observed)
		if b.Kind == evidence.Nginx {
			f = f.fixed("nginx stream cannot end sessions of a dead server; HAProxy can (on-marked-down shutdown-sessions).")
		}
		return []Finding{f}
	})
}

// lbIdleTimeout fails what cuts even client-go's connections, which are never
// silent for longer than 30 s, and warns of what cuts a watch or an exec without pings.
func lbIdleTimeout(s *Scene) []Finding {
	watch := s.longestWatch()
	return s.configured(func(b balancer) []Finding {
		idle, observed := idleTimeout(b)
		expected := fmt.Sprintf("at least %s, the longest that a watch may be silent", watch)
		switch {
		case idle == 0 || idle >= watch:
			return []Finding{b.at().pass("%s", observed)}
		case idle <= clientPing:
			return []Finding{b.at().fail(expected, fmt.Sprintf("%s: shorter than the %s after which client-go pings, so every quiet watch is cut", observed, clientPing))}
		}
		return []Finding{b.at().warn(expected, observed+": connections without client-go's pings are cut")}
	})
}

// nginxProxyTimeout is what nginx takes without proxy_timeout.
const nginxProxyTimeout = 10 * time.Minute

// idleTimeout is after which silence a session is cut; 0: never.
func idleTimeout(b balancer) (time.Duration, string) {
	if b.Kind == evidence.Nginx {
		if b.ServerTimeout == 0 {
			return nginxProxyTimeout, fmt.Sprintf("no proxy_timeout: the default is %s", nginxProxyTimeout)
		}
		return b.ServerTimeout, fmt.Sprintf("proxy_timeout %s", b.ServerTimeout)
	}
	if b.TunnelTimeout > 0 {
		return b.TunnelTimeout, fmt.Sprintf("timeout tunnel %s", b.TunnelTimeout)
	}
	idle := b.ClientTimeout
	if idle == 0 || b.ServerTimeout > 0 && b.ServerTimeout < idle {
		idle = b.ServerTimeout
	}
	return idle, fmt.Sprintf("timeout client %s, timeout server %s", orNone(b.ClientTimeout), orNone(b.ServerTimeout))
}

func orNone(d time.Duration) string {
	if d == 0 {
		return "not set (none)"
	}
	return d.String()
}

// longestWatch is twice the largest --min-request-timeout: API servers end a watch
// at a random time up to that.
func (s *Scene) longestWatch() time.Duration {
	longest := 1800
	for i, a := range s.Instances(evidence.APIServer) {
		seconds, err := strconv.Atoi(a.FlagOr("min-request-timeout", "1800"))
		if err == nil && (i == 0 || seconds > longest) {
			longest = seconds
		}
	}
	return 2 * time.Duration(longest) * time.Second
}
