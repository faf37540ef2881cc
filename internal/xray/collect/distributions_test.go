package collect

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray"
	"github.com/haplane/haplane/internal/xray/collect/distributiontest"
	"github.com/haplane/haplane/internal/xray/evidence"
)

// Findings that clusters give as their makers lay them out, with why they are right. All else
// would be a false alarm.
var (
	// kubeadmsOwn are of API servers and controller-managers without further flags.
	kubeadmsOwn = map[string]string{
		"warn graceful-shutdown":      "--shutdown-delay-duration is 0 by default, and a static pod is killed after 30 s",
		"warn leader-release-on-exit": "the gate is off by default from 1.36 on",
	}
	older = map[string]string{"warn graceful-shutdown": kubeadmsOwn["warn graceful-shutdown"]}
	// guides are of HAProxy as kubeadm's guide has it.
	guides = map[string]string{
		"warn lb-health-check":   "/healthz stays green while an API server is stopping; verify none: whoever answers counts",
		"warn lb-detection-time": "what the check does not show is not noticed",
		"warn lb-dead-sessions":  "no on-marked-down shutdown-sessions, no tcp-ut",
		"warn lb-idle-timeout":   "35 s, where a watch may be silent for longer",
	}
	// passive are of nginx without checks of its own.
	passive = map[string]string{
		"warn lb-health-check":   "only failures of real connections count",
		"warn lb-detection-time": "what is not checked is not noticed",
		"warn lb-dead-sessions":  "nginx has nothing to end them",
		"warn lb-idle-timeout":   "proxy_timeout of 10 min",
	}
	handshakes = map[string]string{"fail lb-health-check": "a TLS handshake succeeds while an API server is not ready"}
	slow       = map[string]string{"warn lb-connect-timeout": "30 s or more, where clients give up after 10 s"}
	alone      = map[string]string{"warn lb-single-point": "one balancer"}
	sharedCA   = map[string]string{"fail etcd-own-ca": "one CA for both: a kubelet's certificate opens etcd"}
	customs    = map[string]string{"warn serving-cert-names": "a name by custom is not in the certificate"}
	beside     = map[string]string{"warn kubeconfig-servers": "scheduler and controller-manager, or admin.conf, do not ask where they should"}
	noFront    = map[string]string{"warn front-proxy": "no aggregation layer"}
)

func joined(all ...map[string]string) map[string]string {
	out := map[string]string{}
	for _, m := range all {
		maps.Copy(out, m)
	}
	return out
}

func but(all map[string]string, names ...string) map[string]string {
	out := maps.Clone(all)
	for _, name := range names {
		delete(out, name)
	}
	return out
}

// A distribution is a cluster with the findings that it gives, and more of them in one way of looking.
type distribution struct {
	lay              func() *distributiontest.Cluster
	both             map[string]string
	machines, folder map[string]string
	// blind are checks that never pass because what they judge does not show.
	blind []string
}

var distributions = map[string]distribution{
	"kubeadm":               {lay: distributiontest.Kubeadm, both: joined(kubeadmsOwn, guides)},
	"kubeadm-static-pods":   {lay: distributiontest.KubeadmStaticPods, both: joined(kubeadmsOwn, but(guides, "warn lb-health-check"), handshakes)},
	"kubeadm-external-etcd": {lay: distributiontest.KubeadmExternalEtcd, both: joined(kubeadmsOwn, guides)},
	"kube-vip":              {lay: distributiontest.KubeVip, both: kubeadmsOwn, blind: []string{"lb-backends"}},
	"hard-way-1.8": {lay: distributiontest.HardWay18, both: joined(older, passive, slow, alone, sharedCA, noFront, map[string]string{
		"fail etcd-tls":                "clients on loopback without TLS or a certificate",
		"fail serving-cert-names":      "no kubernetes.default.svc",
		"warn service-account-key-own": "the CA's key signs tokens"})},
	"hard-way-1.18": {lay: distributiontest.HardWay118, both: joined(older, sharedCA, noFront, customs), blind: []string{"lb-backends"}},
	"hard-way-today": {lay: distributiontest.HardWayToday, both: joined(older, noFront, map[string]string{
		"fail etcd-tls":              "http on loopback",
		"fail serving-cert-names":    "kube-apiserver has no --service-cluster-ip-range: the Service has 10.0.0.1",
		"fail kubernetes-service-ip": "the same"}),
		machines: map[string]string{"fail key-permissions": "encryption-config.yaml is for all to read", "warn etcd-odd-members": "one member",
			"warn failures-tolerated": "one of everything"},
		folder: map[string]string{"warn key-permissions": "a copy may have other modes"},
		blind:  []string{"lb-backends", "etcd-tls", "service-account-key-equal", "equal-on-all-nodes"}},
	"wardroom": {lay: distributiontest.Wardroom, both: joined(older, passive, slow, alone, beside, map[string]string{"fail etcd-tls": "http between machines"}),
		blind: []string{"etcd-tls"}},
	"kubespray":         {lay: distributiontest.Kubespray, both: joined(older, passive, beside)},
	"kubespray-haproxy": {lay: distributiontest.KubesprayHAProxy, both: joined(older, guides, slow, beside)},
	"kops":              {lay: distributiontest.Kops, both: older, machines: customs, blind: []string{"lb-backends", "etcd-tls"}},
	"k0s":               {lay: distributiontest.K0s, both: joined(but(guides, "warn lb-health-check"), handshakes, alone), machines: joined(older, customs)},
	"rke": {lay: distributiontest.RKE, both: map[string]string{}, machines: joined(older, passive, sharedCA),
		folder: map[string]string{"error evidence-complete": "containers of Docker are in no file", "warn kubeconfig-servers": "nor is what listens on 127.0.0.1"},
	},
	"openshift": {lay: distributiontest.OpenShift, both: joined(older, but(guides, "warn lb-detection-time"), beside,
		map[string]string{"warn leader-lease-timing": "kube-scheduler's lease is of 137 s"}), machines: customs},
	"rhel": {lay: distributiontest.RHEL, both: joined(kubeadmsOwn, guides)},
}

