package pki

import (
	"fmt"
	"time"
)

// An Expiry is a certificate that ends soon, or has ended.
type Expiry struct {
	Name      string
	Authority bool
	NotAfter  time.Time
}

// Expiring lists the certificates that have the given time or less left, authorities
// first. What cannot be read is not in it.
func Expiring(rows []Row, have Bundle, now time.Time, within time.Duration) []Expiry {
	var out []Expiry
	for _, row := range rows {
		cert, err := ParseCertificate(have.Pairs[row.Name].Cert)
		if err == nil && cert.NotAfter.Sub(now) <= within {
			out = append(out, Expiry{Name: row.Name, Authority: row.CA == "", NotAfter: cert.NotAfter})
		}
	}
	return out
}

// When says when it ends, or that it has, in words.
func (e Expiry) When(now time.Time) string {
	date := e.NotAfter.Format(time.DateOnly)
	if now.After(e.NotAfter) {
		return "ended on " + date
	}
	return fmt.Sprintf("ends %s, on %s", inDays(e.NotAfter.Sub(now)), date)
}

// inDays counts whole days.
func inDays(left time.Duration) string {
	switch days := int(left / (24 * time.Hour)); days {
	case 0:
		return "within a day"
	case 1:
		return "in 1 day"
	default:
		return fmt.Sprintf("in %d days", days)
	}
}
