package cluster

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/haplane/haplane/internal/image"
	"github.com/haplane/haplane/internal/snapshot"
	"github.com/haplane/haplane/internal/store"
)

// ImportSnapshot takes the record and the keys of a cluster out of a snapshot, where nothing of that cluster is on record
// here. The name is one that the cluster must have; "" is any. undo removes what was written, unless a machine was made since.
func ImportSnapshot(file, name string, identities []age.Identity) (h *Handle, undo func() error, err error) {
	fail := func(err error) (*Handle, func() error, error) { return nil, nil, &SnapshotError{file, err} }
	m, files, err := snapshotFiles(file, identities)
	if errors.Is(err, snapshot.ErrEncrypted) {
		return nil, nil, withHint(&SnapshotError{file, err}, "--identity FILE has the private key")
	}
	if err != nil {
		return fail(err)
	}
	if name != "" && m.Cluster != name {
		return fail(fmt.Errorf("it is of cluster %s, and --cluster is %s", m.Cluster, name))
	}
	record, err := store.ReadImport(files)
	if err != nil {
		return fail(err)
	}
	if record.Applied.Metadata.Name != m.Cluster || record.Lineage != m.Lineage {
		return fail(fmt.Errorf("its record is of another cluster than its manifest says: %s", record.Applied.Metadata.Name))
	}
	s, err := store.Open(m.Cluster)
	if err != nil {
		return fail(err)
	}
	unlock, err := s.Lock()
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	if err := nothingOf(s); err != nil {
		return nil, nil, err
	}
	findImage(&record.Versions)
	remove, err := s.Import(files, record)
	if err != nil {
		return nil, nil, err
	}
	if h, err = Open(s.Name()); err == nil {
		_, err = h.env.completeKeys(time.Now())
	}
	var lost *store.LostError
	if errors.As(err, &lost) {
		err = withHint(&SnapshotError{file, fmt.Errorf("it lacks what the cluster depends on, and nothing new is made in its place: %s", lostFiles(lost))},
			"a snapshot by haplane etcd snapshot save has the record and all keys; etcd's data alone is not enough without them")
	}
	var unsigned *UnsignedError
	if errors.As(err, &unsigned) { // the record stays: what was signed is imported, and the same command goes on
		return nil, nil, writeRequests(err)
	}
	if err != nil {
		return nil, nil, errors.Join(err, remove())
	}
	return h, func() error { return h.forgetImport(remove) }, nil
}

// snapshotFiles reads all that a snapshot has beside etcd's data, which is read past.
func snapshotFiles(file string, identities []age.Identity) (snapshot.Manifest, map[string][]byte, error) {
	from, err := os.Open(file)
	if err != nil {
		return snapshot.Manifest{}, nil, err
	}
	defer from.Close()
	return snapshot.Read(from, identities, io.Discard)
}

// nothingOf is an error where the store has anything of a cluster.
func nothingOf(s store.Store) error {
	if _, err := s.Record(); err == nil {
		return withHint(fmt.Errorf("cluster %s is on record in %s", s.Name(), s.Dir), "--cluster "+s.Name()+" restores that one")
	}
	kept, err := s.Kept()
	if err == nil && kept {
		err = withHint(fmt.Errorf("%s has keys or machines of a cluster %s, and no record of it that can be read", s.Dir, s.Name()), "move the folder away, or haplane down --cluster "+s.Name()+" removes what is left")
	}
	return err
}

// findImage looks for the image in the cache of here, by its digest. Where it was when the snapshot was taken is a path that
// whoever made the file has chosen, and programs in it are run.
func findImage(v *store.Versions) {
	if v.ImageRoot = ""; v.Image == "" {
		return
	}
	cache, err := CacheDir()
	if err != nil {
		return
	}
	if found, err := image.Open(cache, v.Image); err == nil {
		v.ImageRoot = found.Root
	}
}

func lostFiles(lost *store.LostError) string {
	var out []string
	for _, l := range lost.Secrets {
		out = append(out, l.File+" ("+l.Reason+")")
	}
	return strings.Join(out, ", ")
}

// forgetImport removes what came out of a snapshot, where nothing has begun with it.
func (h *Handle) forgetImport(remove func() error) error {
	s := h.env.Store
	record, err := s.Record()
	if err != nil {
		return err
	}
	made, err := h.env.power()
	if err != nil || record.Change != nil || len(made) > 0 {
		return err
	}
	kept, err := filepath.Glob(filepath.Join(filepath.Dir(s.Restored("x")), "*.db"))
	if err != nil {
		return err
	}
	for _, file := range kept {
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return remove()
}
