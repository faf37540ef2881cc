package cluster

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"sigs.k8s.io/yaml"

	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/snapshot"
	"github.com/haplane/haplane/internal/store"
)

// addSnapshots finds what machines need for the snapshots that they take by themselves. It is made once: encrypted
// once more, the keys in it would be other bytes.
func (l *live) addSnapshots() error {
	s := l.topology.Snapshots
	if !s.Scheduled() {
		return nil
	}
	if l.record.Lineage == "" { // that of a new cluster, which begin writes down
		l.record.Lineage = rand.Text()
	}
	l.snapshots = render.Snapshots{Lineage: l.record.Lineage, Generations: pki.GenerationsOf(l.keys)}
	keys := l.keys.EncryptionKeys()
	written := keys[0]
	if r := l.rotation; r != nil && r.Name == pki.RotateEncryption && r.Phase == pki.Switch { // not all Secrets are rewritten yet
		written = keys[len(keys)-1]
	}
	if len(written.Key) > 0 {
		l.snapshots.Encryption = snapshot.Fingerprint(written.Name, written.Key)
	}
	if len(s.Recipients) == 0 {
		return nil
	}
	text, err := l.textInTheEnd()
	if err != nil {
		return err
	}
	files, err := l.Store.DepositFiles(l.recordInTheEnd(), l.keys, text)
	if err != nil {
		return err
	}
	to, err := snapshot.Recipients(s.Recipients)
	if err != nil {
		return err
	}
	l.snapshots.DepositDigest = depositDigest(files, l.record.Lineage, s.Recipients, l.versions())
	if l.snapshots.Deposit, err = snapshot.SealFiles(files, to); err != nil {
		return fmt.Errorf("encrypt the keys for snapshots: %w", err)
	}
	return nil
}

// depositDigest tells one deposit from another. What is made anew without anybody having to have it, as
// certificates of programs, does not make it another one.
func depositDigest(files map[string][]byte, lineage string, recipients []string, v store.Versions) string {
	h := sha256.New()
	fmt.Fprintln(h, lineage, recipients, v.Kubernetes, v.Image)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if name == "cluster.yaml" || lasting[name] {
			fmt.Fprintf(h, "%s %x\n", name, sha256.Sum256(files[name]))
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// lasting are the keys that nothing replaces when they are lost.
var lasting = func() map[string]bool {
	out := map[string]bool{}
	for _, row := range []string{pki.CA, pki.EtcdCA, pki.FrontProxyCA, "sa", "encryption"} {
		for _, ext := range []string{".crt", ".pub", ".name", ".key"} {
			out["pki/"+row+ext], out["pki/"+row+".next"+ext] = true, true
		}
	}
	return out
}()

// textInTheEnd is the cluster file when the change has ended.
func (l *live) textInTheEnd() ([]byte, error) {
	if l.Text != nil {
		return l.Text, nil
	}
	text, err := l.Store.ClusterText()
	if errors.Is(err, fs.ErrNotExist) {
		return yaml.Marshal(l.Wanted)
	}
	return text, err
}

// recordInTheEnd is the record when the change has ended.
func (l *live) recordInTheEnd() store.Record {
	r := *l.record
	r.Applied, r.Wanted, r.Change, r.Rotation, r.Versions = l.Wanted, nil, nil, l.rotation, l.versions()
	if r.Rotation != nil && r.Rotation.Phase == pki.Drop {
		r.Rotation = nil
	}
	r.Nodes = []store.Node{}
	for _, n := range l.topology.Nodes {
		r.Nodes = append(r.Nodes, l.recordOf(n, store.Active))
	}
	return r
}
