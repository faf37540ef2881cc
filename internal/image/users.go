package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/durable"
)

// ErrUnknown means that the record of a machine cannot be read, so that any image may be its.
var ErrUnknown = errors.New("not known which image")

// A UsersFunc tells which clusters have machines made from which image, or name it in their record: names of clusters by digest.
type UsersFunc func() (map[string][]string, error)

// Users tells which clusters have machines made from which image of the cache, or may make some from it:
// those of home, the folder of the clusters' stores, by name, others with the folder
// that theirs is in. Beside an error for records that cannot be read it tells of all others;
// nothing may be removed then.
func Users(cache, home string) (map[string][]string, error) {
	noted, err := uses(cache, false)
	if err != nil {
		return nil, err
	}
	out := users{}
	known := map[string]bool{}
	for digest, records := range noted {
		for _, record := range records {
			known[record] = true
			out.add(digest, owner(record, home))
		}
	}
	unread := errors.Join(out.addHome(home, known), out.addRecords(home, known))
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	out.addMounts(string(mounts), imagesDir(cache))
	for _, names := range out {
		slices.Sort(names)
	}
	return out, errors.Join(unread, err)
}

type users map[string][]string

func (u users) add(digest, user string) {
	if !slices.Contains(u[digest], user) {
		u[digest] = append(u[digest], user)
	}
}

// owner names the cluster whose record that is.
func owner(record, home string) string {
	machines := filepath.Dir(filepath.Dir(record))
	store := filepath.Dir(machines)
	switch {
	case filepath.Base(machines) != machinesFolder:
		return "machines in " + machines
	case filepath.Dir(store) == home:
		return filepath.Base(store)
	}
	return filepath.Base(store) + " in " + filepath.Dir(store)
}

const machinesFolder = "machines"

// addHome adds what the records in a home say: machines of an older haplane are not noted in the cache.
func (u users) addHome(home string, known map[string]bool) error {
	clusters, err := folders(home)
	if err != nil {
		return err
	}
	var errs []error
	for _, cluster := range clusters {
		machines, err := folders(filepath.Join(home, cluster, machinesFolder))
		errs = append(errs, err)
		for _, machine := range machines {
			record := filepath.Join(home, cluster, machinesFolder, machine, "machine.json")
			switch digest, err := imageOf(record); {
			case err == nil:
				u.add(digest, cluster)
			case !known[record] && !errors.Is(err, fs.ErrNotExist):
				errs = append(errs, fmt.Errorf("%w machine %s of cluster %s is made from: %w", ErrUnknown, machine, cluster, err))
			}
		}
	}
	return errors.Join(errs...)
}

// addRecords adds the images that clusters' records name: new machines are made from it, or it is the one that an upgrade
// can go back to. Records are those of home, and those beside the machines that are known.
func (u users) addRecords(home string, known map[string]bool) error {
	clusters, err := folders(home)
	if err != nil {
		return err
	}
	stores := map[string]string{}
	for _, cluster := range clusters {
		stores[filepath.Join(home, cluster)] = cluster
	}
	for machine := range known {
		if machines := filepath.Dir(filepath.Dir(machine)); filepath.Base(machines) == machinesFolder {
			stores[filepath.Dir(machines)] = owner(machine, home)
		}
	}
	var errs []error
	for store, cluster := range stores {
		var r struct {
			Versions struct{ Image string }
			Previous *struct{ Image string }
		}
		switch err := durable.ReadJSON(filepath.Join(store, "record.json"), &r); {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			errs = append(errs, fmt.Errorf("%w cluster %s is made from: %w", ErrUnknown, cluster, err))
			continue
		}
		if r.Versions.Image != "" {
			u.add(r.Versions.Image, cluster)
		}
		if r.Previous != nil && r.Previous.Image != "" {
			u.add(r.Previous.Image, cluster)
		}
	}
	return errors.Join(errs...)
}

// addMounts adds what is mounted, by the lines of proc_pid_mountinfo(5): a machine of an
// older haplane in another home. Its mount is named haplane.CLUSTER.MACHINE.
func (u users) addMounts(mountinfo, images string) {
	for line := range strings.Lines(mountinfo) {
		_, after, _ := strings.Cut(line, " - ")
		fields := strings.Fields(after) // type, source, options of the file system
		if len(fields) < 3 || fields[0] != "overlay" {
			continue
		}
		for option := range strings.SplitSeq(fields[2], ",") {
			root, found := strings.CutPrefix(option, "lowerdir=")
			digest := filepath.Base(filepath.Dir(root))
			if !found || filepath.Dir(filepath.Dir(root)) != images || len(u[digest]) > 0 {
				continue
			}
			user := fields[1]
			if parts := strings.Split(user, "."); len(parts) == 3 {
				user = parts[1]
			}
			u.add(digest, user)
		}
	}
}

// folders lists the folders in one that may be missing.
func folders(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for machines: %w", err)
	}
	var out []string
	for _, e := range entries {
		if e.IsDir() {
			out = append(out, e.Name())
		}
	}
	return out, nil
}
