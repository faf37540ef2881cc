package cluster

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/snapshot"
	"github.com/haplane/haplane/internal/store"
)

// A key that was rotated since is another one by its name too, and is brought along; one that is read still is none. What API servers could not tell apart,
// or would need two further keys for, is said with the way on.
func TestSecretsOfASnapshot(t *testing.T) {
	keyed(t)
	e := opened(t).env
	if err := e.loadKeys(); err != nil {
		t.Fatal(err)
	}
	now := string(e.keys.EncryptionKey)
	files := func(parts ...string) map[string][]byte { // name, key, name and key of the next one
		out := map[string][]byte{}
		for i, file := range []string{"encryption.name", "encryption.key", "encryption.next.name", "encryption.next.key"} {
			if i < len(parts) && parts[i] != "" {
				out["pki/"+file] = []byte(parts[i])
			}
		}
		return out
	}
	for name, test := range map[string]struct {
		files      map[string][]byte
		encryption string
		rotation   *store.Rotation
		own        string
		says, hint string
	}{
		"as now":                 {files: files("", now)},
		"by its name":            {files: files("key1", now)},
		"under another name":     {files: files("key2", now), own: "key2"},
		"of before a rotation":   {files: files("key0", "other"), own: "key0"},
		"while it was rotated":   {files: files("key0", "other", "key1", now), own: "key0"},
		"while another one was":  {files: files("key0", "other", "key9", "next"), says: "two keys of then, key0 and key9", hint: "haplane down"},
		"another of the name":    {files: files("key1", "other"), says: "another one of that name", hint: "of a copy outside of haplane's folder"},
		"in another rotation":    {files: files("key0", "other"), rotation: &store.Rotation{Name: "ca", Phase: pki.Trust}, says: "the rotation of ca is under way", hint: "haplane certs rotate ca --cluster demo goes on with it"},
		"its key is that of now": {encryption: snapshot.Fingerprint("key1", []byte(now))},
		"nobody knows":           {},
		"its key is not in it":   {encryption: "key0 0123456789abcdef", says: "encrypted with the key key0 of then", hint: "haplane etcd snapshot list --cluster demo tells which"},
	} {
		record := &store.Record{Rotation: test.rotation}
		own, err := e.ownKey(record, snapshot.Manifest{Encryption: test.encryption}, test.files)
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, want %q", name, err, test.says)
		}
		if hint := e.keyHint(record, test.files); err != nil && !strings.Contains(hint, test.hint) {
			t.Errorf("%s: hint %q, want %q", name, hint, test.hint)
		}
		if (own == nil) != (test.own == "") || own != nil && (own.Name != test.own || string(own.Key) != string(test.files["pki/encryption.key"])) {
			t.Errorf("%s: its own key is %+v, want %q", name, own, test.own)
		}
	}
	e.cluster.Spec.ExtraArgs = map[string]map[string]string{"kube-apiserver": {"encryption-provider-config": "/etc/mine.yaml"}}
	if _, err := e.ownKey(&store.Record{}, snapshot.Manifest{}, files("key0", "other")); err == nil || !strings.Contains(err.Error(), "encryption-provider-config has keys of its own") {
		t.Errorf("with keys of the user's: %v", err)
	}
}

const encryptionConfig = "/etc/kubernetes/encryption.yaml"