// looked are the two ways to a cluster, by the same checks.
func looked(t *testing.T, c *distributiontest.Cluster) map[evidence.Way]xray.Report {
	t.Helper()
	return map[evidence.Way]xray.Report{
		evidence.Folder:   xray.Evaluate(copiedFrom(t, c), xray.Options{}),
		evidence.Machines: xray.Evaluate(visitedAll(t, c), xray.Options{}),
	}
}

// alarms are what is not right, once each, with an example.
func alarms(r xray.Report) map[string]string {
	out := map[string]string{}
	for _, f := range r.Findings {
		if f.Status != xray.Pass && f.Status != xray.Skip {
			out[string(f.Status)+" "+f.Check] = fmt.Sprintf("%s: want %s, saw %s (%s)", f.Node, f.Expected, f.Observed, f.Source)
		}
	}
	return out
}

func TestDistributionsGiveNoFalseAlarm(t *testing.T) {
	if len(distributions) != len(distributiontest.All()) {
		t.Errorf("%d of %d distributions are judged", len(distributions), len(distributiontest.All()))
	}
	for name, d := range distributions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for way, r := range looked(t, d.lay()) {
				want := joined(d.both, map[evidence.Way]map[string]string{evidence.Folder: d.folder, evidence.Machines: d.machines}[way])
				got := alarms(r)
				if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
					t.Errorf("%s: %s\n%s", way, diff, strings.Join(slices.Collect(maps.Values(got)), "\n"))
				}
				if way == evidence.Machines {
					d.isSeen(t, r)
				}
			}
		})
	}
}

// judged are checks of which each passes somewhere in each cluster, but for what a
// distribution hides and what fails in all of it: what passes was seen.
var judged = []string{"ca-equal", "certificate-expiry", "chain-valid", "equal-on-all-nodes", "etcd-tls", "kubeconfig-servers", "key-permissions",
	"lb-backends", "leader-elect-flags", "service-account-key-equal"}

func (d distribution) isSeen(t *testing.T, r xray.Report) {
	for _, check := range judged {
		passes := slices.ContainsFunc(r.Findings, func(f xray.Finding) bool { return f.Check == check && f.Status == xray.Pass })
		if want := !slices.Contains(d.blind, check) && d.both["fail "+check] == ""; passes != want {
			t.Errorf("%s passes: %t", check, passes)
		}
	}
}

// TestCopiesWithoutKeys: docs/xray-by-distribution.md has the command that makes copies, which leaves
// private keys on the machines. They are judged as the whole is, but for what that leaves out.
func TestCopiesWithoutKeys(t *testing.T) {
	for name, d := range distributions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := d.lay()
			for _, n := range c.Nodes {
				maps.DeleteFunc(n.Files, func(file string, _ distributiontest.File) bool {
					return strings.HasSuffix(file, ".key") || strings.HasSuffix(file, "key.pem") || strings.HasPrefix(file, "/var/lib/kubelet/pki/")
				})
			}
			want := joined(d.both, d.folder)
			got := alarms(xray.Evaluate(copiedFrom(t, c), xray.Options{}))
			delete(got, "warn evidence-complete") // names the kubelet's certificate, which is in one file with its key
			if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
				t.Errorf("%s\n%s", diff, strings.Join(slices.Collect(maps.Values(got)), "\n"))
			}
		})
	}
}
