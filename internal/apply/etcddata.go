package apply

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/etcdapi"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/runtime/systemd"
	kept "github.com/haplane/haplane/internal/snapshot"
	"github.com/haplane/haplane/internal/topology"
)

func compactHistory(ctx context.Context, r *Runner, s change.Step) error {
	return r.withEtcd(ctx, "", func(client *etcdapi.Client, _ observed.Etcd) error {
		revision, err := client.Compact(ctx)
		r.detail(s, "history before revision %d is gone", revision)
		return err
	})
}

// defragment waits until the member serves again: the next one is taken then.
func defragment(ctx context.Context, r *Runner, s change.Step) error {
	n := r.node(s)
	err := r.withEtcd(ctx, "", func(client *etcdapi.Client, seen observed.Etcd) error {
		m, ok := seen.Member(n.Name, n.EtcdPeerURL())
		if !ok {
			return fmt.Errorf("%s is no member of etcd", n.Name)
		}
		if err := r.handOver(ctx, s, client, seen, m); err != nil {
			return err
		}
		before, after, err := client.Defragment(ctx, member(m, n))
		if err == nil {
			r.detail(s, "%s -> %s", mebibytes(before), mebibytes(after))
		}
		return err
	})
	if err != nil {
		return err
	}
	return r.until(ctx, n.Name, memberTimeout, func(ctx context.Context) error { return r.memberAnswers(ctx, n) })
}

