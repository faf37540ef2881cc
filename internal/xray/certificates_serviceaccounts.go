package xray

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// safeKeys is the order in which keys of service accounts are changed without a token
// that some API server turns away.
const safeKeys = "Name the public keys of all signers in --service-account-key-file of every API server (the flag can be repeated) and restart one after the other; " +
	"only then let all API servers and controller-managers sign with the same key; take an old key out when no token of it is in use."

func serviceAccountKeyEqual(s *Scene) []Finding {
	var files, served []said
	var unknown []Finding
	for _, server := range s.Servers {
		if server.Node != "" && len(server.ServiceAccountKeys) > 0 {
			served = append(served, said{at: at{server.Node, "GET https://" + server.Address + "/openid/v1/jwks"}, value: list(sorted(server.ServiceAccountKeys))})
		}
	}
	for _, a := range s.Instances(evidence.APIServer) {
		keys := s.accepted(a)
		told := slices.ContainsFunc(served, func(v said) bool { return v.at.node == a.Machine.Name })
		switch {
		case keys.fails != "":
			unknown = append(unknown, a.at().fail("--service-account-key-file", keys.fails))
		case keys.unseen == "":
			files = append(files, keys.said(a))
		case !told && len(a.Machine.Files) > 0:
			unknown = append(unknown, at{a.Machine.Name, keys.source}.skip("%s", keys.unseen))
		}
	}
	out := append(agree("keys in files", files, Fail), agree("keys that are accepted", served, Fail)...)
	out = append(append(out, unread(files, served)...), unknown...)
	return append(out, s.signers(files)...)
}

// Accepted keys are those whose tokens an API server accepts, by their IDs.
type accepted struct {
	source, note  string
	ids           []string
	unseen, fails string // why the keys are not known; why there are none
}

func (k accepted) said(a Instance) said {
	value := list(distinct(sorted(k.ids))) // the order of keys and files means nothing
	return said{at{a.Machine.Name, k.source}, value, value + k.note}
}

// accepted follows kube-apiserver: keys of all files count, whatever has them; without
// the flag, and if it signs no tokens itself, its own TLS key is the one.
func (s *Scene) accepted(a Instance) accepted {
	paths := a.Values("service-account-key-file")
	out := accepted{source: strings.Join(paths, ", ")}
	_, own := a.ServingFiles()
	if len(paths) == 0 {
		out.source = cmp.Or(own, a.Source())
		switch _, signs := a.Flag("service-account-signing-key-file"); {
		case a.FlagOr("service-account-signing-endpoint", "") != "":
			out.unseen = "the keys are those of --service-account-signing-endpoint"
			return out
		case signs:
			out.fails = "none beside --service-account-signing-key-file: it does not start so, and before 1.20 accepts no token"
			return out
		}
		out.note = " (its own TLS key: there is no --service-account-key-file)"
		paths = []string{own}
	}
	for _, path := range paths {
		ids, why := s.publicHalves(a, path)
		if path == own {
			out.note = cmp.Or(out.note, " (its own TLS key)")
		}
		out.ids, out.unseen = append(out.ids, ids...), cmp.Or(out.unseen, why)
	}
	return out
}

// publicHalves are the IDs of the keys of a file, or why they are not known.
func (s *Scene) publicHalves(a Instance, path string) (ids []string, unseen string) {
	f := a.Machine.Files[path]
	_, own := a.ServingFiles()
	switch {
	case a.Name == evidence.APIServer && path == own && s.servingCertificate(a) != nil:
		return keyIDs(s.servingCertificate(a).PublicKeyDigest()), ""
	case len(f.PublicKeys) > 0 && !f.Sealed:
		return keyIDs(f.PublicKeys...), ""
	}
	digests := pairedKeys(a.Machine, path)
	switch {
	case len(digests) > 0:
		return keyIDs(digests...), ""
	case f.Private && a.Machine.Way == evidence.Folder:
		return nil, path + " is a private key: in a folder keys are not opened, and no certificate or public key of it is there"
	case f.Private:
		return nil, path + " has a private key, and neither openssl on the machine nor a file beside it tells which"
	}
	if f.Path != "" {
		return nil, path + " has no key that could be read"
	}
	return nil, cmp.Or(path, "its TLS key") + " was not seen"
}

// unread are API servers that do not accept a key of their file: they read it when
// they start. That they accept more tells nothing, a file may have been changed since.
func unread(files, served []said) []Finding {
	var out []Finding
	for _, f := range files {
		for _, v := range served {
			if f.at.node == v.at.node && !containsAll(v.value, f.value) {
				out = append(out, f.at.warn("keys that it accepts: "+v.value, f.value).fixed("See first that %s has the public keys of all signers, for kube-apiserver will accept these alone; then restart it on %s.", f.at.source, f.at.node))
			}
		}
	}
	return out
}

func containsAll(lists, other string) bool {
	have := strings.Split(lists, ", ")
	return !slices.ContainsFunc(strings.Split(other, ", "), func(one string) bool { return !slices.Contains(have, one) })
}

// signers are the keys that tokens are signed with, by their public halves. One that the
// API server beside it accepts was judged with that one's.
func (s *Scene) signers(files []said) []Finding {
	if len(files) == 0 {
		return nil
	}
	common := mostCommon(files, func(f said) string { return f.value })
	var out []Finding
	for _, program := range signingFlags {
		for _, p := range s.Instances(program[0]) {
			private := p.FlagOr(program[1], "")
			ids, _ := s.publicHalves(p, private)
			here := slices.ContainsFunc(files, func(f said) bool { return len(ids) > 0 && f.at.node == p.Machine.Name && containsAll(f.value, ids[0]) })
			if len(ids) > 0 && !here && !containsAll(common, ids[0]) {
				out = append(out, at{p.Machine.Name, private}.fail("a key that API servers accept: "+common,
					fmt.Sprintf("%s signs with %s, whose public key is %s", p.Name, private, ids[0])))
			}
		}
	}
	return out
}
