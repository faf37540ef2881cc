//go:build e2e

package e2e

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// etcdFaults are about members. None of them takes the quorum away.
var etcdFaults = []fault{
	{"member-stopped", []sighting{failing("etcd-quorum", "cp-3"), failing("failures-tolerated", "")}, func(t *testing.T, p *patient) {
		p.healBy(func() {
			p.cure(t, "cp-3", "systemctl start etcd; systemctl restart kube-apiserver")
			p.waitUnit(t, "cp-3", "etcd")
			p.waitUnit(t, "cp-3", "kube-apiserver")
		})
		p.on(t, "cp-3", "systemctl stop etcd")
	}},
	{"ghost-member", []sighting{failing("etcd-members-match-nodes", ""), warning("etcd-odd-members", "")}, func(t *testing.T, p *patient) {
		p.addMember(t, "")
	}},
	{"learner-left-over", []sighting{warning("etcd-learners", "")}, func(t *testing.T, p *patient) { p.addMember(t, "--learner") }},
	{"etcd-without-tls", []sighting{failing("etcd-tls", "cp-2")}, func(t *testing.T, p *patient) {
		p.editUnit(t, "cp-2", "etcd", `s#(--listen-client-urls=\S+)#\1,http://`+p.address("cp-2")+`:2378#`)
	}},
	unit("etcd-peers-without-certificate", "cp-3", "etcd", `s#--peer-client-cert-auth=true#--peer-client-cert-auth=false#`, failing("etcd-tls", "cp-3")),
	{"etcd-quota-nearly-used", []sighting{warning("etcd-alarms-and-quota", "cp-1")}, func(t *testing.T, p *patient) {
		// Not the file's size: bbolt lets it grow by 16 MiB at a time.
		size, err := strconv.Atoi(p.on(t, "cp-1", etcdctl+`endpoint status --write-out=json | grep --only-matching '"dbSize":[0-9]*' | cut --delimiter=: --fields=2`))
		if err != nil {
			t.Fatal(err)
		}
		p.editUnit(t, "cp-1", "etcd", fmt.Sprintf(`s#--quota-backend-bytes=\S+#--quota-backend-bytes=%d#`, size*100/85))
	}},
	// A client that trusts the member list would ask an address that the certificate lacks.
	unit("etcd-certificate-lacks-its-address", "cp-2", "etcd", `s#(--advertise-client-urls=https://)\S+#\110.75.6.99:2379#`, failing("etcd-cert-names", "cp-2")),
}

// addMember adds one that never starts, and removes it in the end.
func (p *patient) addMember(t *testing.T, kind string) {
	t.Helper()
	p.healBy(func() {
		for line := range strings.Lines(p.on(t, "cp-1", etcdctl+"member list")) {
			if id, rest, _ := strings.Cut(line, ","); strings.Contains(rest, ":2390") {
				p.cure(t, "cp-1", etcdctl+"member remove "+id)
			}
		}
	})
	p.on(t, "cp-1", etcdctl+"member add ghost --peer-urls=https://"+p.address("cp-1")+":2390 "+kind)
}