// handOver has another member lead before one copies its data: who leads may be another one than when the change was planned.
func (r *Runner) handOver(ctx context.Context, s change.Step, client *etcdapi.Client, seen observed.Etcd, m observed.Member) error {
	if !m.Leader || len(seen.Voting()) < 2 {
		return nil
	}
	r.detail(s, "leads by now, and hands over first")
	return r.handOverFrom(ctx, s, client, seen)
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// disarmAlarms clears NOSPACE where there is room on every member. Else etcd would raise it again with
// the next write.
func disarmAlarms(ctx context.Context, r *Runner, _ change.Step) error {
	return r.withEtcd(ctx, "", func(client *etcdapi.Client, _ observed.Etcd) error {
		members, err := client.Members(ctx)
		if err != nil {
			return err
		}
		for _, s := range client.Statuses(ctx, members) {
			if s.DBQuota > 0 && s.DBSize >= s.DBQuota {
				return fmt.Errorf("%s has %s of data still, and room for %s: delete what is not needed (that is allowed meanwhile), or give etcd's flag quota-backend-bytes in spec.extraArgs more",
					s.Member.Name, mebibytes(s.DBSize), mebibytes(s.DBQuota))
			}
		}
		alarms, err := client.Alarms(ctx)
		if err != nil {
			return err
		}
		for _, a := range alarms {
			if err := client.Disarm(ctx, a); err != nil {
				return err
			}
		}
		return nil
	})
}

// Folders beside etcd's data, in the file system that has it: the data that is to take its place, by the name of the
// task, and what was there, by its ID. etcd looks at member and leaves all else alone.
const (
	stageFolder = topology.EtcdDataDir + "/restore-"
	keptFolder  = topology.EtcdDataDir + "/before-"
)

// alone keeps a script from what one does still that was begun by a haplane which was killed: it goes on without that.
const alone = `exec 9<"$data"; flock --timeout 120 9 || { echo "a haplane that was killed is at etcd's data still: fuser -v $data on the machine shows its process" >&2; exit 1; }
`

const onDataAlone = `set -e; data=$1
` + alone + `cd -- "$data"
`

// stageScript makes the data of a member out of the snapshot that comes in, where there is room for both. What earlier attempts have
// made goes first: nobody will read it any more, and where it is in place it is not here. The arguments are the folder, the snapshot's
// digest, its size in bytes, the folder of etcd's data, that of the first attempt, and what etcdutl is told.
const stageScript = `set -e; umask 077
stage=$1 sum=$2 size=$3 data=$4 first=$5; shift 5
` + alone + `for old in "$first" "$first"-*; do [ "$old" = "$stage" ] || rm -rf -- "$old"; done
[ ! -e "$stage/ready" ] || { cat >/dev/null; exit 0; }
rm -rf -- "$stage"
free=$(($(stat --file-system --format='%a * %S' -- "$data"))) need=$((2 * size + (256 << 20)))
[ "$free" -ge "$need" ] || { echo "$data has $((free >> 20)) MiB left, and the snapshot takes $((need >> 20)) beside the data of now: make room on the machine" >&2; exit 1; }
mkdir -p -- "$stage"
trap '[ -e "$stage/ready" ] || rm -rf -- "$stage"' EXIT
cat >"$stage/snapshot.db"
echo "$sum  $stage/snapshot.db" | sha256sum --check --status || { echo "the snapshot arrived damaged" >&2; exit 1; }
etcdutl snapshot restore "$stage/snapshot.db" --data-dir="$stage/data" "$@" 2>"$stage/log" || { tail -n 3 "$stage/log" >&2; exit 1; }
rm -- "$stage/snapshot.db" "$stage/log"
chown -R --reference="$data" -- "$stage"
sync
: >"$stage/ready"`

// stagedScript says ready where the data is there whole, and none of earlier attempts.
const stagedScript = `for old in "$2" "$2"-*; do [ "$old" = "$1" ] || [ ! -e "$old" ] || exit 0; done; [ ! -e "$1/ready" ] || echo ready`

func dataStaged(ctx context.Context, r *Runner, s change.Step) (bool, error) {
	result, err := r.Cluster.Machine(s.Node).Run(ctx, machine.Cmd("sh", "-c", stagedScript, "sh", stageFolder+r.Task.Name(), stageFolder+r.Task.ID))
	return strings.TrimSpace(result.Stdout) == "ready", err
}

// stageData brings the snapshot to a machine and makes the member's data of it. The new cluster has another ID than
// the old one, so that no member with the old data can join.
func stageData(ctx context.Context, r *Runner, s change.Step) error {
	n := r.node(s)
	from, err := os.Open(r.Snapshot)
	if err != nil {
		return err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	argv := append([]string{"sh", "-c", stageScript, "sh", stageFolder + r.Task.Name(), r.Task.Sum, strconv.FormatInt(info.Size(), 10), topology.EtcdDataDir, stageFolder + r.Task.ID}, r.restoreFlags(n)...)
	_, err = r.Cluster.Machine(s.Node).Run(ctx, machine.Command{Argv: argv, Stdin: from})
	return err
}

func (r *Runner) restoreFlags(n topology.Node) []string {
	var initial []string
	for _, name := range r.Task.Members {
		m := r.Nodes[name]
		initial = append(initial, m.Name+"="+m.EtcdPeerURL())
	}
	return []string{"--name=" + n.Name, "--initial-cluster=" + strings.Join(initial, ","), "--initial-advertise-peer-urls=" + n.EtcdPeerURL(),
		"--initial-cluster-token=" + r.Cluster.Topology.Name + "-" + r.Task.Name(), "--bump-revision=" + strconv.FormatUint(r.Task.Bump, 10), "--mark-compacted"}
}

// haltPrograms ends programs without waiting for what they are at.
func haltPrograms(ctx context.Context, r *Runner, s change.Step) error {
	m := r.Cluster.Machine(s.Node)
	switch {
	case s.Units[0] == "etcd" && r.Task.Note == "": // the last revision of all is known
		r.noteRevision(ctx, r.node(s))
	case s.Units[0] == "etcd": // it writes what it has to its disk
	default:
		if err := systemd.Kill(ctx, m, s.Units...); err != nil {
			return err
		}
	}
	return systemd.Stop(ctx, m, s.Units...)
}

// noteRevision remembers the last revision of the data that goes, now that nobody writes any more.
func (r *Runner) noteRevision(ctx context.Context, n topology.Node) {
	client, err := r.Cluster.Etcd([]topology.Node{n})
	if err != nil {
		return
	}
	defer client.Close()
	revision, err := client.Revision(ctx, etcdapi.Member{Name: n.Name, ClientURLs: []string{n.EtcdClientURL()}})
	if err != nil {
		r.Log.Debug("last revision not seen", "node", n.Name, "err", err)
	}
	for {
		last := r.last.Load()
		if revision <= last || r.last.CompareAndSwap(last, revision) {
			return
		}
	}
}

// LastRevision is the last that etcd had before its data was exchanged; 0 where nobody told.
func (r *Runner) LastRevision() int64 { return r.last.Load() }

// guardFunctions keep etcd from starting with its machine while its data is between two places: it would begin with
// nothing. It is a drop-in that systemd reads when it boots; etcd, which does not run now, may start when the data is there.
const guardFunctions = onDataAlone + `guard=$4/etcd.service.d/haplane-restore.conf
hold() { mkdir -p -- "${guard%/*}"; printf '[Unit]\nConditionPathExists=%s/member\n' "$PWD" >"$guard"; sync; }
release() { [ -e "$guard" ] || return 0; rm -f -- "$guard"; rmdir -- "${guard%/*}" 2>/dev/null || :; systemctl daemon-reload; }
stage=$2 kept=$3
! systemctl is-active --quiet etcd.service || { echo "etcd runs" >&2; exit 1; }
`

// swapScript can be cut off anywhere and run again. Where a machine of an older haplane booted in between, etcd may have begun with nothing.
const swapScript = guardFunctions + `[ ! -d "$5" ] || : >"$5/` + kept.RestoringFile + `"
if [ -e "$stage/data/member" ]; then
  hold
  mkdir -p -- "$kept"; chown --reference=. -- "$kept"; chmod 0700 -- "$kept"
  if [ -e "$kept/member" ]; then rm -rf member; elif [ -e member ]; then mv member "$kept/member"; fi
  sync
  mv "$stage/data/member" member
  sync
fi
[ -e member ]
release`

func swapData(ctx context.Context, r *Runner, s change.Step) error {
	return r.onData(ctx, s, swapScript)
}

const swapBackScript = guardFunctions + `if [ -e "$kept/member" ]; then hold; rm -rf member; mv "$kept/member" member; sync; fi
release
` + dropFolders

// dropFolders removes what is beside the data, of all attempts, and lets the machine take snapshots again.
const dropFolders = `rm -rf -- "$kept" "$PWD/restore-${kept##*/before-}"* "$5/` + kept.RestoringFile + `"`

func swapDataBack(ctx context.Context, r *Runner, s change.Step) error {
	return r.onData(ctx, s, swapBackScript)
}

func dropData(ctx context.Context, r *Runner, s change.Step) error {
	return r.onData(ctx, s, onDataAlone+"kept=$3\n"+dropFolders)
}

func (r *Runner) onData(ctx context.Context, s change.Step, script string) error {
	_, err := r.Cluster.Machine(s.Node).Run(ctx, machine.Cmd("sh", "-c", script, "sh", topology.EtcdDataDir, stageFolder+r.Task.Name(), keptFolder+r.Task.ID, topology.UnitDir, kept.KeptDir))
	return err
}

// writeObject returns when a write through the API was acknowledged. What it writes it deletes.
func writeObject(ctx context.Context, r *Runner, _ change.Step) error {
	client, err := r.Cluster.API()
	if err != nil {
		return err
	}
	maps := client.Typed().CoreV1().ConfigMaps(metav1.NamespaceSystem)
	return r.until(ctx, "", readyTimeout, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, access.RequestTimeout)
		defer cancel()
		_, err := maps.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: writtenObject}}, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("write through the API: %w", err)
		}
		if err := maps.Delete(ctx, writtenObject, metav1.DeleteOptions{}); err != nil {
			return fmt.Errorf("write through the API: %w", err)
		}
		return err // one that a haplane which was killed has left: to delete it proves nothing, as that is allowed without room, too
	})
}

