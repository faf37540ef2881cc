package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/haplane/haplane/spec"
)

// Why a certificate is made anew that is well, and an authority that has ended.
const (
	renewalAsked = "its renewal was asked for"
	endedKeeps   = "it has ended; its name and its key stay"
)

// Renew adds to a plan what is asked for, by name with the serial that each has: leaves, and authorities that have ended.
// One that has another serial by now was made anew already. A leaf of "" is one that cannot be read.
func Renew(have Bundle, plan []Reissue, asked map[string]string, rows []Row) []Reissue {
	p := planner{have: have, reissue: slices.Clone(plan)}
	for _, row := range rows {
		serial, is := asked[row.Name]
		planned := slices.ContainsFunc(plan, func(r Reissue) bool { return r.Name == row.Name })
		switch {
		case !is || planned || Serial(have, row.Name) != serial:
		case row.CA == "":
			p.again(row.Name, endedKeeps)
		default:
			p.again(row.Name, renewalAsked)
		}
	}
	return p.reissue
}

// Serial is that of a certificate, in hexadecimal; "" where it cannot be read.
func Serial(have Bundle, name string) string {
	cert, err := ParseCertificate(have.Pairs[name].Cert)
	if err != nil {
		return ""
	}
	return cert.SerialNumber.Text(16)
}

// Leaves are the names of the certificates that are no authorities'. Those that are given are
// looked up: NAME stands for NAME@NODE of all nodes. The error has all that are none.
func Leaves(rows []Row, given []string) ([]string, error) {
	var all, authorities, out []string
	for _, row := range rows {
		if row.CA == "" {
			authorities = append(authorities, row.Name)
		} else {
			all = append(all, row.Name)
		}
	}
	if len(given) == 0 {
		return all, nil
	}
	var errs []error
	for _, name := range given {
		found := slices.DeleteFunc(slices.Clone(all), func(leaf string) bool { return leaf != name && !strings.HasPrefix(leaf, name+"@") })
		if len(found) == 0 {
			errs = append(errs, notALeaf(name, all, authorities))
		}
		for _, leaf := range found {
			if !slices.Contains(out, leaf) {
				out = append(out, leaf)
			}
		}
	}
	return out, errors.Join(errs...)
}

// Ended are the authorities that have ended and whose keys are here, with all leaves of each: those that have not ended as
// well are good for nothing without it.
func Ended(rows []Row, have Bundle, now time.Time) []string {
	var out []string
	over := map[string]bool{}
	for _, row := range rows { // authorities are before what they sign
		if row.CA == "" && !row.External && have.Pairs[row.Name].ended(now) {
			over[row.Name] = true
		}
		if over[row.Name] || over[row.CA] {
			out = append(out, row.Name)
		}
	}
	return out
}

func notALeaf(name string, leaves, authorities []string) error {
	if slices.Contains(authorities, name) {
		return fmt.Errorf("%s is an authority, not a certificate that one signs: it cannot be renewed like these", name)
	}
	if near := spec.Nearest(name, leaves); near != "" {
		return fmt.Errorf("there is no certificate %q; did you mean %s?", name, near)
	}
	return fmt.Errorf("there is no certificate %q; haplane certs list shows all", name)
}

// Foreign are the certificates that lie in the place of a row, and that its authority has not signed.
func Foreign(rows []Row, have Bundle) []string {
	var out []string
	for _, row := range rows {
		cert, err := ParseCertificate(have.Pairs[row.Name].Cert)
		if row.CA != "" && err == nil && !have.signed(row.CA, cert) {
			out = append(out, row.Name)
		}
	}
	return out
}

// signed reports whether one of the generations of an authority that are trusted has signed a certificate, or
// whether none of them can tell.
func (b Bundle) signed(authority string, cert *x509.Certificate) bool {
	asked := false
	for _, block := range Blocks(b.Trusted(authority)) {
		ca, err := ParseCertificate(block)
		if err != nil || !ca.IsCA {
			continue
		}
		if asked = true; cert.CheckSignatureFrom(ca) == nil {
			return true
		}
	}
	return !asked
}
