// Package snapshot keeps what it takes to bring a cluster back in one file: etcd's
// data, and beside it the record, the cluster file and the keys; encrypted with age where
// it leaves haplane's folder.
package snapshot

import (
	"archive/tar"
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"filippo.io/age"

	"github.com/haplane/haplane/internal/durable"
	"github.com/haplane/haplane/internal/pki"
)

const (
	schema       = 1
	manifestName = "manifest.json"
	// Database is the name of etcd's data in the archive, as etcd's own tools take it.
	Database = "etcd.db"
)

// A Manifest says what an archive has. It is its first file.
type Manifest struct {
	Schema      int               `json:"schema"`
	Cluster     string            `json:"cluster"`
	Lineage     string            `json:"lineage"`     // of the record: another cluster of that name has another
	EtcdCluster string            `json:"etcdCluster"` // etcd's ID of its cluster, in hexadecimal
	Member      string            `json:"member"`      // whose data it is
	Etcd        string            `json:"etcd"`        // version
	Taken       time.Time         `json:"taken"`
	Revision    int64             `json:"revision"`
	Keys        int               `json:"keys"`
	Files       map[string]string `json:"files"` // SHA-256 of all others, by name
	// Encryption tells the key that Secrets were encrypted with, see Fingerprint; absent where the archive has the key.
	Encryption string `json:"encryption,omitempty"`
	// Generations tell what else was rotated since; empty where an older haplane has taken it.
	Generations pki.Generations `json:"generations,omitzero"`
}

// A DamagedError is an archive that is not whole, or none.
type DamagedError struct{ Err error }

func (e *DamagedError) Error() string { return "it is damaged: " + e.Err.Error() }
func (e *DamagedError) Unwrap() error { return e.Err }

// ErrEncrypted means that nobody gave a key for an archive that is encrypted.
var ErrEncrypted = errors.New("it is encrypted")

// Write writes an archive: the database is the file at path. It is encrypted where there are recipients.
func Write(w io.Writer, m Manifest, database string, files map[string][]byte, recipients []age.Recipient) error {
	if len(recipients) > 0 {
		sealed, err := age.Encrypt(w, recipients...)
		if err != nil {
			return fmt.Errorf("encrypt: %w", err)
		}
		if err := write(sealed, m, database, files); err != nil {
			return err
		}
		return sealed.Close()
	}
	return write(w, m, database, files)
}

// WriteFile writes an archive that is there whole or not at all, and is nobody else's to read from its first byte.
func WriteFile(file string, m Manifest, database string, files map[string][]byte, recipients []age.Recipient) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	from, to := io.Pipe()
	go func() { to.CloseWithError(Write(to, m, database, files, recipients)) }()
	err := durable.Replace(file, 0o600, from)
	from.CloseWithError(errors.New("it cannot be written"))
	return err
}

func write(w io.Writer, m Manifest, database string, files map[string][]byte) error {
	db, err := os.Open(database)
	if err != nil {
		return err
	}
	defer db.Close()
	info, err := db.Stat()
	if err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, db); err != nil {
		return err
	}
	if _, err := db.Seek(0, io.SeekStart); err != nil {
		return err
	}
	m.Schema, m.Files = schema, map[string]string{Database: hex.EncodeToString(sum.Sum(nil))}
	for name, data := range files {
		m.Files[name] = digest(data)
	}
	head, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	add := func(name string, size int64, from io.Reader) error {
		if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: m.Taken, Format: tar.FormatPAX}); err != nil {
			return err
		}
		_, err := io.Copy(out, from)
		return err
	}
	errs := []error{add(manifestName, int64(len(head)), bytes.NewReader(head))}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		errs = append(errs, add(name, int64(len(files[name])), bytes.NewReader(files[name])))
	}
	errs = append(errs, add(Database, info.Size(), db), out.Close())
	return errors.Join(errs...)
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// largestFile bounds what is taken into memory of an archive: keys and the like.
const largestFile = 16 << 20

