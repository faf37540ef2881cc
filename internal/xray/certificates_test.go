package xray

import (
	"slices"
	"testing"
	"time"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

var certificateCases = slices.Concat(expiryCases, caExpiryCases, chainCases, keyCases, serviceAccountCases, sameFileCases, frontProxyCases)

// reissued changes a certificate of a machine, or of all where it is "".
func reissued(machine, path string, change func(*evidencetest.Row)) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) { evidencetest.Reissue(e, machine, path, change) }
}

// lives is from and until when a certificate is valid, counted from the x-ray.
func lives(from, until time.Duration) func(*evidencetest.Row) {
	return func(r *evidencetest.Row) {
		r.NotBefore, r.NotAfter = evidencetest.At.Add(from), evidencetest.At.Add(until)
	}
}

// by has another CA sign a certificate.
func by(ca string) func(*evidencetest.Row) { return func(r *evidencetest.Row) { r.CA = ca } }

// anotherKey makes a CA another one of the same name.
func anotherKey(r *evidencetest.Row) { r.Key = "another " + r.CommonName }

const rotatedClient = "/var/lib/kubelet/pki/kubelet-client-current.pem"

var expiryCases = []checkCase{
	{check: "certificate-expiry", name: "healthy", status: Pass, says: evidencetest.PKI + "apiserver.crt 330 days"},
	{check: "certificate-expiry", name: "kubeadm", of: evidencetest.Kubeadm, status: Pass, says: rotatedClient + " 330 days"},
	{check: "certificate-expiry", name: "in a folder", of: inFolder(evidencetest.Kubeadm), status: Pass, says: "etcd/peer.crt 330 days"},
	{check: "certificate-expiry", name: "as the API presents it", of: apiOnly(evidencetest.Kubeadm), status: Pass, says: "kube-apiserver: ends on 2027-10-18, in 330 days"},
	{check: "certificate-expiry", name: "a serving certificate ended", status: Fail, node: "cp-3", says: "kube-apiserver: ended on 2026-11-22, 1h0m0s ago",
		change: reissued("cp-3", evidencetest.ServingCert, lives(-48*time.Hour, -time.Hour))},
	{check: "certificate-expiry", name: "a serving certificate ends in three days", status: Warn, node: ",cp-1", says: "in 3 days",
		change: reissued("cp-1", evidencetest.ServingCert, lives(-5*time.Minute, 72*time.Hour))},
	{check: "certificate-expiry", name: "a year's ends in three weeks", status: Warn, node: "cp-2", says: "valid for 30 days more at least",
		change: reissued("cp-2", evidencetest.PKI+"etcd/peer.crt", lives(-344*day, 21*day))},
	{check: "certificate-expiry", name: "ninety days' with a month left", status: Pass, says: "etcd/peer.crt 20 days", change: reissued("cp-2", evidencetest.PKI+"etcd/peer.crt", lives(-70*day, 20*day))},
	{check: "certificate-expiry", name: "a kubeconfig's ended", status: Fail, node: "cp-1", says: "system:kube-scheduler: ended", change: reissued("cp-1", evidencetest.SchedulerConf, lives(-365*day, -day))},
	{check: "certificate-expiry", name: "not valid yet", status: Fail, node: "cp-1", says: "not valid before 2026-11-23", change: reissued("cp-1", evidencetest.PKI+"front-proxy-client.crt", lives(2*time.Hour, 365*day))},
	{check: "certificate-expiry", name: "the file is new, and the old one is presented", status: Fail, node: "cp-2", says: "ended", change: func(e *evidence.Evidence) {
		row := evidencetest.RowOf(*evidencetest.Machine(e, "cp-2").Certificate(evidencetest.ServingCert))
		lives(-365*day, -time.Hour)(&row)
		evidencetest.Server(e, "cp-2").Certificates = []evidence.Certificate{evidencetest.Issue(row)}
	}},
	{check: "certificate-expiry", name: "a kubelet's day is not over", of: evidencetest.Kubeadm, status: Pass, says: rotatedClient + " 4h0m0s", change: reissued("worker-1", rotatedClient, lives(-20*time.Hour, 4*time.Hour))},
	{check: "certificate-expiry", name: "a kubelet did not renew its own", of: evidencetest.Kubeadm, status: Warn, node: "worker-1", says: "in 2h0m0s",
		change: reissued("worker-1", rotatedClient, lives(-22*time.Hour, 2*time.Hour))},
	{check: "certificate-expiry", name: "garbage", status: Error, node: "cp-2", says: "malformed certificate", change: func(e *evidence.Evidence) {
		evidencetest.Garble(e, "cp-2", evidencetest.PKI+"apiserver-kubelet-client.crt", "x509: malformed certificate")
	}},
	{check: "certificate-expiry", name: "CAs are another check's", status: Pass, change: reissued("", evidencetest.PKI+"ca.crt", lives(-day, day))},
}