// A snapshot of before the encryption key was rotated is restored with its own key: API servers read with both, and go on with theirs alone afterwards.
func TestRestoreWithAKeyOfItsOwn(t *testing.T) {
	s := certified(t)
	rows := run(s).rows
	file := snapshotOf(t, s, func(*snapshot.Manifest, map[string][]byte) {})
	then := must[pki.Bundle](t)(s.Keys(rows)).Generation(pki.Encryption)
	if err := errors.Join(s.SaveNext(pki.RotateEncryption, pki.Pair{Cert: []byte("key2"), Key: []byte("0123456789abcdef0123456789abcdef")}), s.Promote(pki.RotateEncryption)); err != nil {
		t.Fatal(err)
	}
	now := must[pki.Bundle](t)(s.Keys(rows)).Generation(pki.Encryption)
	q := must[Request](t)(opened(t).RestoreSnapshot(t.Context(), file, nil, true))
	if q.Task.Encryption != snapshot.Fingerprint("key1", then.Key) {
		t.Fatalf("its key is %q", q.Task.Encryption)
	}
	names := func(l *live) (out []string) {
		for _, k := range l.keys.EncryptionKeys() {
			out = append(out, k.Name)
		}
		text := string(l.rendered["cp-1"].Files[encryptionConfig].Data)
		if strings.Count(text, "name: key") != len(out) || strings.Index(text, "name: key2") > strings.Index(text+"name: key1", "name: key1") {
			t.Errorf("API servers have\n%s", text)
		}
		return out
	}
	l := must[*live](t)(newLive(q, testOptions(t, s)))
	if got := names(l); !slices.Equal(got, []string{"key2", "key1"}) || string(l.proofs.Old.Key) != string(then.Key) || string(l.proofs.Next.Key) != string(now.Key) {
		t.Errorf("keys %v, proofs %+v", got, l.proofs)
	}
	if text := strings.Join(l.taskWarnings(), "\n"); !strings.Contains(text, "Secrets in the snapshot are encrypted with its own key key1") {
		t.Errorf("warned of is\n%s", text)
	}
	l.change = &change.Change{Steps: []change.Step{{ID: change.WriteObject, Verb: change.WriteObject}}}
	if err := l.begin(); err != nil {
		t.Fatal(err)
	}
	if got := names(must[*live](t)(newLive(opened(t).Request(), testOptions(t, s)))); !slices.Equal(got, []string{"key2", "key1"}) {
		t.Errorf("cut off, and it goes on with %v", got)
	}
	if got := must[pki.Bundle](t)(s.Keys(rows)).EncryptionKeys(); len(got) != 1 || got[0].Name != "key2" {
		t.Errorf("the cluster's own keys become %v", got)
	}
	if err := l.settle(); err != nil {
		t.Fatal(err)
	}
	after := must[*store.Record](t)(s.Record())
	if after.Change == nil || after.Change.Task != nil {
		t.Fatalf("after the restore: %+v", after.Change)
	}
	if got := names(must[*live](t)(newLive(opened(t).Request(), testOptions(t, s)))); !slices.Equal(got, []string{"key2"}) {
		t.Errorf("the change after it leaves %v", got)
	}
	if _, err := s.RestoredKey(q.Task.Encryption); err == nil || !strings.Contains(err.Error(), "is missing: it is the key that Secrets of the snapshot are encrypted with") {
		t.Errorf("the key of then is kept: %v", err)
	}
}

// On the way back API servers read with what they had, and the key goes.
func TestTheWayBackFromAKeyOfItsOwn(t *testing.T) {
	s := certified(t)
	const own = "key0 0123456789abcdef"
	task := store.Task{ID: "a", Kind: change.RestoreData, Sum: "s", Snapshot: "s.db", Members: []string{"cp-1", "cp-2", "cp-3"}, Encryption: own}
	err := errors.Join(s.SaveRestoredKey(own, []byte("0123456789abcdef0123456789abcdef")), s.Update(func(r *store.Record) error {
		r.Change = &store.Change{ID: "1", Command: "haplane etcd restore", Started: time.Now(), Task: &task}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range task.Members {
		opened(t).env.whole(t, node)
	}
	opened(t).env.whole(t, "lb-1")
	on := must[*live](t)(newLive(opened(t).Request(), testOptions(t, s)))
	back := must[*live](t)(newLive(must[Request](t)(AbortRequest("demo")), testOptions(t, s)))
	if len(on.keys.EncryptionKeys()) != 2 || len(back.keys.EncryptionKeys()) != 1 || back.proofs != nil {
		t.Errorf("forward %d keys, back %d", len(on.keys.EncryptionKeys()), len(back.keys.EncryptionKeys()))
	}
	back.change = &change.Change{}
	if err := back.settle(); err != nil {
		t.Fatal(err)
	}
	if r := must[*store.Record](t)(s.Record()); r.Change != nil {
		t.Errorf("a change is left: %+v", r.Change)
	}
	if _, err := s.RestoredKey(own); err == nil {
		t.Error("the key is kept")
	}
	if _, err := os.Stat(s.Path("pki", "encryption.key")); err != nil {
		t.Error(err)
	}
}
