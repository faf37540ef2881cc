package xray

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// A ca is one with the places where it is.
type ca struct {
	placed
	machines []string
}

// at is about its machine, or about the cluster where several have it.
func (c ca) at() at {
	if len(c.machines) == 1 {
		return c.placed.at()
	}
	return at{source: c.path + " on " + list(c.machines)}
}

func caExpiry(s *Scene) []Finding {
	if s.At.IsZero() {
		return nil
	}
	var out []Finding
	all := s.cas()
	for _, c := range all {
		if !c.isVouchedFor(all) {
			out = append(out, s.caEnds(c))
		}
	}
	return out
}

// isVouchedFor tells whether a CA that is there itself has this from another one, which vouches for it while that is being replaced: behind what servers show.
// When it ends, that other one has ended.
func (c ca) isVouchedFor(all []ca) bool {
	return !bytes.Equal(c.RawIssuer, c.RawSubject) && slices.ContainsFunc(all, func(other ca) bool {
		return bytes.Equal(other.RawIssuer, other.RawSubject) && other.PublicKeyDigest() == c.PublicKeyDigest()
	})
}

// cas are all CAs, each once.
func (s *Scene) cas() []ca {
	var out []ca
	for _, m := range s.Machines {
		for _, c := range certificatesOf(m) {
			if c.Certificate.Certificate == nil || !c.IsCA {
				continue
			}
			i := slices.IndexFunc(out, func(other ca) bool { return other.Fingerprint() == c.Fingerprint() })
			if i < 0 {
				i, out = len(out), append(out, ca{placed: c})
			}
			if !slices.Contains(out[i].machines, m.Name) {
				out[i].machines = append(out[i].machines, m.Name)
			}
		}
	}
	return out
}

// caEnds fails a CA that ended or is about to: replacing one takes weeks.
func (s *Scene) caEnds(c ca) Finding {
	name, left := "CA "+subject(*c.Certificate), c.NotAfter.Sub(s.At)
	ends := fmt.Sprintf("%s ends on %s, in %s", name, date(c.NotAfter), days(left))
	later := s.outlives(c)
	switch {
	case s.At.Before(c.NotBefore):
		return c.at().fail("valid now", fmt.Sprintf("%s is not valid before %s", name, date(c.NotBefore)))
	case left < 0 && later == nil && s.replaced(c):
		return c.at().warn("CAs in use only", fmt.Sprintf("%s ended on %s; another one is beside it", name, date(c.NotAfter))).fixed("Take it out of the file.")
	case left < 0:
		return c.at().fail("valid now", fmt.Sprintf("%s ended on %s, %s ago", name, date(c.NotAfter), days(-left)))
	case left < soon:
		return c.at().fail("valid for a year more", ends)
	case later != nil:
		return c.at().warn("to outlast what it signed", fmt.Sprintf("%s; %s on %s claims to be valid until %s", ends, later.path, later.machine.Name, date(later.NotAfter)))
	case left < caSoon:
		return c.at().warn("valid for a year more", ends)
	}
	return c.at().pass("%s", ends)
}

// outlives is a certificate that a CA signed and that claims to be valid for longer
// than it.
func (s *Scene) outlives(c ca) *placed {
	for _, m := range s.Machines {
		for _, one := range certificatesOf(m) {
			if one.Certificate.Certificate != nil && !one.IsCA && one.NotAfter.After(c.NotAfter) && one.CheckSignatureFrom(c.Certificate.Certificate) == nil {
				return &one
			}
		}
	}
	return nil
}

// replaced tells whether a CA that is valid is in the same file.
func (s *Scene) replaced(c ca) bool {
	return slices.ContainsFunc(readable(c.machine, c.path), func(other placed) bool {
		return other.IsCA && s.At.After(other.NotBefore) && s.At.Before(other.NotAfter)
	})
}

// saidCAs is a set of CAs that a place has.
func saidCAs(where at, cas []placed) said {
	var shown []string
	for _, c := range cas {
		shown = append(shown, fmt.Sprintf("%s (%.16s)", subject(*c.Certificate), c.Fingerprint()))
	}
	return said{where, fingerprints(cas), list(shown)}
}

func fingerprints(all []placed) string {
	var out []string
	for _, p := range all {
		out = append(out, p.Fingerprint())
	}
	return strings.Join(slices.Compact(sorted(out)), " ")
}
