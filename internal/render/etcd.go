package render

import (
	"fmt"
	"path"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/topology"
)

// etcdRereads are the flags whose files etcd v3.7.3 reads again on each handshake
// (client/pkg/transport/listener.go: GetCertificate, GetClientCertificate). The CAs it
// reads when it starts.
var etcdRereads = []string{"cert-file", "key-file", "peer-cert-file", "peer-key-file"}

// etcd renders a member.
func (b *builder) etcd() {
	dir := pkiPath("etcd")
	b.addCert(path.Join(dir, "ca.crt"), pki.EtcdCA)
	b.addPair(path.Join(dir, "server"), pki.EtcdServer(b.node.Name))
	b.addPair(path.Join(dir, "peer"), pki.EtcdPeer(b.node.Name))
	b.addPair(path.Join(dir, "healthcheck-client"), pki.EtcdHealthcheckClient)
	b.files.Add(fileset.File{Path: EtcdJoinPath, Mode: 0o644, Keep: true,
		Data: EtcdJoin(b.Topology, b.Join[b.node.Name])})

	loopback := fmt.Sprintf("https://127.0.0.1:%d", topology.EtcdClientPort)
	b.addService(service{
		name: "etcd", description: "etcd, the storage of Kubernetes",
		argv: b.flagsWithout(joinFlags, "etcd",
			[2]string{"name", b.node.Name},
			[2]string{"data-dir", topology.EtcdDataDir},
			[2]string{"listen-client-urls", loopback + "," + b.node.EtcdClientURL()},
			[2]string{"advertise-client-urls", b.node.EtcdClientURL()},
			[2]string{"listen-peer-urls", b.node.EtcdPeerURL()},
			[2]string{"initial-advertise-peer-urls", b.node.EtcdPeerURL()},
			[2]string{"listen-metrics-urls", "http://127.0.0.1:2381"},
			[2]string{"cert-file", dir + "/server.crt"},
			[2]string{"key-file", dir + "/server.key"},
			[2]string{"client-cert-auth", "true"},
			[2]string{"trusted-ca-file", dir + "/ca.crt"},
			[2]string{"peer-cert-file", dir + "/peer.crt"},
			[2]string{"peer-key-file", dir + "/peer.key"},
			[2]string{"peer-client-cert-auth", "true"},
			[2]string{"peer-trusted-ca-file", dir + "/ca.crt"},
			[2]string{"tls-min-version", "TLS1.2"},
			[2]string{"quota-backend-bytes", "4294967296"},
		),
		// Type=notify would hold `systemctl start` until there is quorum, and with it every other start.
		service: []string{"EnvironmentFile=" + EtcdJoinPath, "Type=exec", "Nice=-5", "TimeoutStopSec=30",
			// Data that is another user's, as root's of an older haplane, is given to etcd before it starts.
			"StateDirectory=etcd", "StateDirectoryMode=0700"},
		user: b.ownUser("etcd"),
		self: etcdRereads,
	})
	b.snapshots()
}
