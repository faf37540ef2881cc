package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/internal/durable"
	"github.com/haplane/haplane/internal/etcdapi"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/snapshot"
	"github.com/haplane/haplane/internal/topology"
)

// A SnapshotError is a file that is no snapshot which could be used.
type SnapshotError struct {
	File string
	Err  error
}

func (e *SnapshotError) Error() string { return fmt.Sprintf("snapshot %s: %v", e.File, e.Err) }
func (e *SnapshotError) Unwrap() error { return e.Err }

// A Snapshot is one in a file. Its JSON is stable.
type Snapshot struct {
	File      string    `json:"file"`           // a path, or NODE:NAME of one on a machine
	Node      string    `json:"node,omitempty"` // whose machine has taken and keeps it
	Bytes     int64     `json:"bytes"`
	Encrypted bool      `json:"encrypted"`
	Verified  bool      `json:"verified"` // all of it was read, and its data restored once
	Cluster   string    `json:"cluster,omitempty"`
	Member    string    `json:"member,omitempty"` // whose data it is
	Taken     time.Time `json:"taken,omitzero"`
	Revision  int64     `json:"revision,omitempty"`
	Keys      int       `json:"keys,omitempty"`
	// Stale names what was rotated since, of what objects in it depend on: ca, front-proxy-ca, service-account, encryption.
	Stale []string `json:"stale,omitempty"`
	// WithoutKeys says that it is etcd's data alone: once the encryption key is rotated, its Secrets cannot be read any more, and it is not restored.
	WithoutKeys bool   `json:"withoutKeys,omitempty"`
	Error       string `json:"error,omitempty"` // why nothing is known of it
}

func (s *Snapshot) fill(m snapshot.Manifest) {
	s.Cluster, s.Member, s.Taken, s.Revision, s.Keys = m.Cluster, m.Member, m.Taken, m.Revision, m.Keys
}

// compare notes what was rotated since, by the keys of now.
func (s *Snapshot) compare(m snapshot.Manifest, now pki.Bundle) {
	s.Stale, s.WithoutKeys = m.Generations.Stale(now), !m.HasKeys()
	if m.EncryptedAnew(now.EncryptionKeys()) {
		s.Stale = append(s.Stale, pki.RotateEncryption)
	}
}

// EncryptedAnew reports whether the encryption key was rotated since, and Unreadable whether nobody can read its Secrets any more.
func (s Snapshot) EncryptedAnew() bool { return slices.Contains(s.Stale, pki.RotateEncryption) }

func (s Snapshot) Unreadable() bool { return s.EncryptedAnew() && s.WithoutKeys }

// SnapshotFile is where a snapshot is kept that nobody named.
func (h *Handle) SnapshotFile(encrypted bool) string { return h.env.snapshotPath(encrypted) }

func (e *env) snapshotPath(encrypted bool) string {
	name := time.Now().UTC().Format("20060102T150405Z") + ".tar"
	if encrypted {
		name += ".age"
	}
	return filepath.Join(e.Store.Snapshots(), name)
}

// RetainSnapshots removes all but the newest few of the cluster's folder, and names them.
func (h *Handle) RetainSnapshots(keep int) ([]string, error) {
	return h.env.Store.RetainSnapshots(keep)
}

// Leaves reports whether a file is outside of haplane's folder of the cluster.
func (h *Handle) Leaves(file string) bool {
	abs, err := filepath.Abs(file)
	if err != nil {
		return true
	}
	rel, err := filepath.Rel(h.env.Store.Dir, abs)
	return err != nil || rel == ".." || strings.HasPrefix(rel, "../")
}

// etcdutl is the program of the image that the cluster's machines are made from, or else this host's own.
func (e *env) etcdutl() (string, error) {
	if r, err := e.Store.Record(); err == nil && r.Versions.ImageRoot != "" {
		program := filepath.Join(r.Versions.ImageRoot, topology.BinDir, "etcdutl")
		if _, err := os.Stat(program); err == nil {
			return program, nil
		}
	}
	program, err := exec.LookPath("etcdutl")
	if err != nil {
		return "", withHint(errors.New("program etcdutl is neither in the cache, in the image of this cluster, nor on this host"), "haplane image build makes it")
	}
	return program, nil
}

// work is a folder in the store for data that is not kept. What an earlier run left goes.
func (e *env) work() (dir string, done func(), err error) {
	parent := filepath.Join(e.Store.Dir, "tmp")
	if err := durable.MkdirAll(parent, 0o700); err != nil {
		return "", nil, err
	}
	old, _ := filepath.Glob(filepath.Join(parent, "etcd-*-*"))
	for _, left := range old {
		var pid int
		if _, err := fmt.Sscanf(filepath.Base(left), "etcd-%d-", &pid); err == nil && errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			_ = os.RemoveAll(left)
		}
	}
	if dir, err = os.MkdirTemp(parent, fmt.Sprintf("etcd-%d-", os.Getpid())); err != nil {
		return "", nil, err
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}

// SaveSnapshot takes etcd's data from a member, a follower where there is one that is healthy, verifies it, and writes
// it with the record, the cluster file and the keys to a file.
func (h *Handle) SaveSnapshot(ctx context.Context, file string, recipients []age.Recipient) (*Snapshot, error) {
	survey, err := h.env.survey(ctx)
	if err != nil {
		return nil, err
	}
	return h.env.saveSnapshot(ctx, survey, file, recipients)
}

