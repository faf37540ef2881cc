package cluster

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/durable"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/snapshot"
	"github.com/haplane/haplane/internal/topology"
	"github.com/haplane/haplane/spec"
)

// kept is what a machine has of snapshots that it took by itself.
type kept struct {
	list    []Snapshot // the oldest first
	trouble string     // why the last attempt came to nothing
}

// listKept prints the size and the name of each file, and then what trouble there was.
const listKept = `[ -d "$1" ] || exit 0; cd "$1" && stat --format='%s %n' -- * 2>/dev/null; if [ -f "$2" ]; then printf 'trouble: '; cat "$2"; fi`

func (e *env) keptOn(ctx context.Context, n topology.Node) (kept, error) {
	result, err := e.machine(n).Run(ctx, machine.Cmd("sh", "-c", listKept, "sh", snapshot.KeptDir, snapshot.TroubleFile))
	if err != nil {
		return kept{}, fmt.Errorf("list snapshots: %w", err)
	}
	return parseKept(n.Name, result.Stdout), nil
}

func parseKept(node, text string) kept {
	var out kept
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if trouble, ok := strings.CutPrefix(line, "trouble: "); ok {
			out.trouble = trouble
			continue
		}
		size, name, _ := strings.Cut(line, " ")
		if k, ok := snapshot.ParseKept(name); ok {
			one := Snapshot{File: node + ":" + name, Node: node, Encrypted: k.Encrypted, Verified: true, Taken: k.Taken, Revision: k.Revision}
			one.Bytes, _ = strconv.ParseInt(size, 10, 64)
			out.list = append(out.list, one)
		}
	}
	return out
}

// headKept prints the name of each file that is not encrypted, and its beginning, in which the manifest is.
const headKept = `[ -d "$1" ] || exit 0; cd "$1" && for f in *.tar; do [ ! -f "$f" ] || printf '%s %s\n' "$f" "$(head -c 16384 -- "$f" | base64 --wrap=0)"; done`

// compareKept notes what was rotated since snapshots were taken that a machine keeps, as far as their manifests tell.
func (e *env) compareKept(ctx context.Context, n topology.Node, list []Snapshot) error {
	result, err := e.machine(n).Run(ctx, machine.Cmd("sh", "-c", headKept, "sh", snapshot.KeptDir))
	if err != nil {
		return fmt.Errorf("read snapshots: %w", err)
	}
	for line := range strings.Lines(result.Stdout) {
		name, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		i := slices.IndexFunc(list, func(s Snapshot) bool { return s.File == n.Name+":"+name })
		data, err := base64.StdEncoding.DecodeString(text)
		if i < 0 || err != nil {
			continue
		}
		if m, err := snapshot.Head(bytes.NewReader(data), nil); err == nil {
			list[i].compare(m, e.keys)
		}
	}
	return nil
}

// keptOnMachines asks all machines with an etcd member that run. What cannot be seen is an error beside what can.
func (e *env) keptOnMachines(ctx context.Context) (map[string]kept, error) {
	made, err := e.power()
	if err != nil {
		return nil, err
	}
	nodes := slices.DeleteFunc(slices.Clone(e.topology.EtcdMembers()), func(n topology.Node) bool { return !made[n.Name] })
	if len(nodes) == 0 {
		return nil, nil
	}
	if err := e.connect(); err != nil {
		return nil, err
	}
	return gather(ctx, nodes, func(ctx context.Context, n topology.Node) (kept, error) {
		ctx, cancel := context.WithTimeout(ctx, 2*access.RequestTimeout)
		defer cancel()
		return e.keptOn(ctx, n)
	})
}

// KeptSnapshots lists the snapshots that machines took by themselves, the oldest first. What could not be seen is an
// error beside what could.
func (h *Handle) KeptSnapshots(ctx context.Context) ([]Snapshot, error) {
	defer h.env.disconnect()
	_ = h.env.loadKeys() // without them there is nothing to compare with
	seen, err := h.env.keptOnMachines(ctx)
	for _, n := range h.env.topology.EtcdMembers() {
		if list := seen[n.Name].list; slices.ContainsFunc(list, func(s Snapshot) bool { return !s.Encrypted }) {
			err = errors.Join(err, h.env.compareKept(ctx, n, list))
		}
	}
	out := []Snapshot{}
	for _, n := range h.env.topology.EtcdMembers() {
		out = append(out, seen[n.Name].list...)
	}
	slices.SortStableFunc(out, func(a, b Snapshot) int { return a.Taken.Compare(b.Taken) })
	return out, err
}

