package snapshot

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/haplane/haplane/internal/pki"
)

func archive(t *testing.T, recipients ...age.Recipient) ([]byte, map[string][]byte) {
	t.Helper()
	database := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(database, bytes.Repeat([]byte("data"), 300), 0o600); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{"record.json": []byte("{}"), "pki/ca.key": []byte("secret"), "cluster.yaml": nil}
	var out bytes.Buffer
	m := Manifest{Cluster: "demo", Lineage: "L", Taken: time.Unix(1e9, 0).UTC(), Revision: 7, Keys: 3}
	if err := Write(&out, m, database, files, recipients); err != nil {
		t.Fatal(err)
	}
	return out.Bytes(), files
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for name, recipients := range map[string][]age.Recipient{"plain": nil, "encrypted": {key.Recipient()}} {
		t.Run(name, func(t *testing.T) {
			data, files := archive(t, recipients...)
			if encrypted := !bytes.Contains(data, []byte("secret")); encrypted != (recipients != nil) {
				t.Errorf("encrypted %v", encrypted)
			}
			var db bytes.Buffer
			m, got, err := Read(bytes.NewReader(data), []age.Identity{key}, &db)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(files, got, cmp.Comparer(bytes.Equal)); diff != "" || db.Len() != 1200 || m.Revision != 7 || m.Lineage != "L" {
				t.Error(diff, db.Len(), m)
			}
			if head, err := Head(bytes.NewReader(data), []age.Identity{key}); err != nil || head.Revision != 7 {
				t.Error(head, err)
			}
		})
	}
	data, _ := archive(t, key.Recipient())
	if _, _, err := Read(bytes.NewReader(data), nil, io.Discard); !errors.Is(err, ErrEncrypted) {
		t.Errorf("without a key: %v", err)
	}
	other, _ := age.GenerateX25519Identity()
	if _, _, err := Read(bytes.NewReader(data), []age.Identity{other}, io.Discard); err == nil || !strings.Contains(err.Error(), "decrypt") {
		t.Errorf("with another key: %v", err)
	}
}

// Wherever an archive is cut off, and whatever byte of its content is another one, that is seen. (Past the last byte of the
// last file there is nothing but zeroes.)
func TestDamageIsSeen(t *testing.T) {
	data, _ := archive(t)
	content := len(bytes.TrimRight(data, "\x00"))
	rapid.Check(t, func(t *rapid.T) {
		cut := rapid.IntRange(0, content-1).Draw(t, "cut")
		var damaged *DamagedError
		if _, _, err := Read(bytes.NewReader(data[:cut]), nil, io.Discard); !errors.As(err, &damaged) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
	})
	at := bytes.Index(data, []byte("secret"))
	changed := bytes.Clone(data)
	changed[at] ^= 1
	if _, _, err := Read(bytes.NewReader(changed), nil, io.Discard); err == nil || !strings.Contains(err.Error(), "pki/ca.key is missing or not as its manifest says") {
		t.Errorf("another key: %v", err)
	}
}

func TestGenerationsOfKeysInAnArchive(t *testing.T) {
	block := func(text string) []byte { return pem.EncodeToMemory(&pem.Block{Type: "X", Bytes: []byte(text)}) }
	keys := pki.Bundle{Pairs: map[string]pki.Pair{pki.CA: {Cert: block("ca")}, pki.FrontProxyCA: {Cert: block("front")}}, ServiceAccountPub: block("sa")}.During(pki.Trust, pki.CA, pki.Pair{Cert: block("next")})
	got := GenerationsIn(map[string][]byte{"pki/ca.crt": block("ca"), "pki/ca.next.crt": block("next"), "pki/sa.pub": block("sa"), "pki/front-proxy-ca.crt": block("front"), "pki/etcd/ca.crt": block("etcd")})
	if diff := cmp.Diff(pki.GenerationsOf(keys), got); diff != "" || len(got.CA) != 2 {
		t.Error(diff)
	}
}

