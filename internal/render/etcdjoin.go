package render

import (
	"fmt"
	"strings"

	"github.com/haplane/haplane/internal/topology"
)

// EtcdJoinPath is the file of the settings that matter to an etcd member at its first start
// only. One that has data takes its cluster from there (v3.7.3,
// server/etcdserver/bootstrap.go: bootstrapClusterWithWAL). So the file is written once and
// then left: a member that comes or goes later is none of the others' business.
const EtcdJoinPath = "/etc/haplane/etcd-join.env"

// joinFlags are these settings. etcd refuses to start with one of them both in its
// environment and on its command line.
var joinFlags = []string{"initial-cluster", "initial-cluster-state", "initial-cluster-token"}

// EtcdJoin is the content of EtcdJoinPath. The zero Join is that of a new cluster of all
// members: one of them that lost its data does not found a second cluster, for etcd
// asks its peers first whether it was bootstrapped. What extraArgs say goes before.
func EtcdJoin(t *topology.Topology, j Join) []byte {
	if j.InitialCluster == "" {
		var members []string
		for _, m := range t.EtcdMembers() {
			members = append(members, m.Name+"="+m.EtcdPeerURL())
		}
		j.InitialCluster = strings.Join(members, ",")
	}
	state := "new"
	if j.Existing {
		state = "existing"
	}
	var w strings.Builder
	for i, value := range []string{j.InitialCluster, state, t.Name} {
		if extra, ok := t.ExtraArgs["etcd"][joinFlags[i]]; ok {
			value = extra
		}
		name := "ETCD_" + strings.ToUpper(strings.ReplaceAll(joinFlags[i], "-", "_"))
		fmt.Fprintf(&w, "%s=\"%s\"\n", name, environmentValue.Replace(value))
	}
	return []byte(w.String())
}

// environmentValue escapes what is special between double quotes, see systemd.exec(5).
var environmentValue = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`")