// writtenObject always has one name, so that none is left of a run that was killed between the write and the end of it.
const writtenObject = "haplane-write"

// releaseLeases deletes the Leases of leaders that were halted: who starts now leads at once.
func releaseLeases(ctx context.Context, r *Runner, _ change.Step) error {
	client, err := r.Cluster.API()
	if err != nil {
		return err
	}
	leases := client.Typed().CoordinationV1().Leases(metav1.NamespaceSystem)
	return r.until(ctx, "", readyTimeout, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, access.RequestTimeout)
		defer cancel()
		for _, name := range []string{"kube-controller-manager", "kube-scheduler", "haplane-agent"} {
			if err := leases.Delete(ctx, name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("release the Lease of %s: %w", name, err)
			}
		}
		return nil
	})
}

// registerNode waits for a Node. A kubelet registers when it starts, and not again: one whose Node came after the
// snapshot was taken is started again, and flanneld beside it, for its pods have another network then.
func registerNode(ctx context.Context, r *Runner, s change.Step) error {
	client, err := r.Cluster.API()
	if err != nil {
		return err
	}
	var nodes []string
	err = r.until(ctx, s.Node, readyTimeout, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, access.RequestTimeout)
		defer cancel()
		list, err := r.nodes.list(ctx, client)
		nodes = nil
		for _, n := range list {
			nodes = append(nodes, n.Name)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, name := range nodes {
		if name == s.Node {
			return nodeReady(ctx, r, s)
		}
	}
	r.detail(s, "its Node is not in the snapshot: starts kubelet again")
	if err := systemd.Restart(ctx, r.Cluster.Machine(s.Node), "kubelet"); err != nil {
		return err
	}
	if err := nodeReady(ctx, r, s); err != nil {
		return err
	}
	return systemd.Restart(ctx, r.Cluster.Machine(s.Node), "flanneld")
}