func TestWhatIsNoSnapshot(t *testing.T) {
	var other bytes.Buffer
	w := tar.NewWriter(&other)
	_ = w.WriteHeader(&tar.Header{Name: "a", Size: 0, Mode: 0o600})
	_ = w.Close()
	for name, data := range map[string][]byte{"nothing": nil, "text": bytes.Repeat([]byte("text"), 1000), "another tar": other.Bytes()} {
		t.Run(name, func(t *testing.T) {
			var damaged *DamagedError
			if _, _, err := Read(bytes.NewReader(data), nil, io.Discard); !errors.As(err, &damaged) || !strings.Contains(err.Error(), "no snapshot of haplane's") {
				t.Error(err)
			}
		})
	}
}

func TestSealIsWhatEtcdAppends(t *testing.T) {
	file := filepath.Join(t.TempDir(), "db")
	data := bytes.Repeat([]byte{1}, 2*sector)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := checkSum(file); err == nil || !strings.Contains(err.Error(), "it was cut") {
		t.Errorf("without its hash: %v", err)
	}
	if err := Seal(file); err != nil {
		t.Fatal(err)
	}
	sealed, _ := os.ReadFile(file)
	sum := sha256.Sum256(data)
	if !bytes.Equal(sealed, append(data, sum[:]...)) || checkSum(file) != nil {
		t.Errorf("%d bytes, %v", len(sealed), checkSum(file))
	}
	sealed[3] = 9
	if err := os.WriteFile(file, sealed, 0o600); err != nil {
		t.Fatal(err)
	}
	if checkSum(file) == nil {
		t.Error("another byte is not seen")
	}
}

func TestKeysOfAge(t *testing.T) {
	key, _ := age.GenerateX25519Identity()
	dir := t.TempDir()
	private, public := filepath.Join(dir, "key"), filepath.Join(dir, "recipients")
	if err := errors.Join(os.WriteFile(private, []byte(key.String()+"\n"), 0o600), os.WriteFile(public, []byte("# me\n"+key.Recipient().String()+"\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if list, err := Recipients([]string{public, key.Recipient().String()}); err != nil || len(list) != 2 {
		t.Error(list, err)
	}
	if list, err := Identities([]string{private}); err != nil || len(list) != 1 {
		t.Error(list, err)
	}
	if _, err := Recipients([]string{"age1bad"}); err == nil {
		t.Error("a bad key is taken")
	}
	if _, err := Recipients([]string{private}); err == nil || strings.Contains(err.Error(), key.String()) {
		t.Errorf("a private key for a public one: %v", err)
	}
	if _, err := Identities([]string{public}); err == nil {
		t.Error("a public key is taken for a private one")
	}
}

// Whether Secrets can be read still is told by the manifest alone: by the sum of the key that is in the archive, or by its fingerprint.
func TestEncryptedAnew(t *testing.T) {
	now := []pki.NamedKey{{Name: "key3", Key: []byte("three")}, {Name: "key2", Key: []byte("two")}}
	with := func(key string) Manifest {
		return Manifest{Files: map[string]string{"pki/encryption.key": digest([]byte(key))}}
	}
	for name, test := range map[string]struct {
		m          Manifest
		anew, keys bool
	}{
		"with the key of now":         {with("three"), false, true},
		"with that beside it":         {with("two"), false, true},
		"with one of then":            {with("one"), true, true},
		"without, of now":             {Manifest{Encryption: Fingerprint("key3", []byte("three"))}, false, false},
		"without, under another name": {Manifest{Encryption: Fingerprint("key1", []byte("three"))}, true, false},
		"without, of then":            {Manifest{Encryption: Fingerprint("key1", []byte("one"))}, true, false},
		"encrypted in it":             {Manifest{Files: map[string]string{depositName: "x"}}, false, true},
		"of an older haplane":         {Manifest{}, false, false},
	} {
		if anew, keys := test.m.EncryptedAnew(now), test.m.HasKeys(); anew != test.anew || keys != test.keys {
			t.Errorf("%s: encrypted anew since %v, with keys %v", name, anew, keys)
		}
		if test.m.EncryptedAnew(nil) {
			t.Errorf("%s: nobody knows the keys of now", name)
		}
	}
}
