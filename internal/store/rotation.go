package store

import (
	"cmp"
	"fmt"
	"path"
	"path/filepath"
	"time"

	"github.com/haplane/haplane/internal/durable"
	"github.com/haplane/haplane/internal/pki"
)

// A Rotation is how far the change of an authority or a key for its next generation is. The phase says
// which of the two signs: no file is moved until the old one is needed no more.
type Rotation struct {
	Name  string    `json:"name"` // as the user gives it, such as etcd-ca
	Phase pki.Phase `json:"phase"`
	// Proved says that the phase has been carried out, and that it was seen everywhere.
	Proved bool `json:"proved,omitempty"`
	// ProvedAt is when that was.
	ProvedAt time.Time `json:"provedAt,omitempty,omitzero"`
	Began    time.Time `json:"began"`
	// Trusted is when trust in the next one had been seen everywhere: programs that began since have read it. Zero in the phase trust.
	Trusted time.Time `json:"trusted,omitempty,omitzero"`
	// Cross is the certificate by which an authority vouches for the next one, in PEM, made when the switch begins and kept because made once more
	// it would be another one; nil where there is none, as of an older haplane.
	Cross []byte `json:"cross,omitempty"`
	// Switched is when the last that signed with the old one had been seen to sign with the next one.
	Switched time.Time `json:"switched,omitempty,omitzero"`
	// Until is when the last token ends that the old key of service accounts has signed, as far as was seen.
	Until time.Time `json:"until,omitempty,omitzero"`
	// Told are tokens of the old key of which audit logs told when a phase was proved, with when each ends; zero where nobody knows that it does.
	Told map[string]time.Time `json:"told,omitempty"`
	// Gone are control-plane nodes whose machine was removed meanwhile, and with it the audit log that told of tokens; with when that was.
	Gone map[string]time.Time `json:"gone,omitempty"`
	// IgnoreOutside leaves out, in this phase, who comes from outside of the cluster: whoever goes on with it does not ask again.
	IgnoreOutside bool `json:"ignoreOutside,omitempty"`
}

// Lose notes that a control-plane machine was removed. What an earlier machine of the node told is gone as well.
func (r *Rotation) Lose(node string, at time.Time) {
	if r == nil || r.Name != pki.RotateServiceAccount {
		return
	}
	if r.Gone == nil {
		r.Gone = map[string]time.Time{}
	}
	r.Gone[node] = at
}

// TrustedAt is when trust in the next one had been seen everywhere, or, of a rotation that an older haplane began, the first time since that the record has.
func (r *Rotation) TrustedAt() time.Time { return cmp.Or(r.Trusted, r.Switched) }

// pairFiles are where the pair of a row is, or that of the service account key, or the encryption key with its name, below the folder pki.
func pairFiles(row string) (cert, key string) {
	extension := map[string]string{pki.ServiceAccount: ".pub", pki.Encryption: ".name"}[row]
	return row + cmp.Or(extension, ".crt"), row + ".key"
}

// nextFiles are where the next generation is until it is the only one, and the files whose place it takes.
func nextFiles(name string) (cert, key, certOf, keyOf string) {
	row := pki.Rotatable[name]
	certOf, keyOf = pairFiles(row)
	return row + ".next" + path.Ext(certOf), row + ".next.key", certOf, keyOf
}

// SaveNext writes the next generation of an authority or key: the key first, 0600 from its first byte.
func (s Store) SaveNext(name string, next pki.Pair) error {
	cert, key, _, _ := nextFiles(name)
	if err := s.save(filepath.Join("pki", key), next.Key, 0o600); err != nil {
		return err
	}
	return s.save(filepath.Join("pki", cert), next.Cert, 0o644)
}

// KeysDuring reads the keys as they are in a phase of a rotation; nil is none.
func (s Store) KeysDuring(rows []pki.Row, r *Rotation) (pki.Bundle, error) {
	b, err := s.first(rows)
	if err != nil {
		return b, err
	}
	record, err := s.readRecord()
	if err != nil {
		return b, err
	}
	if record != nil && b.EncryptionName == "" { // the file is lost
		b.EncryptionName = record.EncryptionName
	}
	if r == nil {
		return b, nil
	}
	next, err := s.next(*r)
	if err != nil {
		return b, err
	}
	b = b.During(r.Phase, pki.Rotatable[r.Name], next)
	if b.Beside != nil && b.Beside.Older {
		b.Beside.Cross = r.Cross
	}
	return b, nil
}

// next reads the next generation. Where the old one is dropped, Promote may have moved a part of it.
func (s Store) next(r Rotation) (pki.Pair, error) {
	cert, key, certOf, keyOf := nextFiles(r.Name)
	read := func(name, moved string) ([]byte, error) {
		data, err := s.load(filepath.Join("pki", name))
		if err == nil && data == nil && r.Phase == pki.Drop {
			name = moved
			data, err = s.load(filepath.Join("pki", moved))
		}
		if err == nil && len(data) == 0 {
			err = fmt.Errorf("%s is missing: it is the next generation of %s, which is being rotated; restore it from a backup", s.path("pki", name), r.Name)
		}
		return data, err
	}
	var pair pki.Pair
	var err error
	if pair.Key, err = read(key, keyOf); err != nil {
		return pair, err
	}
	pair.Cert, err = read(cert, certOf)
	return pair, err
}

// Promote puts the next generation in the place of the old one, which is gone then. Cut off, it is run again:
// until the record has no rotation any more, KeysDuring finds the parts in either place.
func (s Store) Promote(name string) error {
	cert, key, certOf, keyOf := nextFiles(name)
	for _, f := range [][2]string{{key, keyOf}, {cert, certOf}} {
		data, err := s.load(filepath.Join("pki", f[0]))
		if err != nil {
			return err
		}
		if data == nil {
			continue // moved already
		}
		if err := durable.Rename(s.path("pki", f[0]), s.path("pki", f[1])); err != nil {
			return fmt.Errorf("keep %s: %w", f[1], err)
		}
	}
	return nil
}

// Promoted reports whether Promote has come to its end: the certificate, or what tells the generations apart, goes last.
func (s Store) Promoted(name string) (bool, error) {
	cert, _, _, _ := nextFiles(name)
	data, err := s.load(filepath.Join("pki", cert))
	return data == nil, err
}

// ForgetNext removes a next generation that nobody trusts.
func (s Store) ForgetNext(name string) error {
	cert, key, _, _ := nextFiles(name)
	if err := s.remove(filepath.Join("pki", cert)); err != nil {
		return err
	}
	return s.remove(filepath.Join("pki", key))
}

// check refuses what the program would stumble over later.
func (r *Rotation) check() error {
	switch {
	case r == nil:
		return nil
	case pki.Rotatable[r.Name] == "":
		return fmt.Errorf("rotation of %q: there is no such authority or key", r.Name)
	case r.Phase != pki.Trust && r.Phase != pki.Switch && r.Phase != pki.Drop:
		return fmt.Errorf("rotation of %s: its phase is %q", r.Name, r.Phase)
	case len(r.Cross) == 0:
		return nil
	}
	if _, err := pki.ParseCertificate(r.Cross); err != nil {
		return fmt.Errorf("rotation of %s: what the old one vouches by for the next one: %w", r.Name, err)
	}
	return nil
}
