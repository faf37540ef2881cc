package xray

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

func serviceAccountKeyEqual(s *Scene) []Finding {
	var files, served []said
	for _, a := range s.Instances(evidence.APIServer) {
		paths := values(a.Program, "service-account-key-file")
		if ids := keyIDs(a.Machine, paths); len(ids) > 0 {
			files = append(files, said{at: at{a.Machine.Name, strings.Join(paths, ", ")}, value: list(ids)})
		}
	}
	for _, server := range s.Servers {
		if server.Node != "" && len(server.ServiceAccountKeys) > 0 {
			served = append(served, said{at: at{server.Node, "GET https://" + server.Address + "/openid/v1/jwks"}, value: list(sorted(server.ServiceAccountKeys))})
		}
	}
	out := append(agree("keys in files", files, Fail), agree("keys that are accepted", served, Fail)...)
	out = append(out, unread(files, served)...)
	return append(out, s.signers(files)...)
}

// keyIDs are the IDs of public keys as API servers make them for tokens
// (k8s.io/kubernetes/pkg/serviceaccount/jwt.go): SHA-256 in unpadded base64.
func keyIDs(m *evidence.Machine, paths []string) []string {
	var out []string
	for _, path := range paths {
		if raw, err := hex.DecodeString(m.Files[path].PublicKey); err == nil && len(raw) > 0 {
			out = append(out, base64.RawURLEncoding.EncodeToString(raw))
		}
	}
	return sorted(out)
}

// unread are API servers that do not accept a key of their file: they read it when
// they start. That they accept more tells nothing, a file may have several keys.
func unread(files, served []said) []Finding {
	var out []Finding
	for _, f := range files {
		for _, v := range served {
			if f.at.node == v.at.node && !containsAll(v.value, f.value) {
				out = append(out, f.at.warn("keys that it accepts: "+v.value, f.value).fixed("Restart kube-apiserver on %s.", f.at.node))
			}
		}
	}
	return out
}

func containsAll(lists, other string) bool {
	have := strings.Split(lists, ", ")
	return !slices.ContainsFunc(strings.Split(other, ", "), func(one string) bool { return !slices.Contains(have, one) })
}

// signers are the keys that tokens are signed with. They are private; the public
// half beside one tells. A key that the API server beside it accepts was judged with
// that one's.
func (s *Scene) signers(files []said) []Finding {
	if len(files) == 0 {
		return nil
	}
	accepted := mostCommon(files, func(f said) string { return f.value })
	var out []Finding
	for _, program := range [][2]string{{evidence.APIServer, "service-account-signing-key-file"}, {evidence.ControllerManager, "service-account-private-key-file"}} {
		for _, p := range s.Instances(program[0]) {
			private := p.FlagOr(program[1], "")
			beside := strings.TrimSuffix(private, ".key") + ".pub"
			ids := keyIDs(p.Machine, []string{beside})
			here := slices.ContainsFunc(files, func(f said) bool { return len(ids) > 0 && f.at.node == p.Machine.Name && containsAll(f.value, ids[0]) })
			if len(ids) > 0 && !here && !containsAll(accepted, ids[0]) {
				out = append(out, at{p.Machine.Name, beside}.fail("a key that API servers accept: "+accepted,
					fmt.Sprintf("%s signs with %s, whose public key is %s", p.Name, private, ids[0])))
			}
		}
	}
	return out
}

// values are those of a flag that may be repeated, each a list.
func values(p *evidence.Program, flag string) []string {
	var out []string
	for _, v := range p.Values(flag) {
		out = append(out, strings.FieldsFunc(v, func(r rune) bool { return r == ',' })...)
	}
	return out
}
