package xray

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// signingFlags name the private keys that tokens of service accounts are signed with.
var signingFlags = [][2]string{{evidence.APIServer, "service-account-signing-key-file"}, {evidence.ControllerManager, "service-account-private-key-file"}}

// keyPairs are flags that name a private key and its certificate.
var keyPairs = [][2]string{
	{"tls-private-key-file", "tls-cert-file"}, {"cluster-signing-key-file", "cluster-signing-cert-file"}, {"etcd-keyfile", "etcd-certfile"},
	{"kubelet-client-key", "kubelet-client-certificate"}, {"proxy-client-key-file", "proxy-client-cert-file"},
}

// pairedKeys are the digests of the public half of a private key, which a certificate tells
// that flags name along with it, else the file that goes with it by its name.
func pairedKeys(m *evidence.Machine, path string) []string {
	if path == "" {
		return nil
	}
	for i := range m.Programs {
		for _, pair := range keyPairs {
			if p := &m.Programs[i]; p.FlagOr(pair[0], "") == path {
				if c := m.Certificate(p.FlagOr(pair[1], "")).PublicKeyDigest(); c != "" {
					return []string{c}
				}
			}
		}
	}
	if c := m.Certificate(strings.TrimSuffix(path, "-key.pem") + ".pem").PublicKeyDigest(); c != "" && strings.HasSuffix(path, "-key.pem") {
		return []string{c}
	}
	if keys := m.Files[strings.TrimSuffix(path, ".key")+".pub"].PublicKeys; len(keys) == 1 { // of several, nothing tells which
		return keys
	}
	return nil
}

// keyIDs are the IDs of public keys as API servers make them for tokens
// (k8s.io/kubernetes/pkg/serviceaccount/jwt.go): SHA-256 in unpadded base64.
func keyIDs(digests ...string) []string {
	var out []string
	for _, digest := range digests {
		if raw, err := hex.DecodeString(digest); err == nil && len(raw) > 0 {
			out = append(out, base64.RawURLEncoding.EncodeToString(raw))
		}
	}
	return out
}

// serviceAccountKeyOwn wants that the keys of tokens are those of nothing else: with the CA's
// key, whoever is to sign tokens can make certificates for anybody, too.
func serviceAccountKeyOwn(s *Scene) []Finding {
	var out []Finding
	for _, row := range slices.Concat([][2]string{{evidence.APIServer, "service-account-key-file"}}, signingFlags) {
		for _, p := range s.Instances(row[0]) {
			for _, path := range p.Values(row[1]) {
				out = append(out, s.otherUse(p, row[1], path)...)
			}
			if _, signs := p.Flag("service-account-signing-key-file"); p.Name == evidence.APIServer && row[1] == "service-account-key-file" &&
				len(p.Values(row[1])) == 0 && !signs && s.accepted(p).note != "" {
				out = append(out, at{p.Machine.Name, servingKey(p.Program)}.warn(ownPair, "no --service-account-key-file: kube-apiserver takes its own TLS key, and with the next certificate all tokens are void"))
			}
		}
	}
	if len(out) > 0 || len(s.Instances(evidence.APIServer)) == 0 {
		return out
	}
	var shown []string
	for _, a := range s.Instances(evidence.APIServer) {
		shown = append(shown, a.Values("service-account-key-file")...)
	}
	return []Finding{at{}.pass("%s: the key of nothing else that was seen", list(distinct(shown)))}
}

const ownPair = "a pair of keys for service accounts alone"

// otherUse tells what the keys of a file are beside.
func (s *Scene) otherUse(p Instance, flag, path string) []Finding {
	ids, _ := s.publicHalves(p, path)
	var of string
	for _, c := range s.cas() {
		if id := keyIDs(c.PublicKeyDigest()); slices.ContainsFunc(ids, func(one string) bool { return slices.Contains(id, one) }) {
			of = "the key of the CA " + subject(*c.Certificate)
		}
	}
	for _, other := range s.Instances(evidence.ControllerManager) {
		if other.Machine == p.Machine && other.FlagOr("cluster-signing-key-file", "") == path && of == "" {
			of = "the key of the CA that signs certificates (--cluster-signing-key-file)"
		}
	}
	if a := p.Machine.Program(evidence.APIServer); a != nil && of == "" && (path == servingKey(a) || s.hasTLSKey(Instance{a, p.Machine}, ids)) {
		of = "the TLS key of kube-apiserver: with the next certificate all tokens are void"
	}
	if of == "" {
		return nil
	}
	return []Finding{at{p.Machine.Name, path}.warn(ownPair, "--"+flag+" of "+p.Name+" names "+of)}
}

// hasTLSKey tells whether keys are that of the certificate of an API server, under whatever name.
func (s *Scene) hasTLSKey(a Instance, ids []string) bool {
	c := s.servingCertificate(a)
	return c != nil && slices.ContainsFunc(keyIDs(c.PublicKeyDigest()), func(id string) bool { return slices.Contains(ids, id) })
}

func servingKey(p *evidence.Program) string {
	_, key := p.ServingFiles()
	return key
}
