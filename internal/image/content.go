package image

// suite is Debian 12: systemd 252 runs on cgroup v1 and v2.
const suite = "bookworm"

// packages are what Kubernetes' programs call on a node, what the load balancer
// needs, and what an operator expects to find when looking into trouble.
var packages = []string{
	"ca-certificates",
	"conntrack",
	"curl",
	"haproxy",
	"iproute2",
	"iptables", // kube-proxy, the CNI plugins, flannel
	"iputils-ping",
	"keepalived",
	"kmod",
	"mount", // kubelet
	"nftables",
	"openssh-server",
	"procps",
	"socat",
	"systemd",
	"systemd-sysv",
}

// excluded are files of packages that nobody reads on a machine.
var excluded = []string{
	"/usr/share/doc/*",
	"/usr/share/info/*",
	"/usr/share/locale/*",
	"/usr/share/man/*",
}

// masked units send traffic, act by a clock, look for hardware, or set up what
// systemd-nspawn has set up. Without them a machine boots in a fraction of a second.
var masked = []string{
	"apt-daily-upgrade.timer",
	"apt-daily.timer",
	"console-getty.service",
	"cryptsetup.target",
	"dev-hugepages.mount",
	"dpkg-db-backup.timer",
	"e2scrub_all.timer",
	"e2scrub_reap.service",
	"fstrim.timer",
	"getty-static.service",
	"getty.target",
	"getty@tty1.service",
	"integritysetup.target",
	"kmod-static-nodes.service",
	"modprobe@.service",
	"proc-sys-fs-binfmt_misc.automount",
	"sys-fs-fuse-connections.mount",
	"sys-kernel-config.mount",
	"sys-kernel-debug.mount",
	"sys-kernel-tracing.mount",
	"systemd-ask-password-console.path",
	"systemd-ask-password-wall.path",
	"systemd-binfmt.service",
	"systemd-firstboot.service",
	"systemd-initctl.socket",
	"systemd-journald-audit.socket",
	"systemd-logind.service",
	"systemd-machine-id-commit.service",
	"systemd-modules-load.service",
	"systemd-networkd.service",
	"systemd-networkd.socket",
	"systemd-pcrphase-sysinit.service",
	"systemd-pcrphase.service",
	"systemd-pstore.service",
	"systemd-random-seed.service",
	"systemd-remount-fs.service",
	"systemd-resolved.service",
	"systemd-sysusers.service",
	"systemd-timesyncd.service",
	"systemd-tmpfiles-clean.timer",
	"systemd-tmpfiles-setup-dev.service",
	"systemd-udev-trigger.service",
	"systemd-udevd-control.socket",
	"systemd-udevd-kernel.socket",
	"systemd-udevd.service",
	"systemd-update-utmp-runlevel.service",
	"systemd-update-utmp.service",
	"systemd-user-sessions.service",
	"veritysetup.target",
}

// removed are patterns of files that a machine gets its own of, or none:
// the services of the load balancer start when they are told to, sysctl files of
// the distribution would change the host, and systemd's generators, which look for
// disks, consoles and scripts of SysV at boot and at every reload of the units, find
// nothing here.
var removed = []string{
	"etc/hostname",
	"etc/init.d",
	"etc/machine-id",
	"etc/rc?.d",
	"etc/resolv.conf",
	"etc/ssh/ssh_host_*",
	"etc/ssh/sshd_config.d",
	"etc/sysctl.conf",
	"etc/sysctl.d/*",
	"etc/systemd/system/*.wants",
	"usr/lib/sysctl.d/*",
	"usr/lib/systemd/system-generators",
	"var/cache/debconf/*-old",
	"var/lib/apt/*",
	"var/log/*",
}

// links are symlinks of the image by path. What was enabled by the packages is
// gone with the folders of *.wants.
var links = map[string]string{
	"etc/systemd/system/default.target":                               "/lib/systemd/system/multi-user.target",
	"etc/systemd/system/multi-user.target.wants/ssh.service":          "/lib/systemd/system/ssh.service",
	"etc/systemd/system/sysinit.target.wants/haplane-cgroups.service": "/etc/systemd/system/haplane-cgroups.service",
}
