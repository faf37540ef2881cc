package xray

import (
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// A link is a certificate, with the rest of its file, and the CAs by which the other
// side verifies it.
type link struct {
	what    string
	chain   []placed
	usage   x509.ExtKeyUsage
	roots   []placed
	trusted string // where the roots are named
}

func chainValid(s *Scene) []Finding {
	links := slices.Concat(s.servingLinks(), s.clientLinks(), s.kubeletLinks(), s.etcdLinks())
	links = slices.DeleteFunc(links, func(l link) bool { return len(l.chain) == 0 || len(l.roots) == 0 })
	var out []Finding
	for _, m := range s.Machines {
		valid := map[string]bool{} // by path, of all that it is used for
		for _, l := range links {
			leaf := l.chain[0]
			if leaf.machine != m {
				continue
			}
			f, ok := l.judge(s.At)
			if _, seen := valid[leaf.path]; !seen || !ok {
				valid[leaf.path] = ok
			}
			if !ok && !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
		maps.DeleteFunc(valid, func(_ string, ok bool) bool { return !ok })
		if len(valid) > 0 {
			out = append(out, at{node: m.Name}.pass("%s", list(slices.Sorted(maps.Keys(valid)))))
		}
	}
	return out
}

func (l link) judge(now time.Time) (Finding, bool) {
	leaf := l.chain[0]
	err := l.verify(now)
	if err == nil {
		return Finding{}, true
	}
	expected := fmt.Sprintf("signed by %s (%s)", authority(l.roots[0].Subject.CommonName, l.roots[0].SubjectKeyId), l.trusted)
	observed := fmt.Sprintf("%s %s: signed by %s", l.what, subject(*leaf.Certificate), authority(leaf.Issuer.CommonName, leaf.AuthorityKeyId))
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); !unknown {
		expected, observed = "a certificate that verifies with "+l.trusted, observed+": "+err.Error()
	}
	return leaf.at().fail(expected, observed), false
}

// authority names a CA with a part of its key's ID: two CAs of one name are the
// usual reason why nothing verifies.
func authority(name string, id []byte) string {
	if len(id) == 0 {
		return fmt.Sprintf("CA %q", name)
	}
	return fmt.Sprintf("CA %q (key %x)", name, id[:min(4, len(id))])
}

// verify leaves time to certificate-expiry and ca-expiry.
func (l link) verify(now time.Time) error {
	leaf := l.chain[0]
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		now = leaf.NotAfter
	}
	options := x509.VerifyOptions{Roots: pool(l.roots), Intermediates: pool(l.chain[1:]), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{l.usage}}
	_, err := leaf.Verify(options)
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return nil
	}
	return err
}

func pool(all []placed) *x509.CertPool {
	out := x509.NewCertPool()
	for _, p := range all {
		out.AddCert(p.Certificate.Certificate)
	}
	return out
}

// named are the certificates of the file that a flag names.
func named(p Instance, flag string) []placed {
	return readable(p.Machine, p.FlagOr(flag, ""))
}

// near is the file that a flag of a program names on a machine or, where it does not
// run there, on the first machine that has it.
func (s *Scene) near(m *evidence.Machine, program, flag string) (roots []placed, trusted string) {
	for _, p := range s.Instances(program) {
		found := readable(p.Machine, p.EtcdSetting(flag, ""))
		if len(found) > 0 && (len(roots) == 0 || p.Machine == m) {
			roots, trusted = found, "--"+flag+" of "+program+" on "+p.Machine.Name
		}
	}
	return roots, trusted
}
