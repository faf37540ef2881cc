package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/haplane/haplane/internal/durable"
)

// KeptDir is where a machine keeps the snapshots that it takes by itself, and TroubleFile says there, in a
// line, why the last attempt came to nothing; it is not there when it came to something. RestoringFile is there
// while etcd has restored data that may be taken back still.
const (
	KeptDir       = "/var/lib/haplane/snapshots"
	TroubleFile   = "trouble"
	RestoringFile = "restoring"
)

// A Kept is a snapshot in a folder, as its name tells.
type Kept struct {
	Name      string
	Taken     time.Time
	Revision  int64
	Encrypted bool
}

const keptTime = "20060102T150405Z"

var keptName = regexp.MustCompile(`^(\d{8}T\d{6}Z)-r(\d{1,18})\.tar(\.age)?$`)

// NewKept names a snapshot.
func NewKept(taken time.Time, revision int64, encrypted bool) Kept {
	k := Kept{Taken: taken.UTC().Truncate(time.Second), Revision: revision, Encrypted: encrypted}
	k.Name = fmt.Sprintf("%s-r%d.tar", k.Taken.Format(keptTime), revision)
	if encrypted {
		k.Name += ".age"
	}
	return k
}

// ParseKept reads a name; false is of a file that is none, as one that is half written.
func ParseKept(name string) (Kept, bool) {
	m := keptName.FindStringSubmatch(name)
	if m == nil {
		return Kept{}, false
	}
	taken, err := time.Parse(keptTime, m[1])
	revision, _ := strconv.ParseInt(m[2], 10, 64)
	return Kept{Name: name, Taken: taken, Revision: revision, Encrypted: m[3] != ""}, err == nil
}

// ListKept lists the snapshots of a folder, the oldest first; of one that is not there, none.
func ListKept(dir string) ([]Kept, error) {
	entries, err := os.ReadDir(dir) // in order, and names begin with the time
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []Kept
	for _, e := range entries {
		if k, ok := ParseKept(e.Name()); ok && e.Type().IsRegular() {
			out = append(out, k)
		}
	}
	return out, err
}

// Retain removes the oldest snapshots of a folder but so many. The new one stays; others that look newer are of a clock
// that was wrong, and go first.
func Retain(dir string, keep int, fresh Kept) (removed []string, err error) {
	list, err := ListKept(dir)
	if err != nil {
		return nil, err
	}
	others := slices.DeleteFunc(list, func(k Kept) bool { return k.Name == fresh.Name })
	looksNewer := func(k Kept) int {
		if k.Taken.After(fresh.Taken) {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(others, func(a, b Kept) int { return looksNewer(a) - looksNewer(b) })
	for _, k := range others[:max(len(others)-(keep-1), 0)] {
		if err := durable.Remove(filepath.Join(dir, k.Name)); err != nil {
			return removed, err
		}
		removed = append(removed, k.Name)
	}
	return removed, nil
}
