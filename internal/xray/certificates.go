package xray

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/haplane/haplane/internal/xray/evidence"
)

var certificateChecks = []Check{
	{
		ID: "certificate-expiry", Subject: Certificates, Title: "No certificate ends soon",
		Why:    "A certificate that ended stops what uses it at its next handshake, on all nodes in the same hour where all were made together.",
		Source: "https://kubernetes.io/docs/tasks/administer-cluster/kubeadm/kubeadm-certs/",
		Fix:    "Renew it: haplane certs renew does that for its own clusters, kubeadm certs renew for kubeadm's; elsewhere its CA issues a new one. Then restart what does not reload it.",
		Needs:  []evidence.Way{evidence.Machines, evidence.Folder, evidence.API}, Run: certificateExpiry,
	},
	{
		ID: "ca-expiry", Subject: Certificates, Title: "CAs outlast what they have signed, and the next year",
		Why:    "When a CA ends, everything that it signed ends with it, whatever the certificates say. Replacing one takes a plan, since every client has to trust the new one first.",
		Source: "https://kubernetes.io/docs/tasks/tls/manual-rotation-of-ca-certificates/",
		Fix:    "Rotate the CA: trust old and new one everywhere, restart what reads it, reissue, then drop the old one.",
		Needs:  fromConfiguration, Run: caExpiry,
	},
	{
		ID: "chain-valid", Subject: Certificates, Title: "Certificates verify against the CAs that the other side trusts",
		Why:    "A certificate of another CA is refused by everybody, or by those nodes only that trust the other CA: that shows when a connection is next made, often long after the change.",
		Source: "https://kubernetes.io/docs/setup/best-practices/certificates/",
		Fix:    "Reissue the certificate from the CA that is trusted, or add its CA to those that are trusted; do not replace these.",
		Needs:  fromConfiguration, Run: chainValid,
	},
	{
		ID: "key-permissions", Subject: Certificates, Title: "Private keys and kubeconfigs are readable by their owner alone",
		Why:    "Who reads a key is who the key says. The CA's key, the service account key and admin.conf are the whole cluster.",
		Source: "https://kubernetes.io/docs/setup/best-practices/certificates/#certificate-paths",
		Fix:    "chown the file to the user that its program runs as, then chmod 0600 it, and replace the key if others could read it.",
		Needs:  fromConfiguration, Run: keyPermissions,
	},
	{
		ID: "service-account-key-equal", Subject: Certificates, Title: "All API servers accept the same service account keys",
		Why:    "A token that one API server issues has to be good at the next. Where keys differ, pods are turned away by some API servers and not by others.",
		Source: "https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/",
		Fix:    safeKeys,
		Needs:  []evidence.Way{evidence.Machines, evidence.Folder, evidence.API}, Run: serviceAccountKeyEqual,
	},
	{
		ID: "service-account-key-own", Subject: Certificates, Title: "Service accounts have a key of their own",
		Why:    "Who has the key that signs tokens can be any service account. Where it is a CA's key too, that is on every control-plane node, and can be replaced only together with all certificates; where it is a server's, the next renewal makes all tokens void.",
		Source: "https://kubernetes.io/docs/setup/best-practices/certificates/#certificate-paths",
		Fix:    "Make a pair for service accounts alone. Add its public key to --service-account-key-file of every API server (the flag can be repeated; keep the old file) and restart one after the other; only then let API servers and controller-managers sign with the new private key. Drop the old key when no token of it is in use.",
		Needs:  []evidence.Way{evidence.Machines, evidence.Folder, evidence.API}, Run: serviceAccountKeyOwn,
	},
	{
		ID: "ca-equal", Subject: Certificates, Title: "All nodes have the same CAs",
		Why:    "A node with another CA than the others refuses their certificates, and they refuse its own.",
		Source: "https://kubernetes.io/docs/setup/best-practices/certificates/",
		Fix:    "Add the CA that is missing to the file, which may have several, and restart what reads it. Take the other one out only when nothing that it signed is in use.",
		Needs:  fromConfiguration, Run: caEqual,
	},
	{
		ID: "encryption-config-equal", Subject: Certificates, Title: "All API servers encrypt with the same configuration",
		Why:    "An API server without the key cannot read what another one encrypted: Secrets exist or fail depending on where a request ends up.",
		Source: "https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/",
		Fix:    "Where files differ, put the keys of all into one, or what one node encrypted is lost. Copy it to all control-plane nodes, name it in --encryption-provider-config (1.13 and later) of each API server, and restart one after the other. Change the key that comes first, with which is written, only when all can read it.",
		Needs:  fromConfiguration, Run: encryptionConfigEqual,
	},
	{
		ID: "front-proxy", Subject: Certificates, Title: "API servers and their extensions trust the front proxy, and nobody else",
		Why:    "Extension API servers believe the user names in a request that comes with a front-proxy certificate. Without one such as metrics cannot be asked; with a CA that others have certificates of, they can be anybody.",
		Source: "https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/",
		Fix:    "Set --requestheader-* and --proxy-client-* of kube-apiserver (1.7 and later) as the aggregation layer asks for, the same on all nodes.",
		Needs:  []evidence.Way{evidence.Machines, evidence.Folder, evidence.API}, Run: frontProxy,
	},
}

