package pki

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// Generations tell which authorities and keys a cluster had, as far as objects in etcd depend on them, by
// their Fingerprints.
type Generations struct {
	CA             []string `json:"ca,omitempty"` // that were trusted
	FrontProxyCA   []string `json:"frontProxyCA,omitempty"`
	ServiceAccount []string `json:"serviceAccount,omitempty"` // public keys by which tokens were verified; the first one signed
}

// GenerationsOf are those of a cluster's keys.
func GenerationsOf(b Bundle) Generations {
	signs := Fingerprints(b.Generation(ServiceAccount).Cert)
	others := slices.DeleteFunc(Fingerprints(b.ServiceAccountPubs()), func(f string) bool { return slices.Contains(signs, f) })
	return Generations{CA: Fingerprints(b.Trusted(CA)), FrontProxyCA: Fingerprints(b.Trusted(FrontProxyCA)), ServiceAccount: slices.Concat(signs, others)}
}

// Stale names what was rotated since then, as the user gives it, of a cluster whose keys are these: objects of then do not trust
// the authority that signs now, trust one that nobody trusts any more, or have tokens that nobody verifies any more.
func (g Generations) Stale(now Bundle) []string {
	has := GenerationsOf(now)
	lacks := func(list, of []string) bool {
		return len(list) > 0 && slices.ContainsFunc(of, func(f string) bool { return !slices.Contains(list, f) })
	}
	var out []string
	if lacks(g.CA, Fingerprints(now.Generation(CA).Cert)) || lacks(has.CA, g.CA) {
		out = append(out, RotateCA)
	}
	if lacks(has.FrontProxyCA, g.FrontProxyCA) {
		out = append(out, RotateFrontProxyCA)
	}
	if lacks(has.ServiceAccount, g.ServiceAccount[:min(len(g.ServiceAccount), 1)]) {
		out = append(out, RotateServiceAccount)
	}
	return out
}

// Fingerprints tell the parts of a PEM text from others: the begin of the SHA-256 of each, in hexadecimal.
func Fingerprints(text []byte) []string {
	var out []string
	for _, block := range Blocks(text) {
		sum := sha256.Sum256(block)
		out = append(out, hex.EncodeToString(sum[:8]))
	}
	return out
}
