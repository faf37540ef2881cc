package cluster

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"filippo.io/age"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/durable"
	"github.com/haplane/haplane/internal/etcdapi"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/snapshot"
	"github.com/haplane/haplane/internal/store"
	"github.com/haplane/haplane/internal/topology"
)

// leap is how much the revision grows with a restore, beyond what was lost: more than clients can have seen
// of the time that is lost, so that no watch goes on with a revision that means something else now.
const leap = 1_000_000_000

// RestoreSnapshot asks for the data of a snapshot on all members. One that is older than what is there
// is refused unless that is said to be meant.
func (h *Handle) RestoreSnapshot(ctx context.Context, file string, identities []age.Identity, older bool) (Request, error) {
	e, q := h.env, h.Request()
	record, err := e.Store.Record()
	if err != nil {
		return q, err
	}
	interrupts, err := h.interrupted(ctx, record)
	if err != nil {
		return q, err
	}
	dir, done, err := e.work()
	if err != nil {
		return q, err
	}
	defer done()
	database := filepath.Join(dir, snapshot.Database)
	m, files, err := e.readSnapshot(ctx, file, identities, database)
	if err != nil {
		return q, err
	}
	if m.Lineage != record.Lineage {
		return q, &SnapshotError{file, fmt.Errorf("it is of another cluster: %s, taken %s, of lineage %s; this one is of lineage %s", m.Cluster, m.Taken.Format("2006-01-02 15:04:05 MST"), m.Lineage, record.Lineage)}
	}
	if err := e.loadKeys(); err != nil {
		return q, err
	}
	own, err := e.ownKey(record, m, files)
	if err != nil {
		return q, withHint(&SnapshotError{file, err}, e.keyHint(record, files))
	}
	q.Task = newTask(change.RestoreData)
	q.Task.Interrupts = interrupts
	if own != nil {
		q.Task.Encryption = snapshot.Fingerprint(own.Name, own.Key)
	}
	if len(m.Generations.CA) == 0 {
		m.Generations = snapshot.GenerationsIn(files)
	}
	q.Task.Stale = m.Generations.Stale(e.keys)
	here, err := e.hasMachines()
	if err != nil {
		return q, err
	}
	if q.Task.Revision = m.Revision; here {
		q.Task.Newest = e.newest(ctx)
	}
	q.Task.Leapt = record.Leapt(q.Task.Revision, q.Task.Newest)
	if cut := record.Change; restoring(cut) && !older {
		loss, err := e.lossOf(cut)
		if err == nil && loss.written {
			err = loss.refused(e.topology.Name, cut.Task.Note == "")
		}
		if err != nil {
			return q, err
		}
	}
	if lost := q.Task.Lost(); (lost > 0 || q.Task.Newest == 0 && here) && !older && !restoring(record.Change) {
		what := fmt.Sprintf("it has %d revisions less than the cluster: %d, taken %s; the cluster is at %d", lost, m.Revision, m.Taken.Format("2006-01-02 15:04:05 MST"), q.Task.Newest)
		if q.Task.Newest == 0 {
			what = "no etcd member answers, so nobody knows how much newer the data of the cluster is"
		}
		return q, withHint(&change.Refused{Step: "restore of " + file, Err: errors.New(what)}, "--discard-newer restores it all the same, and what is newer is lost")
	}
	if err := e.restoreTask(&q, record, database); err != nil || own == nil {
		return q, err
	}
	return q, e.Store.SaveRestoredKey(q.Task.Encryption, own.Key)
}

// newest is the last revision that any member has; 0 where none answers.
func (e *env) newest(ctx context.Context) int64 {
	survey, err := e.survey(ctx)
	if err != nil {
		return 0
	}
	client, err := e.access().Etcd(e.etcdNodes())
	if err != nil {
		return 0
	}
	defer client.Close()
	var last int64
	for _, m := range survey.Members {
		if revision, err := client.Revision(ctx, m.Member); err == nil {
			last = max(last, revision)
		}
	}
	return last
}

// restoreTask fills in who gets the data, and keeps the database where a run that was cut off finds it again.
func (e *env) restoreTask(q *Request, record *store.Record, database string) error {
	from, err := os.Open(database)
	if err != nil {
		return err
	}
	defer from.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, from); err != nil {
		return err
	}
	q.Task.Sum = hex.EncodeToString(sum.Sum(nil))
	q.Task.Snapshot = q.Task.Sum[:16] + ".db"
	seen := q.Task.Newest // or, where nobody told, at least what a restore before has leapt to
	for _, l := range record.Leaps {
		seen = max(seen, l.After+l.By)
	}
	q.Task.Bump = uint64(leap + max(seen-q.Task.Revision, 0))
	if c := record.Change; !restoring(c) || c.Task.Sum != q.Task.Sum { // else that goes on
		made, err := e.power()
		switch {
		case err != nil:
		case restoring(c):
			err = q.retarget(record, made)
		default:
			err = q.target(record, made)
		}
		if err != nil {
			return err
		}
	}
	keep := e.Store.Restored(q.Task.Snapshot)
	if err := durable.MkdirAll(filepath.Dir(keep), 0o700); err != nil {
		return err
	}
	return durable.Rename(database, keep)
}