// A placed certificate is one with where it was seen. Index is its place in the file.
type placed struct {
	*evidence.Certificate
	machine *evidence.Machine
	path    string
	index   int
}

func (p placed) at() at { return at{p.machine.Name, p.path} }

// certificatesOf are all certificates of a machine, in the order of their paths.
func certificatesOf(m *evidence.Machine) []placed {
	var out []placed
	for _, path := range slices.Sorted(maps.Keys(m.Certificates)) {
		if forTokensAlone(m, path) {
			continue
		}
		for i := range m.Certificates[path] {
			out = append(out, placed{&m.Certificates[path][i], m, path, i})
		}
	}
	return out
}

// forTokensAlone tells a file that flags name for tokens of service accounts only. Of certificates
// in it API servers take the public keys: whoever signed them, they never end.
func forTokensAlone(m *evidence.Machine, path string) bool {
	found := false
	for i := range m.Programs {
		if strings.Contains(fmt.Sprint(m.Programs[i].Config, m.Programs[i].Variables), path) {
			return false
		}
		for _, f := range m.Programs[i].Flags() {
			switch named := strings.Contains(f.Value, path); {
			case named && f.Name == "service-account-key-file" && f.Value == path:
				found = true
			case named:
				return false
			}
		}
	}
	return found
}

// readable are the certificates of a file that could be read.
func readable(m *evidence.Machine, path string) []placed {
	return slices.DeleteFunc(certificatesOf(m), func(p placed) bool { return p.path != path || p.Certificate.Certificate == nil })
}

func subject(c evidence.Certificate) string {
	if c.Certificate == nil {
		return ""
	}
	return cmp.Or(c.Subject.CommonName, c.Subject.String())
}

// said is what one place says of something that should be the same everywhere.
type said struct {
	at    at
	value string
	shown string // the value as people read it; "": value
}

func (s said) text() string { return cmp.Or(s.shown, s.value) }

// agree judges that all say the same. Those that differ from most are wrong; of
// two, the second is, since nothing tells.
func agree(what string, all []said, otherwise Status) []Finding {
	if len(all) == 0 {
		return nil
	}
	if len(all) == 1 {
		return []Finding{all[0].at.skip("%s is seen here only: nothing to compare with", what)}
	}
	common := mostCommon(all, func(s said) string { return s.value })
	var out []Finding
	var nodes []string
	right := all[slices.IndexFunc(all, func(s said) bool { return s.value == common })]
	for _, one := range all {
		nodes = append(nodes, one.at.node)
		if one.value != common {
			out = append(out, one.at.judge(false, otherwise, what+": "+right.text()+", as on "+right.at.node, one.text()))
		}
	}
	return orPass(out, at{source: right.at.source}, "%s: the same on %s", what, list(nodes))
}

// mostCommon is the value that most have; of equally common ones, the first.
func mostCommon[T any](all []T, value func(T) string) string {
	count := map[string]int{}
	for _, one := range all {
		count[value(one)]++
	}
	best := ""
	for _, one := range all {
		if v := value(one); count[v] > count[best] {
			best = v
		}
	}
	return best
}
