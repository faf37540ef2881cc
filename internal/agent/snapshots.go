package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/haplane/haplane/internal/durable"
	"github.com/haplane/haplane/internal/render"
	"github.com/haplane/haplane/internal/snapshot"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// SnapshotOptions say what haplane agent snapshots runs with.
type SnapshotOptions struct {
	Config         string // path of a render.SnapshotConfig, read again each time, like the other files
	CA, Cert, Key  string // paths: of etcd's CA, and of the client that it knows
	Endpoint       string // URL of the etcd member of the agent's own machine
	Listen         string // loopback address and port for /healthz and /metrics
	Dir            string // where snapshots are kept; "" is snapshot.KeptDir
	OperationsFile string // that is fresh while haplane changes the cluster; "" is that of package oplock
	Etcdutl        string // the program; "" is that of the machine
	Log            *slog.Logger
}

// RunSnapshots takes snapshots of etcd on the schedule until ctx ends. What goes wrong with one is told, and
// tried again; a bad option or listen address is an error, at once.
func RunSnapshots(ctx context.Context, o SnapshotOptions) error {
	listen, err := netip.ParseAddrPort(o.Listen)
	if err != nil || !listen.Addr().IsLoopback() {
		return fmt.Errorf("agent: listen address %q must be a loopback address and a port", o.Listen)
	}
	if _, err := readSnapshotConfig(o.Config); err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.Listen)
	if err != nil {
		return err
	}
	k := o.keeper()
	o.Log.Info("snapshots started", "endpoint", o.Endpoint, "folder", k.dir, "listen", listener.Addr())
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serve(ctx, listener, k.status.handler()) })
	group.Go(func() error { k.run(ctx); return nil })
	return group.Wait()
}

func (o *SnapshotOptions) keeper() *snapshotKeeper {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	k := &snapshotKeeper{config: func() (render.SnapshotConfig, error) { return readSnapshotConfig(o.Config) }, dir: o.Dir, operations: o.OperationsFile,
		backoff: newSnapshotBackoff, status: newSnapshotStatus(), log: o.Log, now: time.Now, free: freeBytes}
	if k.dir == "" {
		k.dir = snapshot.KeptDir
	}
	if k.operations == "" {
		k.operations = "/run/haplane/lock"
	}
	program := o.Etcdutl
	if program == "" {
		program = topology.BinDir + "/etcdutl"
	}
	k.check = func(ctx context.Context, database string) (snapshot.State, error) {
		return snapshot.Check(ctx, program, database)
	}
	k.open = func() (storage, error) { return openEtcd(*o) }
	return k
}

func readSnapshotConfig(path string) (c render.SnapshotConfig, err error) {
	if err := durable.ReadJSON(path, &c); err != nil {
		return c, fmt.Errorf("read configuration: %w", err)
	}
	if c.Retain < 1 || c.Cluster == "" || c.Lineage == "" {
		return c, fmt.Errorf("configuration %s lacks the cluster, its lineage or how many to retain", path)
	}
	if _, err := spec.ParseSchedule(c.Schedule); err != nil {
		return c, fmt.Errorf("configuration %s: schedule %q %w", path, c.Schedule, err)
	}
	return c, nil
}

// A snapshotKeeper takes snapshots when they are due, and keeps the newest few.
type snapshotKeeper struct {
	config     func() (render.SnapshotConfig, error)
	dir        string
	operations string
	open       func() (storage, error)
	check      func(ctx context.Context, database string) (snapshot.State, error)
	backoff    func() wait.Backoff
	free       func(dir string) (uint64, error)
	now        func() time.Time
	status     *snapshotStatus
	log        *slog.Logger
}

// lookEvery is how soon another schedule counts, and how often is looked whether a change has ended.
const lookEvery = 5 * time.Second

// newSnapshotBackoff is between attempts that came to nothing.
func newSnapshotBackoff() wait.Backoff {
	return wait.Backoff{Duration: 5 * time.Second, Factor: 2, Jitter: 0.1, Steps: 100, Cap: 5 * time.Minute}
}

// run takes what is due until ctx ends.
func (k *snapshotKeeper) run(ctx context.Context) {
	backoff := k.backoff()
	for ctx.Err() == nil {
		next, err := k.step(ctx)
		if err != nil && ctx.Err() == nil {
			next = backoff.Step()
			k.failed(err, next)
		} else if err == nil && next == 0 {
			backoff = k.backoff()
		}
		select {
		case <-ctx.Done():
		case <-time.After(next):
		}
	}
}

// step takes a snapshot if one is due, and returns after which time to look again.
func (k *snapshotKeeper) step(ctx context.Context) (time.Duration, error) {
	c, err := k.config()
	if err != nil {
		return 0, err
	}
	kept, err := snapshot.ListKept(k.dir)
	if err != nil {
		return 0, err
	}
	schedule, err := spec.ParseSchedule(c.Schedule)
	if err != nil {
		return 0, err
	}
	due := dueAt(schedule, kept, k.now())
	k.status.keeps(kept, due)
	switch until := due.Sub(k.now()); {
	case until > 0:
		return min(until, lookEvery), nil
	case k.changing():
		return lookEvery, nil
	}
	if err := k.restoring(); err != nil {
		return 0, err
	}
	return 0, k.take(ctx, c)
}

// dueAt is when the next one is: after the last one that is there, so that however many times were missed
// while the machine was off, one is taken. Where there is none it is at once; one of the future is of a clock that was wrong.
func dueAt(schedule spec.Schedule, kept []snapshot.Kept, now time.Time) time.Time {
	for _, k := range slices.Backward(kept) {
		if !k.Taken.After(now) {
			return schedule.Next(k.Taken)
		}
	}
	return now
}

// changing reports whether haplane changes the cluster: members restart, and one that is defragmented would
// wait for whoever reads its database. Who was cut off at it stops to say so after 30 s.
func (k *snapshotKeeper) changing() bool {
	info, err := os.Stat(k.operations)
	return err == nil && k.now().Sub(info.ModTime()) < 30*time.Second
}

// restoring is an error while etcd has restored data that may be taken back still, also where nobody is at it: a snapshot of that
// would be of what the cluster never was, and newer than all that are good.
func (k *snapshotKeeper) restoring() error {
	if _, err := os.Lstat(filepath.Join(k.dir, snapshot.RestoringFile)); err != nil {
		return nil
	}
	return errors.New("a restore of etcd's data was cut off: haplane apply goes on with it, haplane apply --abort goes back")
}

func (k *snapshotKeeper) failed(err error, next time.Duration) {
	k.status.failed(err)
	k.log.Warn("no snapshot was taken", "error", err, "retry", next.Round(time.Second))
	text := k.now().UTC().Format(time.RFC3339) + " " + inOneLine(err) + "\n"
	if err := durable.WriteFile(filepath.Join(k.dir, snapshot.TroubleFile), []byte(text), 0o600); err != nil {
		k.log.Warn("write down why", "error", err)
	}
}

// inOneLine is an error in one line that is not long.
func inOneLine(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if len(text) > 400 {
		text = text[:400] + "..."
	}
	return text
}

// kept notes that one was taken.
func (k *snapshotKeeper) kept(one snapshot.Kept, from string, removed []string) {
	k.status.took(one)
	k.log.Info("took a snapshot", "file", one.Name, "of", from, "removed", removed)
	if err := durable.Remove(filepath.Join(k.dir, snapshot.TroubleFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
		k.log.Warn("forget the trouble of before", "error", err)
	}
}
