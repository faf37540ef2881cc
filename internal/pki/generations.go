package pki

import (
	"bytes"
	"cmp"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Names of what is rotated, as the user gives them.
const (
	RotateCA             = "ca"
	RotateEtcdCA         = "etcd-ca"
	RotateFrontProxyCA   = "front-proxy-ca"
	RotateServiceAccount = "service-account"
	RotateEncryption     = "encryption"
)

// A Phase of a rotation is what a cluster is brought to. The old generation and the next one
// are trusted side by side in the first two; that which signs changes between these.
type Phase string

// The phases in their order.
const (
	Trust  Phase = "trust"  // the next generation is trusted everywhere; the old one signs or writes
	Switch Phase = "switch" // the next one signs or writes; the old one is trusted still
	Drop   Phase = "drop"   // the next one alone is left
)

// Rotatable is what can be rotated: the authority's row, or the name of the key.
var Rotatable = map[string]string{RotateCA: CA, RotateEtcdCA: EtcdCA, RotateFrontProxyCA: FrontProxyCA,
	RotateServiceAccount: ServiceAccount, RotateEncryption: Encryption}

// A Beside is the generation that is trusted beside the one that signs or writes.
type Beside struct {
	Name  string // row of the authority, ServiceAccount or Encryption
	Older bool   // it signed before; else it will
	// Pair is the authority's; the public and the private key of service accounts; the name of
	// the encryption key and itself.
	Pair Pair
	// Cross is the certificate by which the older authority vouches for the one that signs, in PEM, see Cross; nil where
	// there is none.
	Cross []byte
}

// defaultEncryptionName is what the first encryption key of every cluster is called in what it encrypted.
const defaultEncryptionName = "key1"

// Generation returns what signs or writes now under a name, in the form of Beside.Pair.
func (b Bundle) Generation(name string) Pair {
	switch name {
	case ServiceAccount:
		return Pair{Cert: b.ServiceAccountPub, Key: b.ServiceAccountKey}
	case Encryption:
		return Pair{Cert: []byte(cmp.Or(b.EncryptionName, defaultEncryptionName)), Key: b.EncryptionKey}
	}
	return b.Pairs[name]
}

// with is the bundle in which another generation signs or writes.
func (b Bundle) with(name string, pair Pair) Bundle {
	switch name {
	case ServiceAccount:
		b.ServiceAccountPub, b.ServiceAccountKey = pair.Cert, pair.Key
	case Encryption:
		b.EncryptionName, b.EncryptionKey = string(bytes.TrimSpace(pair.Cert)), pair.Key
	default:
		b.Pairs = maps.Clone(b.Pairs)
		b.Pairs[name] = pair
	}
	return b
}

// During is what there is in a phase of the rotation to a next generation. The bundle is
// that of before.
func (b Bundle) During(phase Phase, name string, next Pair) Bundle {
	old := b.Generation(name)
	switch phase {
	case Trust:
		b.Beside = &Beside{Name: name, Pair: next}
	case Switch:
		b = b.with(name, next)
		b.Beside = &Beside{Name: name, Older: true, Pair: old}
	case Drop:
		b = b.with(name, next)
		b.Beside = nil
	}
	return b
}

// all are the generations that are trusted under a name, the oldest first: the order is the same
// before the switch and after it, so that this alone changes no file that trusts.
func (b Bundle) all(name string) []Pair {
	now := b.Generation(name)
	switch {
	case b.Beside == nil || b.Beside.Name != name:
		return []Pair{now}
	case b.Beside.Older:
		return []Pair{b.Beside.Pair, now}
	}
	return []Pair{now, b.Beside.Pair}
}

// Trusted are the certificates of an authority that are trusted, in PEM; of a name that is no
// authority's, its certificate.
func (b Bundle) Trusted(name string) []byte {
	var out []byte
	for _, p := range b.all(name) {
		if n := len(out); n > 0 && out[n-1] != '\n' {
			out = append(out, '\n')
		}
		out = append(out, p.Cert...)
	}
	return out
}

// FileOf is what machines have in the file of a certificate, in PEM: of an authority all generations that are trusted. Of a server that
// others than our own programs ask, there is behind its certificate, as long as the older authority is trusted, that by which it vouches for the next one.
func (b Bundle) FileOf(name string) []byte {
	out, shown := b.Trusted(name), name == APIServer || strings.HasPrefix(name, EtcdServer(""))
	if !shown || b.Beside == nil || b.Beside.Name != AuthorityOf(name) || len(b.Beside.Cross) == 0 {
		return out
	}
	return slices.Concat(bytes.TrimSpace(out), []byte("\n"), b.Beside.Cross)
}

// ServiceAccountPubs are the public keys by which tokens of service accounts are verified.
func (b Bundle) ServiceAccountPubs() []byte { return b.Trusted(ServiceAccount) }

// A NamedKey encrypts Secrets under a name, which is part of what it encrypted.
type NamedKey struct {
	Name string
	Key  []byte
}

// EncryptionKeys are those by which Secrets are read; the first one writes.
func (b Bundle) EncryptionKeys() []NamedKey {
	now := b.Generation(Encryption)
	out := []NamedKey{{string(now.Cert), now.Key}}
	if b.Beside != nil && b.Beside.Name == Encryption {
		out = append(out, NamedKey{string(bytes.TrimSpace(b.Beside.Pair.Cert)), b.Beside.Pair.Key})
	}
	return out
}

// LeaseKeys sign what load balancers and voters tell each other; the first one signs, all of them are believed. Each comes
// from an encryption key, and tells nothing about it (RFC 5869).
func (b Bundle) LeaseKeys() [][]byte {
	var out [][]byte
	for _, k := range b.EncryptionKeys() {
		if len(k.Key) == 0 {
			continue // what anybody could make is no key
		}
		key, err := hkdf.Key(sha256.New, k.Key, nil, "haplane/lease", sha256.Size)
		if err != nil { // only one that is longer than 255 digests
			panic(fmt.Sprintf("pki: %v", err))
		}
		out = append(out, key)
	}
	return out
}

// Next makes the generation that comes after the one that a bundle has under a name.
func Next(b Bundle, rows []Row, name string, now time.Time, random io.Reader) (Pair, error) {
	switch name {
	case ServiceAccount:
		private, public, err := serviceAccountKey(nil, random)
		return Pair{Cert: public, Key: private}, err
	case Encryption:
		key := make([]byte, encryptionKeyLength)
		_, err := io.ReadFull(random, key)
		return Pair{Cert: []byte(following(string(b.Generation(Encryption).Cert), "key", "")), Key: key}, err
	}
	for _, row := range rows {
		if row.Name != name || row.CA != "" {
			continue
		}
		old, err := ParseCertificate(b.Pairs[name].Cert)
		if err != nil {
			return Pair{}, fmt.Errorf("read authority %s: %w", name, err)
		}
		// Of another name than the old one, so that a server tells which of them it trusts.
		row.CommonName = following(old.Subject.CommonName, row.CommonName, "-")
		return issue(row, Pair{}, now, random)
	}
	return Pair{}, fmt.Errorf("there is no authority %s", name)
}

// following is the name of the generation after that of a name: key2 after key1, kubernetes-2 after kubernetes.
func following(name, base, separator string) string {
	number, err := strconv.Atoi(strings.TrimPrefix(name, base+separator))
	if err != nil {
		number = 1
	}
	return base + separator + strconv.Itoa(number+1)
}

// KeyID is what a token of a service account says of the public key, in PEM, that it is verified
// by: as pkg/serviceaccount/jwt.go of Kubernetes derives it.
func KeyID(public []byte) string {
	block, _ := pem.Decode(public)
	if block == nil {
		return ""
	}
	sum := sha256.Sum256(block.Bytes)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Contains reports whether a certificate is one of a bundle in PEM.
func Contains(bundle, certificate []byte) bool {
	want, _ := pem.Decode(certificate)
	for want != nil {
		var block *pem.Block
		if block, bundle = pem.Decode(bundle); block == nil {
			return false
		}
		if bytes.Equal(block.Bytes, want.Bytes) {
			return true
		}
	}
	return false
}

// Without is a bundle in PEM without a certificate.
func Without(bundle, certificate []byte) []byte {
	unwanted, _ := pem.Decode(certificate)
	var out []byte
	for {
		var block *pem.Block
		if block, bundle = pem.Decode(bundle); block == nil {
			return out
		}
		if unwanted == nil || !bytes.Equal(block.Bytes, unwanted.Bytes) {
			out = append(out, pem.EncodeToMemory(block)...)
		}
	}
}

// Line is a line of a certificate in PEM that no other one has: by it a bundle is told that has it.
func Line(certificate []byte) string {
	lines := strings.Split(strings.TrimSpace(string(certificate)), "\n")
	if len(lines) < 4 {
		return "no certificate"
	}
	return lines[len(lines)-3] // of the signature or the key; the last one may be short
}

// Blocks are the parts of a PEM text, each by itself.
func Blocks(data []byte) [][]byte {
	var out [][]byte
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return out
		}
		out = append(out, pem.EncodeToMemory(block))
	}
}
