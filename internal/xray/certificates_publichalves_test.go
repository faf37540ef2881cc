package xray

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
)

// What goes with a private key tells its public half: a certificate that flags name along with
// it, else the file of its name, if that has one key.
func TestPublicHalfOfAPrivateKey(t *testing.T) {
	e := evidencetest.Kubeadm()
	m := evidencetest.Machine(e, "cp-1")
	evidencetest.SetPublicKey(e, "cp-1", "/k/one.pub", "one")
	evidencetest.SetPublicKey(e, "cp-1", "/k/two.pub", "one", "two")
	evidencetest.SetCertificates(e, "cp-1", "/k/sa.pem", evidencetest.Issue(evidencetest.Row{CA: evidencetest.CA, CommonName: "sa", Key: "sa"}))
	for path, want := range map[string][]string{
		evidencetest.PKI + "ca.key": {evidencetest.PublicKey("authority kubernetes")},
		evidencetest.ServingKey:     {m.Certificate(evidencetest.ServingCert).PublicKeyDigest()},
		"/k/one.key":                {evidencetest.PublicKey("one")},
		"/k/two.key":                nil,
		"/k/sa-key.pem":             {evidencetest.PublicKey("sa")},
		"/k/other-key.pem":          nil,
		"":                          nil,
	} {
		if diff := cmp.Diff(want, pairedKeys(m, path)); diff != "" {
			t.Errorf("%q: %s", path, diff)
		}
	}
}
