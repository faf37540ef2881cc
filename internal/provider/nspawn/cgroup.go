package nspawn

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A machine has one cgroup in every hierarchy of the host, the same path in each.
// It is the root of what the machine sees (cgroup_namespaces(7)), so its kubelet
// can have the root, and it tells whose a process is when all records are lost.

// sliceUnit holds the machines' scopes on a host that runs systemd: its own for
// machines of all kinds. One of ours would be there after the last of them is gone.
const sliceUnit = "machine.slice"

const cgroupDir = "/sys/fs/cgroup"

// cgroup is the path of a machine's cgroup in each hierarchy; without a machine,
// of the folder for the cluster's, which only a host without systemd has.
func (p *Provider) cgroup(machine string) string {
	if runsSystemd() && machine != "" {
		return filepath.Join(sliceUnit, p.unit(machine))
	}
	return filepath.Join(mark, p.Cluster, machine)
}

// runsSystemd is sd_booted(3).
func runsSystemd() bool {
	_, err := os.Stat("/run/systemd/system")
	return err == nil
}

// A hierarchy is a mounted cgroup file system.
type hierarchy struct {
	path    string
	unified bool // cgroup v2, alone or beside others
	cpuset  bool
}

func hierarchies() ([]hierarchy, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	return parseHierarchies(string(data)), nil
}

func parseHierarchies(mountinfo string) []hierarchy {
	var out []hierarchy
	for _, m := range parseMountinfo(mountinfo) {
		if m.point != cgroupDir && filepath.Dir(m.point) != cgroupDir {
			continue
		}
		switch m.fstype {
		case "cgroup":
			out = append(out, hierarchy{path: m.point, cpuset: slices.Contains(strings.Split(m.super, ","), "cpuset")})
		case "cgroup2":
			out = append(out, hierarchy{path: m.point, unified: true})
		}
	}
	return out
}

// A folder of machines has the share of four processes when CPUs are scarce: beside
// cgroups that are its siblings there are processes, and each of these counts as much as a
// cgroup with all that is in it. Six busy processes took six sevenths of the host from
// all machines of all clusters. Not more than four: who asks these machines is a process too.
const folderShare = 4

// shares are the files of a cgroup with its share, in each version of cgroups, and the share of a process.
var shares = map[string]int{"cpu.shares": 1024, "cpu.weight": 100}

// raiseShare gives a folder of machines its share, where the hierarchy has CPUs to share.
func raiseShare(dir string) error {
	for name, process := range shares {
		file, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			_, err = fmt.Fprintln(file, folderShare*process)
			err = errors.Join(err, file.Close())
		}
		if err != nil {
			return fmt.Errorf("set the share of CPUs: %w", err)
		}
	}
	return nil
}

// makeCgroup makes a cgroup in every hierarchy and lets it have the controllers.
func makeCgroup(all []hierarchy, path string) error {
	for _, h := range all {
		dir := h.path
		elems := strings.Split(path, "/")
		for i, elem := range elems {
			parent := dir
			dir = filepath.Join(dir, elem)
			if h.unified {
				enableControllers(parent)
			}
			if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
			if h.cpuset {
				if err := copyCpuset(parent, dir); err != nil {
					return err
				}
			}
			if i < len(elems)-1 {
				if err := raiseShare(dir); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// enableControllers passes on what it can: a controller that a v1 hierarchy
// has, or that the host keeps back, is not there to pass on.
func enableControllers(dir string) {
	controllers, _ := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	for _, c := range strings.Fields(string(controllers)) {
		_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+c), 0)
	}
}

// copyCpuset fills a new v1 cpuset: one without processors takes no process.
func copyCpuset(parent, dir string) error {
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		if own, err := os.ReadFile(filepath.Join(dir, name)); err == nil && strings.TrimSpace(string(own)) != "" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(parent, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0)
		}
		if err != nil {
			return fmt.Errorf("fill %s: %w", filepath.Join(dir, name), err)
		}
	}
	return nil
}

// enterCgroup moves the calling thread into the v1 cgroups: its children follow.
func enterCgroup(all []hierarchy, path string) error {
	for _, h := range all {
		if h.unified {
			continue
		}
		if err := os.WriteFile(filepath.Join(h.path, path, "tasks"), []byte("0"), 0); err != nil {
			return err
		}
	}
	return nil
}
