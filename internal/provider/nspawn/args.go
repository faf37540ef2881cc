package nspawn

// environment of systemd-nspawn: /sys and /proc/sys are writable, for kubelet
// and kube-proxy; no lock file beside the root, the provider has its own order.
var environment = []string{"SYSTEMD_NSPAWN_API_VFS_WRITABLE=1", "SYSTEMD_NSPAWN_LOCK=0"}

// persistent are the folders that cannot be in the overlay, by where they are
// in the machine: containerd puts overlays of its own on them, etcd syncs.
var persistent = []struct {
	path string
	name string // below data/ in the machine's folder
}{
	{"/var/lib/etcd", "etcd"},
	{"/var/lib/containerd", "containerd"},
	{"/var/lib/kubelet", "kubelet"},
}

// arguments is the command that boots a machine, found in the manual
// systemd-nspawn(1). The machine is not registered with machined: it has a
// cgroup of its own already, and a host without systemd has no machined.
func (p *Provider) arguments(machine string) []string {
	args := []string{
		"systemd-nspawn", "--quiet", "--boot",
		"--directory=" + p.dir(machine, "root"),
		"--machine=" + p.container(machine),
		"--hostname=" + machine,
		"--network-namespace-path=" + netnsPath(p.netns(machine)),
		"--register=no", "--keep-unit",
		"--capability=all",
		"--system-call-filter=@keyring bpf", // containerd's shim and runc
		"--bind=/dev/kmsg",                  // kubelet's OOM watcher
		"--resolv-conf=off", "--timezone=off", "--link-journal=no",
		"--console=pipe",
	}
	for _, d := range persistent {
		args = append(args, "--bind="+escapeColons(p.dir(machine, "data", d.name))+":"+d.path)
	}
	return args
}

// scoped puts a command into a systemd scope of its own. systemd-run becomes
// the command, so its process id stays.
func (p *Provider) scoped(machine string, argv []string) []string {
	return append([]string{
		"systemd-run", "--scope", "--quiet", "--collect",
		"--unit=" + p.unit(machine), "--slice=" + sliceUnit,
		"--property=Delegate=yes",
	}, argv...)
}