var caExpiryCases = []checkCase{
	{check: "ca-expiry", name: "healthy", status: Pass, says: "CA etcd-ca ends on 2036-09-30, in 3600 days"},
	{check: "ca-expiry", name: "in a folder", of: inFolder(evidencetest.Kubeadm), status: Pass, says: "CA front-proxy-ca"},
	{check: "ca-expiry", name: "a CA that all have ended", status: Fail, says: "CA front-proxy-ca ended on 2026-11-20, 2 days ago", change: reissued("", evidencetest.PKI+"front-proxy-ca.crt", lives(-3650*day, -2*day))},
	{check: "ca-expiry", name: "one node has one that ended", status: Fail, node: "cp-2", says: "CA kubernetes ended", change: reissued("cp-2", evidencetest.PKI+"ca.crt", lives(-3650*day, -day))},
	{check: "ca-expiry", name: "it ends in two weeks", status: Fail, says: "in 14 days", change: reissued("", evidencetest.PKI+"etcd/ca.crt", lives(-3600*day, 14*day))},
	{check: "ca-expiry", name: "it ends before what it signed", status: Warn, says: evidencetest.PKI + "front-proxy-client.crt on cp-1 claims to be valid until 2027-10-18",
		change: reissued("", evidencetest.PKI+"front-proxy-ca.crt", lives(-3600*day, 200*day))},
	{check: "ca-expiry", name: "it ends within a year", status: Warn, node: "cp-3", says: "in 364 days", change: reissued("cp-3", evidencetest.PKI+"front-proxy-ca.crt", lives(-3000*day, 364*day))},
	{check: "ca-expiry", name: "not valid yet", status: Fail, node: "cp-1", says: "not valid before", change: reissued("cp-1", evidencetest.PKI+"etcd/ca.crt", lives(day, 3650*day))},
	{check: "ca-expiry", name: "an old one left beside its successor", status: Warn, node: "cp-1", says: "another one is beside it", change: func(e *evidence.Evidence) {
		old := evidencetest.Issue(evidencetest.Row{CommonName: "kubernetes", Key: "old", NotBefore: evidencetest.At.Add(-3650 * day), NotAfter: evidencetest.At.Add(-day)})
		evidencetest.SetCertificates(e, "cp-1", evidencetest.PKI+"ca.crt", old, evidencetest.Machine(e, "cp-1").Certificates[evidencetest.PKI+"ca.crt"][0])
	}},
}

