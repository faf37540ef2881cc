package floor

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/haplane/haplane/e2e/rig/thread"
	"github.com/haplane/haplane/internal/topology"
)

// A machine is namespaces for mounts, network and host name. They are those of
// one thread, and of the processes that it starts.
type machine struct {
	node      topology.Node
	thread    *thread.Thread
	dir, root string
	processes []*process
}

// folders are what systemd makes for the units.
var folders = []string{"/run/haproxy", "/var/log/kubernetes"}

func newMachine(o Options, n topology.Node, network *network) (*machine, error) {
	m := &machine{node: n, thread: thread.New(), dir: filepath.Join(o.Dir, n.Name)}
	m.root = filepath.Join(m.dir, "root")
	if err := m.readUnits(o); err != nil {
		m.close()
		return nil, err
	}
	err := m.thread.Do(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWNET | unix.CLONE_NEWUTS); err != nil {
			return err
		}
		if err := unix.Sethostname([]byte(n.Name)); err != nil {
			return err
		}
		if err := m.mount(o); err != nil {
			return err
		}
		return network.attach(n.Address)
	})
	if err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

// mount lays the machine's files over the image, as a local machine has it.
func (m *machine) mount(o Options) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	for _, name := range []string{"upper", "work", "root", "etcd"} {
		if err := os.MkdirAll(filepath.Join(m.dir, name), 0o700); err != nil {
			return err
		}
	}
	layers := fmt.Sprintf("lowerdir=%s:%s,upperdir=%s,workdir=%s", o.rendered(m.node.Name), o.Image,
		filepath.Join(m.dir, "upper"), filepath.Join(m.dir, "work"))
	if err := unix.Mount("floor", m.root, "overlay", 0, layers); err != nil {
		return fmt.Errorf("mount root: %w", err)
	}
	// etcd syncs, and so is beside the overlay, on a machine too.
	binds := map[string]string{filepath.Join(m.dir, "etcd"): topology.EtcdDataDir, "/proc": "/proc", "/dev": "/dev"}
	for from, to := range binds {
		if err := os.MkdirAll(filepath.Join(m.root, to), 0o700); err != nil {
			return err
		}
		if err := unix.Mount(from, filepath.Join(m.root, to), "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("mount %s: %w", to, err)
		}
	}
	for _, f := range folders {
		if err := os.MkdirAll(filepath.Join(m.root, f), 0o755); err != nil {
			return err
		}
	}
	return os.Chmod(m.root, 0o755)
}
