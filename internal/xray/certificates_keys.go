package xray

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

// secretFlags name files that hold a secret; those of etcd, the folder with its data too.
var (
	secretFlags = []string{
		"tls-private-key-file", "etcd-keyfile", "kubelet-client-key", "proxy-client-key-file", "service-account-signing-key-file",
		"service-account-private-key-file", "cluster-signing-key-file", "encryption-provider-config", "token-auth-file",
	}
	etcdSecrets = []string{"key-file", "peer-key-file", "data-dir"}
)

func keyPermissions(s *Scene) []Finding {
	var out []Finding
	for _, m := range s.Machines {
		paths := secrets(m)
		var good []string
		for _, path := range paths {
			if f, ok := permission(m, m.Files[path]); !ok {
				out = append(out, f)
			} else {
				good = append(good, path)
			}
		}
		if len(good) > 0 {
			out = append(out, at{node: m.Name}.pass("%s", list(good)))
		}
	}
	return out
}

// secrets are the files of a machine that only their owner should read: keys by
// their name, whatever names them; kubeconfigs; and what flags say is one.
func secrets(m *evidence.Machine) []string {
	flagged := map[string]bool{}
	for i := range m.Programs {
		p := &m.Programs[i]
		for _, flag := range secretFlags {
			flagged[p.FlagOr(flag, "")] = true
		}
		for _, c := range p.NamedCertificates() {
			flagged[c.Key] = true
		}
		for _, flag := range etcdSecrets {
			if p.Name == evidence.EtcdServer {
				flagged[p.EtcdSetting(flag, "")] = true
			}
		}
		if p.Name == evidence.Kubelet {
			flagged[kubeletFile(Instance{p, m}, "tls-private-key-file", "tlsPrivateKeyFile")] = true
		}
	}
	var out []string
	for _, path := range slices.Sorted(maps.Keys(m.Files)) {
		_, kubeconfig := m.Kubeconfigs[path]
		if flagged[path] || m.Files[path].Private || kubeconfig || strings.HasSuffix(path, ".key") || isRotated(path) {
			out = append(out, path)
		}
	}
	return out
}

// The permission bits of those who are not the owner.
const (
	othersBits  = 0o007
	groupWrites = 0o020
	groupBits   = 0o070
)

// permission fails what all users of the machine can read or a group can change,
// and warns where a group other than root's can read: it may be the program's own. In a
// folder of copies the bits may be the copy's, and the group is not that of the machine.
func permission(m *evidence.Machine, f evidence.File) (Finding, bool) {
	where, expected := at{m.Name, f.Path}, "for its owner alone, such as 0600 root"
	observed := fmt.Sprintf("%04o", f.Mode)
	if f.Owner != "" {
		observed += ", " + f.Owner
	}
	bad := Fail
	if m.Way == evidence.Folder {
		bad, observed = Warn, observed+" (of the copy)"
	}
	switch {
	case f.Mode&(othersBits|groupWrites) != 0:
		return where.judge(false, bad, expected, observed), false
	case f.Mode&groupBits != 0 && m.Way == evidence.Folder:
		return where.skip("%s: which group may read it on the machine does not show in a copy", observed), false
	case f.Mode&groupBits != 0 && f.Group != "root" && f.Group != "0":
		if f.Group != "" {
			observed += ", group " + f.Group
		}
		return where.warn(expected, observed), false
	case m.Way != evidence.Folder && !ownerIsFine(m, f):
		return where.warn("owned by root, or by the user of a program", observed), false
	}
	return Finding{}, true
}

func ownerIsFine(m *evidence.Machine, f evidence.File) bool {
	owner := f.Owner
	if owner == "" || owner == "root" || owner == "0" || strings.HasPrefix(f.Path, "/home/"+owner+"/") {
		return true
	}
	return slices.ContainsFunc(m.Programs, func(p evidence.Program) bool {
		// A static pod's user is not known here: kubeadm names them after the program.
		return p.Unit != nil && p.Unit.Settings["User"] == owner || strings.HasPrefix(owner, "kubeadm-") || owner == p.Name
	})
}
