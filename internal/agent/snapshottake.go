package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/internal/durable"
	"github.com/haplane/haplane/internal/etcdapi"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/snapshot"
)

// A storage is etcd, as far as snapshots need it.
type storage interface {
	// Alone calls fn while no other machine takes a snapshot; the context ends where that is not sure any more.
	Alone(ctx context.Context, fn func(context.Context) error) error
	Survey(ctx context.Context) etcdapi.Survey
	Snapshot(ctx context.Context, of etcdapi.Member, to io.Writer) error
	Close() error
}

// workDir is where a snapshot is until it is verified; what an earlier run left there is no snapshot.
const workDir = "work"

// take takes a snapshot, verifies it, keeps it, and then removes those that are too many.
func (k *snapshotKeeper) take(ctx context.Context, c render.SnapshotConfig) error {
	etcd, err := k.open()
	if err != nil {
		return err
	}
	defer etcd.Close()
	return etcd.Alone(ctx, func(ctx context.Context) error {
		c, err := k.config() // what counts by now: it may have waited for its turn
		if err != nil || k.changing() {
			return err
		}
		survey := etcd.Survey(ctx)
		from, err := survey.SnapshotSource(c.Node)
		if err != nil {
			return err
		}
		if err := k.room(from.DBSize); err != nil {
			return err
		}
		work := filepath.Join(k.dir, workDir)
		if err := errors.Join(os.RemoveAll(work), os.MkdirAll(work, 0o700)); err != nil {
			return err
		}
		defer os.RemoveAll(work)
		database := filepath.Join(work, snapshot.Database)
		if err := snapshot.SaveDatabase(database, func(to io.Writer) error { return etcd.Snapshot(ctx, from.Member, to) }); err != nil {
			return err
		}
		state, err := k.check(ctx, database)
		if err != nil {
			return fmt.Errorf("verify the snapshot of %s: %w", from.Member.Name, err)
		}
		if err := k.restoring(); err != nil { // by now
			return err
		}
		one := snapshot.NewKept(k.now(), state.Revision, len(c.Recipients) > 0)
		m := snapshot.Manifest{Cluster: c.Cluster, Lineage: c.Lineage, EtcdCluster: fmt.Sprintf("%x", survey.ClusterID), Member: from.Member.Name,
			Etcd: from.Version, Taken: one.Taken, Revision: state.Revision, Keys: state.Keys, Encryption: c.Encryption, Generations: c.Generations}
		if err := k.write(ctx, c, one, m, database); err != nil {
			return err
		}
		removed, err := snapshot.Retain(k.dir, c.Retain, one)
		k.kept(one, from.Member.Name, removed)
		return err
	})
}

// spare is left to whatever else is on the disk, etcd itself among it, and to the log that etcdutl makes to restore one.
const spare = 256 << 20

// room is an error where a snapshot would fill the disk: it is there as it came, restored, and as it is kept.
func (k *snapshotKeeper) room(size int64) error {
	if err := durable.MkdirAll(k.dir, 0o700); err != nil {
		return err
	}
	free, err := k.free(k.dir)
	if err != nil {
		return fmt.Errorf("see how much room there is: %w", err)
	}
	if need := 3*uint64(max(size, 0)) + spare; free < need {
		return fmt.Errorf("%s has %d MiB left, and a snapshot takes %d to be taken, verified and kept: those that are there stay", k.dir, free>>20, need>>20)
	}
	return nil
}

func freeBytes(dir string) (uint64, error) {
	var s unix.Statfs_t
	err := unix.Statfs(dir, &s)
	return s.Bavail * uint64(s.Bsize), err
}

// write gives the archive its name when all of it is on the disk. Until then it is where the next attempt clears up.
func (k *snapshotKeeper) write(ctx context.Context, c render.SnapshotConfig, one snapshot.Kept, m snapshot.Manifest, database string) error {
	to, err := snapshot.Recipients(c.Recipients)
	if err != nil {
		return err
	}
	var deposit []byte
	if c.Deposit != "" {
		if deposit, err = os.ReadFile(c.Deposit); err != nil {
			return fmt.Errorf("read the keys that go along, encrypted: %w", err)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	made := filepath.Join(k.dir, workDir, one.Name)
	if err := snapshot.WriteFile(made, m, database, snapshot.WithDeposit(deposit), to); err != nil {
		return err
	}
	if err := os.Rename(made, filepath.Join(k.dir, one.Name)); err != nil {
		return err
	}
	return durable.SyncDir(k.dir)
}