func (e *env) saveSnapshot(ctx context.Context, survey etcdapi.Survey, file string, recipients []age.Recipient) (*Snapshot, error) {
	from, err := survey.SnapshotSource("")
	if err != nil {
		return nil, withHint(err, "haplane etcd members --cluster "+e.topology.Name)
	}
	dir, done, err := e.work()
	if err != nil {
		return nil, err
	}
	defer done()
	database := filepath.Join(dir, snapshot.Database)
	if err := e.download(ctx, from.Member, database); err != nil {
		return nil, err
	}
	program, err := e.etcdutl()
	if err != nil {
		return nil, err
	}
	state, err := snapshot.Check(ctx, program, database)
	if err != nil {
		return nil, fmt.Errorf("verify the snapshot of %s: %w", from.Member.Name, err)
	}
	record, err := e.Store.Record()
	if err != nil {
		return nil, err
	}
	files, err := e.Store.RestoreFiles()
	if err == nil {
		err = e.loadKeys()
	}
	if err != nil {
		return nil, err
	}
	m := snapshot.Manifest{Cluster: e.topology.Name, Lineage: record.Lineage, EtcdCluster: fmt.Sprintf("%x", survey.ClusterID), Member: from.Member.Name,
		Etcd: from.Version, Taken: time.Now().UTC().Truncate(time.Second), Revision: state.Revision, Keys: state.Keys, Generations: pki.GenerationsOf(e.keys)}
	if err := snapshot.WriteFile(file, m, database, files, recipients); err != nil {
		return nil, err
	}
	out := &Snapshot{File: file, Encrypted: len(recipients) > 0, Verified: true}
	out.fill(m)
	if info, err := os.Stat(file); err == nil {
		out.Bytes = info.Size()
	}
	return out, nil
}

// download takes a snapshot of a member into a file.
func (e *env) download(ctx context.Context, from etcdapi.Member, file string) error {
	client, err := e.access().Etcd(e.etcdNodes())
	if err != nil {
		return err
	}
	defer client.Close()
	return snapshot.SaveDatabase(file, func(to io.Writer) error { return client.Snapshot(ctx, from, to) })
}

// Snapshots lists those in the cluster's folder, the oldest first.
func (h *Handle) Snapshots(identities []age.Identity) ([]Snapshot, error) {
	_ = h.env.loadKeys() // without them there is nothing to compare with
	return h.env.savedSnapshots(identities)
}

func (e *env) savedSnapshots(identities []age.Identity) ([]Snapshot, error) {
	files, err := e.Store.SnapshotFiles()
	if err != nil {
		return nil, err
	}
	out := []Snapshot{}
	for _, file := range files {
		one := Snapshot{File: file, Encrypted: strings.HasSuffix(file, ".age")}
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		if info, err := f.Stat(); err == nil {
			one.Bytes = info.Size()
		}
		m, err := snapshot.Head(f, identities)
		f.Close()
		switch {
		case errors.Is(err, snapshot.ErrEncrypted):
			one.Encrypted = true
		case err != nil:
			one.Error = err.Error()
		default:
			one.fill(m)
			one.compare(m, e.keys)
		}
		out = append(out, one)
	}
	return out, nil
}

// VerifySnapshot reads all of a snapshot and restores its data once, into a folder that is removed again.
func (h *Handle) VerifySnapshot(ctx context.Context, file string, identities []age.Identity) (*Snapshot, error) {
	dir, done, err := h.env.work()
	if err != nil {
		return nil, err
	}
	defer done()
	m, _, err := h.env.readSnapshot(ctx, file, identities, filepath.Join(dir, snapshot.Database))
	if err != nil {
		return nil, err
	}
	out := &Snapshot{File: file, Verified: true}
	out.fill(m)
	if info, err := os.Stat(file); err == nil {
		out.Bytes = info.Size()
	}
	return out, nil
}

// readSnapshot writes the database of a snapshot to a file, and verifies all of it.
func (e *env) readSnapshot(ctx context.Context, file string, identities []age.Identity, database string) (snapshot.Manifest, map[string][]byte, error) {
	fail := func(err error) (snapshot.Manifest, map[string][]byte, error) {
		return snapshot.Manifest{}, nil, &SnapshotError{file, err}
	}
	from, err := os.Open(file)
	if err != nil {
		return fail(err)
	}
	defer from.Close()
	to, err := os.OpenFile(database, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return snapshot.Manifest{}, nil, err
	}
	defer to.Close()
	m, files, err := snapshot.Read(from, identities, to)
	if errors.Is(err, snapshot.ErrEncrypted) {
		return snapshot.Manifest{}, nil, withHint(&SnapshotError{file, err}, "--identity FILE has the private key")
	}
	if err != nil {
		return fail(err)
	}
	if err := to.Sync(); err != nil {
		return fail(err)
	}
	program, err := e.etcdutl()
	if err != nil {
		return snapshot.Manifest{}, nil, err
	}
	state, err := snapshot.Check(ctx, program, database)
	if err != nil {
		return fail(err)
	}
	if state.Revision != m.Revision {
		return fail(fmt.Errorf("its data ends at revision %d, its manifest says %d", state.Revision, m.Revision))
	}
	return m, files, nil
}