// FetchSnapshot copies a snapshot that a machine keeps, named NODE:NAME, into the cluster's folder, and returns its
// file; any other name is returned as it is.
func (h *Handle) FetchSnapshot(ctx context.Context, named string) (string, error) {
	node, name, _ := strings.Cut(named, ":")
	if _, ok := snapshot.ParseKept(name); !ok {
		return named, nil
	}
	n, ok := h.env.topology.Node(node)
	if !ok || !h.env.topology.HasEtcdMember(n) {
		return "", &SnapshotError{named, fmt.Errorf("cluster %s has no etcd member on %q", h.env.topology.Name, node)}
	}
	if err := h.env.connect(); err != nil {
		return "", err
	}
	defer h.env.disconnect()
	return h.env.fetchKept(ctx, n, name)
}

func (e *env) fetchKept(ctx context.Context, n topology.Node, name string) (string, error) {
	base, rest, _ := strings.Cut(name, ".")
	file := filepath.Join(e.Store.Snapshots(), base+"-"+n.Name+"."+rest)
	if _, err := os.Stat(file); err == nil { // copied before, whole
		return file, nil
	}
	if err := durable.MkdirAll(e.Store.Snapshots(), 0o700); err != nil {
		return "", err
	}
	from, to := io.Pipe()
	cmd := machine.Cmd("cat", "--", snapshot.KeptDir+"/"+name)
	cmd.Stdout = to
	go func() {
		_, err := e.machine(n).Run(ctx, cmd)
		to.CloseWithError(err)
	}()
	err := durable.Replace(file, 0o600, from)
	from.CloseWithError(errors.New("it cannot be written"))
	var answered *machine.CommandError
	if errors.As(err, &answered) && strings.Contains(answered.Stderr, "No such file") {
		return "", withHint(&SnapshotError{n.Name + ":" + name, errors.New("that machine has none of this name")}, "haplane etcd snapshot list --cluster "+e.topology.Name)
	}
	if err != nil {
		return "", fmt.Errorf("copy snapshot %s from %s: %w", name, n.Name, err)
	}
	return file, nil
}

// sameFingerprint is an error where the Secrets of a snapshot without keys could not be read.
func (e *env) sameFingerprint(m snapshot.Manifest) error {
	if m.Encryption == "" {
		return nil
	}
	for _, k := range e.keys.EncryptionKeys() {
		if snapshot.Fingerprint(k.Name, k.Key) == m.Encryption {
			return nil
		}
	}
	name, _, _ := strings.Cut(m.Encryption, " ")
	return fmt.Errorf("its Secrets are encrypted with the key %s of then, which the cluster does not have any more: it was rotated since, or exchanged", name)
}

// late is how long one may take that is due: the machines take turns, and one that failed is tried again.
const late = 5 * time.Minute

// snapshotWarnings tell of machines that have no snapshot as new as the schedule wants it, and of trouble.
func snapshotWarnings(s spec.EtcdSnapshots, nodes []topology.Node, seen map[string]kept, now time.Time) []string {
	schedule, err := spec.ParseSchedule(s.Schedule)
	if err != nil {
		return nil
	}
	var out []string
	for _, n := range nodes {
		k, looked := seen[n.Name]
		if !looked {
			continue
		}
		text := ""
		if len(k.list) == 0 {
			text = "has none yet"
		} else if last := k.list[len(k.list)-1].Taken; now.After(schedule.Next(last).Add(late)) {
			text = fmt.Sprintf("has none that is newer than %s, and one was due %s", clock(last), clock(schedule.Next(last)))
		}
		if text == "" && k.trouble == "" {
			continue
		}
		if k.trouble != "" {
			text = strings.TrimPrefix(text+"; the last attempt: "+k.trouble, "; ")
		}
		out = append(out, fmt.Sprintf("snapshots of etcd (%s): %s %s", s.Schedule, n.Name, text))
	}
	return out
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }
