package cluster

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/pki"
)

// expiryWarning is how long before their end certificates are warned about.
const expiryWarning = 60 * 24 * time.Hour

// certificateWarnings tells of the certificates that end soon, those with one end in one line.
func certificateWarnings(rows []pki.Row, keys pki.Bundle, now time.Time) []string {
	out := []string{}
	soon := pki.Expiring(rows, keys, now, expiryWarning)
	for len(soon) > 0 {
		first := soon[0]
		same := func(e pki.Expiry) bool { return e.Authority == first.Authority && e.When(now) == first.When(now) }
		var names []string
		for _, e := range soon {
			if same(e) {
				names = append(names, e.Name)
			}
		}
		soon = slices.DeleteFunc(soon, same)
		out = append(out, certificateWarning(first, names, now))
	}
	return out
}

func certificateWarning(first pki.Expiry, names []string, now time.Time) string {
	const shown = 3
	when := first.When(now)
	what, then := "certificate", "haplane certs renew renews it"
	over := now.After(first.NotAfter)
	switch {
	case first.Authority && over:
		what, then = "authority", "what it signed is good for nothing without it; haplane certs renew makes it anew with its key"
	case first.Authority:
		what, then = "authority", "what it signed ends with it; haplane certs rotate makes a new one"
	}
	if len(names) == 1 {
		return fmt.Sprintf("%s %s %s; %s", what, names[0], when, then)
	}
	what, then = "certificates", "haplane certs renew renews them"
	switch {
	case first.Authority && over:
		what, then = "authorities", "what they signed is good for nothing without them; haplane certs renew makes them anew with their keys"
	case first.Authority:
		what, then = "authorities", "what they signed ends with them; haplane certs rotate makes new ones"
	}
	list := strings.Join(names, ", ")
	if more := len(names) - shown; more > 1 {
		list = fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), more)
	}
	return fmt.Sprintf("%s %s %s; %s", what, list, strings.Replace(when, "ends ", "end ", 1), then)
}