var chainCases = []checkCase{
	{check: "chain-valid", name: "healthy", status: Pass, says: evidencetest.KubeletConf},
	{check: "chain-valid", name: "own addresses", of: healthy(spec.PerNode), status: Pass, says: evidencetest.ServingCert},
	{check: "chain-valid", name: "kubeadm", of: evidencetest.Kubeadm, status: Pass, says: rotatedClient},
	{check: "chain-valid", name: "in a folder", of: inFolder(evidencetest.Kubeadm), status: Pass, says: "etcd/peer.crt"},
	{check: "chain-valid", name: "etcd on machines of its own", status: Pass, says: "etcd/server.crt", change: evidencetest.MoveEtcd},
	{check: "chain-valid", name: "a serving certificate of another CA", status: Fail, node: "cp-1", says: `serving certificate kube-apiserver: signed by CA "somebody-else"`, change: reissued("cp-1", evidencetest.ServingCert, by(evidencetest.OtherCA))},
	{check: "chain-valid", name: "a client certificate of another CA", status: Fail, node: "worker-1", says: "client certificate system:node:worker-1", change: reissued("worker-1", evidencetest.KubeletConf, by(evidencetest.OtherCA))},
	{check: "chain-valid", name: "a rotated one of another CA", of: evidencetest.Kubeadm, status: Fail, node: "worker-1", says: "system:node:worker-1", change: reissued("worker-1", rotatedClient, by(evidencetest.OtherCA))},
	{check: "chain-valid", name: "a member's certificate of the cluster's CA", status: Fail, node: "cp-2", says: `etcd's server certificate cp-2: signed by CA "kubernetes"`, change: reissued("cp-2", evidencetest.PKI+"etcd/server.crt", by(evidencetest.CA))},
	{check: "chain-valid", name: "a peer's certificate of another CA", status: Fail, node: "cp-3", says: "etcd's peer certificate", change: reissued("cp-3", evidencetest.PKI+"etcd/peer.crt", by(evidencetest.OtherCA))},
	{check: "chain-valid", name: "a peer's certificate for servers only", status: Fail, node: "cp-3", says: "incompatible key usage", change: reissued("cp-3", evidencetest.PKI+"etcd/peer.crt", func(r *evidencetest.Row) {
		r.Usages = evidencetest.ForServer
	})},
	{check: "chain-valid", name: "an API server's certificate for etcd", status: Fail, node: "cp-1", says: "client certificate for etcd", change: reissued("cp-1", evidencetest.PKI+"apiserver-etcd-client.crt", by(evidencetest.OtherCA))},
	{check: "chain-valid", name: "an API server's certificate for kubelets", status: Fail, node: "cp-1", says: "client certificate for kubelets", change: reissued("cp-1", evidencetest.PKI+"apiserver-kubelet-client.crt", by(evidencetest.OtherCA))},
	{check: "chain-valid", name: "a kubelet's serving certificate", status: Fail, node: "worker-1", says: "--kubelet-certificate-authority", change: reissued("worker-1", "/var/lib/kubelet/pki/kubelet.crt", by(evidencetest.OtherCA))},
	{check: "chain-valid", name: "a serving certificate for clients", status: Fail, node: "cp-2", says: "incompatible key usage", change: reissued("cp-2", evidencetest.ServingCert, func(r *evidencetest.Row) { r.Usages = evidencetest.ForClient })},
	{check: "chain-valid", name: "a CA of the same name", status: Fail, node: "cp-2", says: `signed by CA "front-proxy-ca" (key`, change: reissued("cp-2", evidencetest.PKI+"front-proxy-ca.crt", anotherKey)},
	{check: "chain-valid", name: "a CA between that is in the file", status: Pass, says: evidencetest.SchedulerConf, change: between(true)},
	{check: "chain-valid", name: "a CA between that nobody shows", status: Fail, node: "cp-1", says: "client certificate system:kube-scheduler", change: between(false)},
	{check: "chain-valid", name: "time is another check's", status: Pass, says: evidencetest.ServingCert, change: func(e *evidence.Evidence) {
		evidencetest.Reissue(e, "cp-3", evidencetest.ServingCert, lives(-48*time.Hour, -time.Hour))
		evidencetest.Reissue(e, "", evidencetest.PKI+"front-proxy-ca.crt", lives(-3650*day, -2*day))
	}},
}

// What a CA that is being replaced vouches by for the next one, behind a server's certificate, is none that has to be replaced itself.
func TestACAThatIsVouchedForIsJudgedOnce(t *testing.T) {
	e := evidencetest.Healthy(spec.Shared)
	before := caExpiry(NewScene(e, Expectation{}))
	_, vouched := evidencetest.Chain("old", evidencetest.CA)
	_, between := evidencetest.Chain("old", "between")
	leaf := *evidencetest.Machine(e, "cp-1").Certificate(evidencetest.ServingCert)
	evidencetest.SetCertificates(e, "cp-1", evidencetest.ServingCert, leaf, vouched)
	if after := caExpiry(NewScene(e, Expectation{})); len(after) != len(before) {
		t.Errorf("%v", after[len(before):])
	}
	if failed := slices.DeleteFunc(chainValid(NewScene(e, Expectation{})), func(f Finding) bool { return f.Status == Pass }); len(failed) > 0 {
		t.Errorf("%v", failed)
	}
	evidencetest.SetCertificates(e, "cp-1", evidencetest.ServingCert, leaf, vouched, between)
	if after := caExpiry(NewScene(e, Expectation{})); len(after) != len(before)+1 {
		t.Errorf("a CA between is judged %d times", len(after)-len(before))
	}
}

// between has the scheduler of cp-1 come with a certificate that a CA below the
// cluster's signed, which it shows or not.
func between(shown bool) func(*evidence.Evidence) {
	return func(e *evidence.Evidence) {
		_, below := evidencetest.Chain(evidencetest.CA, "below")
		leaf := evidencetest.Issue(evidencetest.Row{CA: "below", CommonName: "system:kube-scheduler", Usages: evidencetest.ForClient})
		all := []evidence.Certificate{evidencetest.Machine(e, "cp-1").Certificates[evidencetest.PKI+"ca.crt"][0], leaf}
		if shown {
			all = append(all, below)
		}
		evidencetest.SetCertificates(e, "cp-1", evidencetest.SchedulerConf, all...)
	}
}
