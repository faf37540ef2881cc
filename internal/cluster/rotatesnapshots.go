package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/haplane/haplane/internal/access"
	"github.com/haplane/haplane/internal/pki"
)

// snapshotWarnings name, before a phase of the rotation of the encryption key, the snapshots that nobody restores once the old key is gone.
func (l *live) snapshotWarnings(ctx context.Context) []string {
	if l.rotation == nil || l.rotation.Proved || l.rotation.Name != pki.RotateEncryption || l.fresh() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*access.RequestTimeout)
	defer cancel()
	saved, err := l.savedSnapshots(nil)
	kept, keptErr := l.keptOnMachines(ctx)
	var list []Snapshot
	for _, s := range saved {
		if s.WithoutKeys {
			list = append(list, s)
		}
	}
	for _, n := range l.topology.EtcdMembers() {
		for _, s := range kept[n.Name].list {
			if !s.Encrypted { // whatever is encrypted there has the keys in it
				list = append(list, s)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b Snapshot) int { return b.Taken.Compare(a.Taken) })
	out := unrestorable(list, l.topology.Name)
	if err := errors.Join(err, keptErr); err != nil {
		out = append(out, fmt.Sprintf("which snapshots cannot be restored once the old key is gone is not all known: %v", err))
	}
	return out
}

// unrestorable puts them into words, the newest first.
func unrestorable(list []Snapshot, cluster string) []string {
	if len(list) == 0 {
		return nil
	}
	var names []string
	for _, s := range list {
		names = append(names, fmt.Sprintf("%s (%s)", s.File, s.Taken.UTC().Format(time.DateOnly)))
	}
	return []string{fmt.Sprintf("snapshots that have no keys in them cannot be restored any more once the old key is dropped, because nobody can read their Secrets: %s. "+
		"Those of haplane etcd snapshot save have keys and are restored with these; take one now where the others are all there is, and another one afterwards: haplane etcd snapshot save --cluster %s", few(names), cluster)}
}
