package render

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/topology"
)

// SysusersPath has the users of a machine's programs, for systemd-sysusers. Images that an
// older haplane made have none of them: whoever writes this file makes them, see apply.Write.
const SysusersPath = "/etc/sysusers.d/haplane.conf"

// userIDs are the same on all machines: a backup of etcd's data, or a folder of the host that
// is mounted into one, has the same owner everywhere. Debian's packages count down from 999.
var userIDs = map[string]int{"etcd": 401, "kube-apiserver": 402, "kube-controller-manager": 403, "kube-scheduler": 404, "haplane-agent": 405}

// addUsers writes down the users of the machine's programs. None has a shell or a home.
func (b *builder) addUsers() {
	if len(b.users) == 0 {
		return
	}
	var w strings.Builder
	for _, name := range slices.Sorted(slices.Values(b.users)) {
		fmt.Fprintf(&w, "u %s %d \"%s of Kubernetes\" - /usr/sbin/nologin\n", name, userIDs[name], name)
	}
	b.files.Add(fileset.File{Path: SysusersPath, Mode: 0o644, Data: []byte(w.String())})
}

// confined is what every program can do without, that starts no programs of others: containerd
// and kubelet hand all of this on to pods, and have none of it.
var confined = []string{
	"NoNewPrivileges=yes",
	"ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes", "UMask=0077",
	"ProtectKernelModules=yes", "ProtectKernelLogs=yes", "ProtectClock=yes", "ProtectControlGroups=yes", "ProtectHostname=yes",
	"RestrictNamespaces=yes", "RestrictRealtime=yes", "RestrictSUIDSGID=yes", "LockPersonality=yes", "MemoryDenyWriteExecute=yes",
	"RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK", // Go asks for the machine's addresses by netlink
	"SystemCallArchitectures=native", "SystemCallErrorNumber=EPERM", "SystemCallFilter=@system-service",
}

// unprivileged is for a program with a user of its own. Keys stay root's, 0600, where everybody
// expects them, and are replaced there while it runs; so it may read what it does not own. It
// sees no key that it does not name (hidden), and can open no file but by its path: the system
// call that would is among @privileged. Of these, chown is left: an API server that rotates
// its audit log gives the new file the old one's owner, and stops logging when it cannot.
var unprivileged = []string{
	"CapabilityBoundingSet=CAP_DAC_READ_SEARCH", "AmbientCapabilities=CAP_DAC_READ_SEARCH",
	"PrivateDevices=yes", "ProtectKernelTunables=yes", "ProtectProc=invisible", "RemoveIPC=yes",
	"SystemCallFilter=~@privileged @resources", "SystemCallFilter=@chown",
}

// networkOnly is for root's programs that set up the network and nothing else. kube-proxy lowers
// its own score for the kernel's choice of what to end when memory is short.
var networkOnly = slices.Concat(confined, []string{"CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW CAP_SYS_RESOURCE",
	"ReadWritePaths=/run"}) // locks of iptables, and what flannel tells the CNI plugins

// ownSecrets are the secrets of Kubernetes' programs on a machine, and secretPlaces folders
// and files of others, of which none of the programs with users of their own needs any. In
// ownData one of them has what is nobody else's to see.
var (
	ownSecrets = []string{
		"admin.conf", "controller-manager.conf", "encryption.yaml", "flannel.conf", "haplane-agent.conf", "kube-proxy.conf", "kubelet.conf",
		"scheduler.conf", "pki/apiserver-etcd-client.key", "pki/apiserver-kubelet-client.key", "pki/apiserver.key", "pki/ca.key",
		"pki/etcd/healthcheck-client.key", "pki/etcd/peer.key", "pki/etcd/server.key", "pki/front-proxy-client.key", "pki/sa.key",
	}
	secretPlaces = []string{"/etc/gshadow", "/etc/gshadow-", "/etc/shadow", "/etc/shadow-", "/etc/ssh", "/run/containerd", "/var/lib/containerd",
		"/var/lib/haplane", "/var/lib/kubelet"}
	ownData = map[string]string{"etcd": topology.EtcdDataDir, "kube-apiserver": path.Dir(topology.AuditLog)}
)

// asUser are the lines of a unit whose program runs as a user of its own.
func (b *builder) asUser(s service) []string {
	b.users = append(b.users, s.user)
	places := slices.Clone(secretPlaces)
	for _, owner := range slices.Sorted(maps.Keys(ownData)) {
		if owner != s.user {
			places = append(places, ownData[owner])
		}
	}
	return slices.Concat([]string{"User=" + s.user, "Group=" + s.user}, confined, unprivileged, []string{
		"InaccessiblePaths=-" + strings.Join(places, " -"),
		"InaccessiblePaths=-" + strings.Join(hidden(s.argv), " -"),
	})
}

// hidden are the secrets that no argument names.
func hidden(argv []string) []string {
	named := map[string]bool{}
	for _, a := range argv {
		_, value, _ := strings.Cut(a, "=")
		named[value] = true
	}
	var out []string
	for _, name := range ownSecrets {
		if p := path.Join(topology.KubernetesDir, name); !named[p] {
			out = append(out, p)
		}
	}
	return out
}

// writing are flags that name what a program writes to, and ownFolders what systemd gives the user
// of one to write to.
var (
	writing    = []string{"audit-log-path", "cert-dir", "log-outputs", "wal-dir"}
	ownFolders = []string{topology.EtcdDataDir + "/", path.Dir(topology.AuditLog) + "/"}
)

// ownUser is the user that a program runs as: one of its own or, where the cluster file has it write to
// a place that is not its own, "" for root, as before there were such users.
func (b *builder) ownUser(program string) string {
	for _, flag := range writing {
		for value := range strings.SplitSeq(b.Topology.ExtraArgs[program][flag], ",") {
			inside := func(folder string) bool { return strings.HasPrefix(path.Clean(value)+"/", folder) }
			if path.IsAbs(value) && !slices.ContainsFunc(ownFolders, inside) {
				return ""
			}
		}
	}
	return program
}