// Read reads an archive to its end, and writes the database to db. Whatever is missing, too much or not as the
// manifest says is a *DamagedError.
func Read(r io.Reader, identities []age.Identity, db io.Writer) (m Manifest, files map[string][]byte, err error) {
	in, err := opened(r, identities)
	if err != nil {
		return m, nil, err
	}
	files = map[string][]byte{}
	list := tar.NewReader(in)
	m, err = readManifest(list)
	if err != nil {
		return m, nil, &DamagedError{err}
	}
	sums := map[string]string{}
	for {
		header, err := list.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return m, nil, &DamagedError{cut(err)}
		}
		sum, to := sha256.New(), db
		var kept bytes.Buffer
		if header.Name != Database {
			to = &kept
			if header.Size > largestFile {
				return m, nil, &DamagedError{fmt.Errorf("%s has %d bytes", header.Name, header.Size)}
			}
		}
		if _, err := io.Copy(io.MultiWriter(sum, to), list); err != nil {
			return m, nil, &DamagedError{cut(err)}
		}
		sums[header.Name] = hex.EncodeToString(sum.Sum(nil))
		if header.Name != Database {
			files[header.Name] = kept.Bytes()
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Files)) {
		if sums[name] != m.Files[name] {
			return m, nil, &DamagedError{fmt.Errorf("%s is missing or not as its manifest says", name)}
		}
	}
	if len(sums) != len(m.Files) {
		return m, nil, &DamagedError{errors.New("it has files that its manifest does not")}
	}
	return m, files, openDeposit(files, identities)
}

func cut(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("it ends in the middle")
	}
	return err
}

// Fingerprint tells an encryption key from others without telling it: its name, and the begin of its SHA-256.
func Fingerprint(name string, key []byte) string { return name + " " + digest(key)[:16] }

// encryptionFile is the key that encrypts Secrets, in an archive that has the keys.
const encryptionFile = "pki/encryption.key"

// HasKeys reports whether the archive has the keys of the cluster, be they encrypted in it once more.
func (m Manifest) HasKeys() bool { return m.Files[encryptionFile] != "" || m.Files[depositName] != "" }

// EncryptedAnew reports whether Secrets in the archive are encrypted with a key that is none of those that are read with now, as far as the
// manifest tells.
func (m Manifest) EncryptedAnew(now []pki.NamedKey) bool {
	then, known := m.Files[encryptionFile], func(k pki.NamedKey) string { return digest(k.Key) }
	if then == "" {
		then, known = m.Encryption, func(k pki.NamedKey) string { return Fingerprint(k.Name, k.Key) }
	}
	return then != "" && len(now) > 0 && !slices.ContainsFunc(now, func(k pki.NamedKey) bool { return known(k) == then })
}

// GenerationsIn are those of an archive that has the keys, where its manifest does not tell.
func GenerationsIn(files map[string][]byte) pki.Generations {
	of := func(names ...string) (out []string) {
		for _, name := range names {
			out = append(out, pki.Fingerprints(files["pki/"+name])...)
		}
		return out
	}
	return pki.Generations{CA: of("ca.crt", "ca.next.crt"), FrontProxyCA: of("front-proxy-ca.crt", "front-proxy-ca.next.crt"), ServiceAccount: of("sa.pub", "sa.next.pub")}
}

// Head reads the manifest alone.
func Head(r io.Reader, identities []age.Identity) (Manifest, error) {
	in, err := opened(r, identities)
	if err != nil {
		return Manifest{}, err
	}
	m, err := readManifest(tar.NewReader(in))
	if err != nil {
		return m, &DamagedError{err}
	}
	return m, nil
}

const ageIntro = "age-encryption.org/"

func opened(r io.Reader, identities []age.Identity) (io.Reader, error) {
	in := bufio.NewReader(r)
	if intro, _ := in.Peek(len(ageIntro)); string(intro) != ageIntro {
		return in, nil
	}
	if len(identities) == 0 {
		return nil, ErrEncrypted
	}
	plain, err := age.Decrypt(in, identities...)
	if err != nil {
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	return plain, nil
}

func readManifest(list *tar.Reader) (m Manifest, err error) {
	header, err := list.Next()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, tar.ErrHeader), err == nil && header.Name != manifestName:
		return m, errors.New("it is no snapshot of haplane's")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return m, errors.New("it is no snapshot of haplane's, or the very beginning of one")
	case err != nil:
		return m, err
	case header.Size > largestFile:
		return m, errors.New("its manifest is too large")
	}
	data, err := io.ReadAll(list)
	if err != nil {
		return m, cut(err)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, fmt.Errorf("its manifest: %w", err)
	}
	if m.Schema != schema || m.Files[Database] == "" {
		return m, fmt.Errorf("its schema is %d, this haplane knows %d", m.Schema, schema)
	}
	return m, nil
}
