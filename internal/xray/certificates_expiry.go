package xray

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
)

const day = 24 * time.Hour

// Warnings begin a month before the end, or in the last sixth of a short life, and a
// week before it at the latest. Kubelets renew theirs when one to three tenths are
// left (k8s.io/client-go/util/certificate): they have failed to in the last tenth.
const (
	soon         = 30 * day
	soonest      = 7 * day
	soonShare    = 6
	rotatedShare = 10
	caSoon       = 365 * day
)

func certificateExpiry(s *Scene) []Finding {
	if s.At.IsZero() {
		return nil
	}
	var out []Finding
	for _, m := range s.Machines {
		var good []placed
		for _, c := range certificatesOf(m) {
			switch f, ok := s.expiry(c.at(), *c.Certificate); {
			case c.Certificate.Certificate != nil && c.IsCA:
			case !ok:
				out = append(out, f)
			default:
				good = append(good, c)
			}
		}
		if len(good) > 0 {
			out = append(out, at{node: m.Name}.pass("%s", s.daysLeft(good)))
		}
	}
	return append(out, s.presentedExpiry()...)
}

// expiry judges one certificate; ok is a pass.
func (s *Scene) expiry(where at, c evidence.Certificate) (f Finding, ok bool) {
	if c.Certificate == nil {
		return where.unseen("a certificate that cannot be read: " + c.Err), false
	}
	left, enough := c.NotAfter.Sub(s.At), enoughLeft(where.source, c)
	switch {
	case s.At.Before(c.NotBefore):
		return where.fail("valid now", fmt.Sprintf("%s: not valid before %s", subject(c), date(c.NotBefore))), false
	case left < 0:
		return where.fail("valid now", fmt.Sprintf("%s: ended on %s, %s ago", subject(c), date(c.NotAfter), days(-left))), false
	case left < enough:
		return where.warn("valid for "+days(enough)+" more at least", fmt.Sprintf("%s: ends on %s, in %s", subject(c), date(c.NotAfter), days(left))), false
	}
	return where.pass("%s: ends on %s, in %s", subject(c), date(c.NotAfter), days(left)), true
}

func enoughLeft(path string, c evidence.Certificate) time.Duration {
	life := c.NotAfter.Sub(c.NotBefore)
	if isRotated(path) {
		return min(soon, life/rotatedShare)
	}
	return max(soonest, min(soon, life/soonShare))
}

// presentedExpiry is about serving certificates as clients see them: a file that was
// renewed does not tell that its server uses it.
func (s *Scene) presentedExpiry() []Finding {
	var out []Finding
	for _, server := range s.Servers {
		if len(server.Certificates) > 0 {
			f, _ := s.expiry(at{server.Node, "TLS handshake with " + server.Address}, server.Certificates[0])
			out = append(out, f)
		}
	}
	return out
}

// daysLeft lists certificates, the first to end first.
func (s *Scene) daysLeft(all []placed) string {
	slices.SortStableFunc(all, func(a, b placed) int { return a.NotAfter.Compare(b.NotAfter) })
	var parts []string
	for _, c := range all {
		parts = append(parts, c.path+" "+days(c.NotAfter.Sub(s.At)))
	}
	return strings.Join(parts, ", ")
}

func days(d time.Duration) string {
	if d < 2*day {
		return d.Round(time.Minute).String()
	}
	return fmt.Sprintf("%d days", int(math.Floor(d.Hours()/24)))
}

func date(t time.Time) string { return t.UTC().Format(time.DateOnly) }