// Recover asks for a quorum of those members that are left, where the machines of the others are gone for good. All
// have the data of the one that has most of it; the others are made anew afterwards. A restore that was cut off goes on first; where the
// quorum was lost before anybody had its data, or after a write had been acknowledged, it goes on with what is left, as another attempt.
func (h *Handle) Recover(ctx context.Context) (Request, error) {
	e, q := h.env, h.Request()
	record, err := e.Store.Record()
	if err != nil {
		return q, err
	}
	cut := record.Change
	if restoring(cut) {
		loss, err := e.lossOf(cut)
		if err != nil || !loss.written && !loss.own {
			return q, err
		}
	}
	interrupts, err := h.interrupted(ctx, record)
	if err != nil {
		return q, err
	}
	if err := e.connect(); err != nil {
		return q, err
	}
	defer e.close()
	left, gone, err := e.survivors(ctx, record)
	if err != nil {
		return q, err
	}
	dir, done, err := e.work()
	if err != nil {
		return q, err
	}
	defer done()
	program, err := e.etcdutl()
	if err != nil {
		return q, err
	}
	best, revision, why := topology.Node{}, int64(-1), []error(nil)
	for _, n := range left {
		database := filepath.Join(dir, n.Name)
		err := e.salvage(ctx, n, database)
		var state snapshot.State
		if err == nil {
			state, err = snapshot.Check(ctx, program, database)
		}
		if err != nil {
			why = append(why, fmt.Errorf("%s: %w", n.Name, err))
		} else if state.Revision > revision {
			best, revision = n, state.Revision
		}
	}
	if revision < 0 {
		return q, withHint(fmt.Errorf("no member that is left has data that could be used: %w", errors.Join(why...)), "haplane etcd restore FILE takes a snapshot instead")
	}
	q.Task = newTask(change.RestoreData)
	q.Task.Revision, q.Task.Newest, q.Task.Interrupts = revision, revision, interrupts
	if restoring(cut) { // its folders on the machines are those of this one
		q.Task.ID, q.Task.Attempt, q.Task.Interrupts, q.Task.Encryption = cut.Task.ID, cut.Task.Attempt+1, cut.Task.Interrupts, cut.Task.Encryption
	}
	q.Task.Note = fmt.Sprintf("etcd goes on with the data of %s, revision %d, of which the last entry was written %s: what %s acknowledged after that, and without it, is lost, and nobody knows how much that is",
		best.Name, revision, e.lastEntry(ctx, best), strings.Join(gone, " and "))
	return q, e.restoreTask(&q, record, filepath.Join(dir, best.Name))
}

// restoring reports whether a change that was cut off restores etcd's data.
func restoring(c *store.Change) bool {
	return c != nil && c.Task != nil && c.Task.Kind == change.RestoreData
}

// salvage copies the data of a member without quorum: from etcd, where it answers, or else from its folder. There an etcd that
// started without the others has replayed its log, answers nobody, and writes nothing.
func (e *env) salvage(ctx context.Context, n topology.Node, file string) error {
	client, err := e.access().Etcd([]topology.Node{n})
	if err != nil {
		return err
	}
	defer client.Close()
	member := etcdapi.Member{Name: n.Name, ClientURLs: []string{n.EtcdClientURL()}}
	if e.download(ctx, member, file) == nil {
		return nil
	}
	to, err := os.OpenFile(file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer to.Close()
	cmd := machine.Cmd("cat", topology.EtcdDataDir+"/member/snap/db")
	cmd.Stdout = to
	if _, err := e.machine(n).Run(ctx, cmd); err != nil {
		return err
	}
	return snapshot.Seal(file)
}

// lastEntry is when a member wrote its log last, in words.
func (e *env) lastEntry(ctx context.Context, n topology.Node) string {
	result, err := e.machine(n).Run(ctx, machine.Cmd("sh", "-c", `ls -t "$1"/*.wal | head -n 1 | xargs stat --format=%Y`, "sh", topology.EtcdDataDir+"/member/wal"))
	seconds, parseErr := strconv.ParseInt(strings.TrimSpace(result.Stdout), 10, 64)
	if err != nil || parseErr != nil {
		return "nobody knows when"
	}
	return time.Unix(seconds, 0).UTC().Format("2006-01-02 15:04:05 MST")
}
