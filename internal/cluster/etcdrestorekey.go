package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/apply"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/snapshot"
	"github.com/haplane/haplane/internal/store"
)

// keysIn are the encryption keys in the files of a snapshot: that which wrote, and the next one, where one was coming.
func keysIn(files map[string][]byte) []pki.NamedKey {
	var out []pki.NamedKey
	for _, file := range []string{"pki/encryption", "pki/encryption.next"} {
		if key := files[file+".key"]; len(key) > 0 {
			then := pki.Bundle{EncryptionName: strings.TrimSpace(string(files[file+".name"])), EncryptionKey: key}
			out = append(out, then.EncryptionKeys()...)
		}
	}
	return out
}

// ownKey is the encryption key that a snapshot brings along because its Secrets cannot be read with those that the cluster has; nil where they can. The error
// says why they cannot be read either way.
func (e *env) ownKey(record *store.Record, m snapshot.Manifest, files map[string][]byte) (*pki.NamedKey, error) {
	var own []pki.NamedKey
	for _, k := range keysIn(files) {
		same := func(has pki.NamedKey) bool { return has.Name == k.Name && bytes.Equal(has.Key, k.Key) }
		if !slices.ContainsFunc(e.keys.EncryptionKeys(), same) {
			own = append(own, k)
		}
	}
	switch {
	case len(keysIn(files)) == 0:
		return nil, e.sameFingerprint(m)
	case len(own) == 0:
		return nil, nil
	}
	then := own[0].Name
	switch _, mine := e.cluster.Spec.ExtraArgs["kube-apiserver"]["encryption-provider-config"]; {
	case len(own) > 1:
		return nil, fmt.Errorf("its Secrets are encrypted with two keys of then, %s and %s, and API servers read with one beside that of now: it was taken while that was rotated", then, own[1].Name)
	case record.Rotation != nil:
		return nil, fmt.Errorf("its Secrets are encrypted with the key %s of then, and the rotation of %s is under way: both would need a second key or authority", then, record.Rotation.Name)
	case slices.ContainsFunc(e.keys.EncryptionKeys(), func(k pki.NamedKey) bool { return k.Name == then }):
		return nil, fmt.Errorf("its Secrets are encrypted with a key %s of then, and the cluster has another one of that name: API servers cannot tell what either has written", then)
	case mine:
		return nil, errors.New("its Secrets are encrypted with a key that the cluster does not have, and spec.extraArgs.kube-apiserver.encryption-provider-config has keys of its own")
	}
	return &own[0], nil
}

// keyHint names the way on where Secrets of a snapshot could not be read.
func (e *env) keyHint(record *store.Record, files map[string][]byte) string {
	name := e.topology.Name
	switch {
	case len(keysIn(files)) == 0:
		return fmt.Sprintf("one that haplane etcd snapshot save has taken, or machines for spec.etcd.snapshots.recipients, has the key of then in it and is restored with that; haplane etcd snapshot list --cluster %s tells which", name)
	case record.Rotation != nil:
		return fmt.Sprintf("haplane certs rotate %s --cluster %s goes on with it; restore it after that", record.Rotation.Name, name)
	}
	return fmt.Sprintf("haplane down --cluster %s, and then the same restore, of a copy outside of haplane's folder, makes the cluster of then with its keys", name)
}

// takeKey has API servers read with the key of a snapshot beside their own, in a restore of it; on the way back they have their own again.
func (l *live) takeKey() {
	if !l.restores() || l.Abort || l.Task.Encryption == "" {
		return
	}
	l.keysOf = func(rows []pki.Row) (pki.Bundle, error) {
		b, err := l.Store.Keys(rows)
		if err != nil {
			return b, err
		}
		then, err := l.Store.RestoredKey(l.Task.Encryption)
		if err != nil {
			return b, err
		}
		b.Beside = &pki.Beside{Name: pki.Encryption, Older: true, Pair: then}
		l.proofs = &apply.Rotation{Name: pki.RotateEncryption, Old: then, Next: b.Generation(pki.Encryption)}
		return b, nil
	}
}
