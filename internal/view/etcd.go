package view

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/haplane/haplane/internal/cluster"
)

// EtcdMembers writes etcd's members as a table, and below it what is the matter with those that are not healthy.
func EtcdMembers(w io.Writer, members []cluster.EtcdMember) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "NAME\tID\tPEER\tCLIENT\tROLE\tHEALTHY\tVERSION\tDB SIZE\tIN USE\tRAFT INDEX\tALARMS")
	for _, m := range members {
		role := m.Role
		if m.Leader {
			role += ", leader"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\n", cmp.Or(m.Name, "-"), m.ID, cmp.Or(strings.Join(m.PeerURLs, ","), "-"), cmp.Or(strings.Join(m.ClientURLs, ","), "-"),
			role, word(m.Healthy, "yes", "no"), cmp.Or(m.Version, "-"), mebibytes(m.DBSize), mebibytes(m.DBInUse), m.RaftIndex, cmp.Or(strings.Join(m.Alarms, ","), "-"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, m := range members {
		if m.Error != "" {
			fmt.Fprintf(w, "\netcd member %s: %s\n", cmp.Or(m.Name, m.ID), m.Error)
		}
	}
	return nil
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// Snapshot writes what is known of a snapshot.
func Snapshot(w io.Writer, s *cluster.Snapshot) error {
	_, err := fmt.Fprintf(w, "%s: revision %d, %d keys, of %s, taken %s, %s%s; verified: hash, integrity and a test restore\n", s.File, s.Revision, s.Keys, s.Member,
		s.Taken.Format("2006-01-02 15:04:05 MST"), mebibytes(s.Bytes), word(s.Encrypted, ", encrypted", ""))
	return err
}

// Snapshots writes a list of snapshots as a table.
func Snapshots(w io.Writer, list []cluster.Snapshot) error {
	if len(list) == 0 {
		fmt.Fprintln(w, "there are none; haplane etcd snapshot save makes one")
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "FILE\tTAKEN\tREVISION\tKEYS\tSIZE\tNOTE")
	for _, s := range list {
		switch {
		case s.Revision > 0:
			fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\n", s.File, s.Taken.Format("2006-01-02 15:04:05 MST"), s.Revision, word(s.Keys > 0, fmt.Sprint(s.Keys), "-"),
				mebibytes(s.Bytes), snapshotNote(s))
		default:
			fmt.Fprintf(t, "%s\t-\t-\t-\t%s\t%s\n", s.File, mebibytes(s.Bytes), cmp.Or(s.Error, "encrypted: --identity FILE reads it"))
		}
	}
	return t.Flush()
}

// snapshotNote is what else there is to know of a snapshot.
func snapshotNote(s cluster.Snapshot) string {
	var notes []string
	if s.Encrypted {
		notes = append(notes, "encrypted")
	}
	if len(s.Stale) > 0 {
		notes = append(notes, "of before "+strings.Join(s.Stale, " and ")+" was rotated")
	}
	switch {
	case s.Unreadable():
		notes = append(notes, "NOT RESTORABLE: its Secrets cannot be read any more")
	case s.EncryptedAnew():
		notes = append(notes, "restored with its own encryption key")
	}
	return cmp.Or(strings.Join(notes, ", "), "-")
}

// restored says what a restore came to.
func restored(w io.Writer, r *cluster.Restored) {
	if r == nil {
		return
	}
	if r.SecondsToFirstWrite > 0 {
		fmt.Fprintf(w, "first write acknowledged %.1f s after %s\n", r.SecondsToFirstWrite, word(len(r.Made) > 0, "the first machine was begun", "the API was stopped"))
	}
	fmt.Fprintf(w, "restored is revision %d; lost revisions: %s\n", r.Revision, word(r.LostKnown, fmt.Sprint(r.LostRevisions), "nobody can know"))
}
