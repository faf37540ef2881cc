//go:build e2e

package e2e

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// faults are all of them; those that restart nothing come first.
func faults() []fault {
	return slices.Concat(loadBalancerFaults, fileFaults, objectFaults, networkFaults, liveFaults, leaderFaults, etcdFaults, certificateFaults, apiServerFaults)
}

// loadBalancerFaults change HAProxy's configuration.
var loadBalancerFaults = []fault{
	balancer("lb-probes-healthz", `s#uri /readyz#uri /healthz#`, failing("lb-health-check", "lb-1")),
	balancer("lb-does-not-verify", `s#verify required ca-file \S+ verifyhost \S+#verify none#`, warning("lb-health-check", "lb-1")),
	balancer("lb-only-connects", `/option httpchk|http-check/d; s#check-ssl .* tcp-ut#tcp-ut#`, failing("lb-health-check", "lb-1")),
	balancer("lb-lacks-a-backend", `/^ *server cp-2 /d`, failing("lb-backends", "lb-1")),
	balancer("lb-has-a-stale-backend", `s#^( *server )cp-3( [0-9.]+\.)13:6443$#&\n\1cp-9\29:6443#`, failing("lb-backends", "lb-1")),
	balancer("lb-detects-slowly", `s#inter 100ms#inter 5s#`, failing("lb-detection-time", "lb-1")),
	balancer("lb-keeps-dead-sessions", `s# tcp-ut 2s##; /tcpka/d`, warning("lb-dead-sessions", "lb-1")),
	balancer("lb-connects-for-a-minute", `s#timeout connect 250ms#timeout connect 60s#`, warning("lb-connect-timeout", "lb-1")),
	balancer("lb-cuts-idle-watches", `s#timeout (client|server) 5h#timeout \1 20s#`, failing("lb-idle-timeout", "lb-1")),
}

func balancer(name, script string, want sighting) fault {
	return fault{name, []sighting{want}, func(t *testing.T, p *patient) { p.editLoadBalancer(t, script) }}
}

// fileFaults change files that nobody reads again before they are healed.
var fileFaults = []fault{
	{"key-readable-by-all", []sighting{failing("key-permissions", "cp-2")}, func(t *testing.T, p *patient) {
		p.healBy(func() { p.cure(t, "cp-2", "chmod 0600 /etc/kubernetes/pki/ca.key") })
		p.on(t, "cp-2", "chmod 0644 /etc/kubernetes/pki/ca.key")
	}},
	// HAProxy is not told of these: the cluster could not do with them.
	{"lb-reads-http", []sighting{failing("lb-tls-passthrough", "lb-1")}, func(t *testing.T, p *patient) {
		p.edit(t, "lb-1", "/etc/haproxy/haproxy.cfg", `s#^( *)mode tcp$#\1mode http#`)
	}},
	{"lb-takes-few-connections", []sighting{failing("lb-limits", "lb-1")}, func(t *testing.T, p *patient) {
		p.edit(t, "lb-1", "/etc/haproxy/haproxy.cfg", `s#maxconn 9000#maxconn 15#`)
	}},
	{"kubelet-tied-to-one-node", []sighting{failing("kubeconfig-servers", "worker-1")}, func(t *testing.T, p *patient) {
		p.edit(t, "worker-1", "/etc/kubernetes/kubelet.conf", `s#server: .*#server: https://`+p.address("cp-1")+`:6443#`)
	}},
	{"kube-proxy-tied-to-one-node", []sighting{failing("kubeconfig-servers", "cp-3")}, func(t *testing.T, p *patient) {
		p.edit(t, "cp-3", "/etc/kubernetes/kube-proxy.conf", `s#server: .*#server: https://`+p.address("cp-1")+`:6443#`)
	}},
	{"scheduler-asks-another-node", []sighting{failing("kubeconfig-servers", "cp-2")}, func(t *testing.T, p *patient) {
		p.edit(t, "cp-2", "/etc/kubernetes/scheduler.conf", `s#server: .*#server: https://`+p.address("cp-1")+`:6443#`)
	}},
	{"ca-differs", []sighting{failing("ca-equal", "cp-3")}, func(t *testing.T, p *patient) {
		p.put(t, "cp-3", "/etc/kubernetes/pki/front-proxy-ca.crt", strangeCA(t, p.storedCertificate(t, "front-proxy-ca.crt")).pem())
	}},
	{"encryption-differs", []sighting{failing("encryption-config-equal", "cp-1")}, func(t *testing.T, p *patient) {
		p.edit(t, "cp-1", "/etc/kubernetes/encryption.yaml", `s#name: key1#name: key2#`)
	}},
	{"kubeconfig-garbage", []sighting{{"evidence-complete", "worker-1", "error"}}, func(t *testing.T, p *patient) {
		p.put(t, "worker-1", "/etc/kubernetes/kube-proxy.conf", []byte("apiVersion: v1\nkind: Config\ncontexts: {{{\n"))
	}},
	{"certificate-garbage", []sighting{{"evidence-complete", "cp-2", "error"}}, func(t *testing.T, p *patient) {
		p.put(t, "cp-2", "/etc/kubernetes/pki/apiserver-kubelet-client.crt", []byte("-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n"))
	}},
	{"clock-ahead", []sighting{failing("clock-skew", "cp-2")}, clockAhead},
}

// clockAhead has whoever reads a machine's clock see another time. Local machines
// share the host's clock, and sshd's sandbox does not live with libfaketime: so it
// is date alone that runs with it.
func clockAhead(t *testing.T, p *patient) {
	const date, library = "/usr/local/bin/date", "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
	p.upload(t, "cp-2", library, "/run/e2e-faketime.so")
	p.healBy(func() { p.cure(t, "cp-2", "rm -f "+date) })
	p.on(t, "cp-2", `printf '#!/bin/sh\nLD_PRELOAD=/run/e2e-faketime.so FAKETIME=+90s exec /bin/date "$@"\n' >`+date+" && chmod +x "+date)
}

// objectFaults change what the API has.
var objectFaults = []fault{
	{"endpoints-emptied", []sighting{failing("kubernetes-service-endpoints", ""), failing("endpoint-owner", "cp-1")}, func(t *testing.T, p *patient) {
		p.changeObject(t, changeEndpoints(func(e *corev1.Endpoints) { e.Subsets = nil }))
	}},
	{"endpoint-too-many", []sighting{failing("kubernetes-service-endpoints", "")}, func(t *testing.T, p *patient) {
		p.changeObject(t, changeSlice(func(s *discoveryv1.EndpointSlice) {
			s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{p.address("cp-2")}})
		}))
	}},
	{"nobody-owns-the-endpoints", []sighting{failing("endpoint-owner", "cp-2")}, func(t *testing.T, p *patient) {
		p.stop(t, "cp-2", "haplane-agent")
	}},
	{"one-coredns", []sighting{warning("coredns-spread", "")}, func(t *testing.T, p *patient) {
		p.healBy(func() { p.scaleDNS(t, "2") })
		p.scaleDNS(t, "1")
	}},
}

// changeObject stops the agents, which would repair it at once, and changes an object.
func (p *patient) changeObject(t *testing.T, change func(context.Context, kubernetes.Interface) error) {
	t.Helper()
	for _, node := range controlPlane {
		p.stop(t, node, "haplane-agent")
	}
	if err := change(background(t), p.client(t)); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) scaleDNS(t *testing.T, replicas string) {
	must(t, 0, c.Kubectl(background(t), "--namespace=kube-system", "scale", "deployment/coredns", "--replicas="+replicas))
	must(t, 0, c.Kubectl(background(t), "--namespace=kube-system", "rollout", "status", "deployment/coredns", "--timeout=60s"))
}

// networkFaults keep machines from reaching each other.
var networkFaults = []fault{
	{"no-way-to-the-load-balancer", []sighting{failing("lb-from-every-node", "cp-2")}, func(t *testing.T, p *patient) {
		rule := "OUTPUT --destination " + p.address("lb-1") + " --protocol tcp --dport 6443 --jump REJECT"
		p.healBy(func() { p.cure(t, "cp-2", "iptables --delete "+rule) })
		p.on(t, "cp-2", "iptables --insert "+rule)
	}},
	{"no-way-to-the-service", []sighting{failing("kubernetes-service-reachable", "worker-1")}, func(t *testing.T, p *patient) {
		const rule = "OUTPUT --destination 10.96.0.1 --jump DROP" // before kube-proxy's rules
		p.healBy(func() { p.cure(t, "worker-1", "iptables --table raw --delete "+rule) })
		p.on(t, "worker-1", "iptables --table raw --insert "+rule)
	}},
	{"api-server-stopped", []sighting{failing("direct-access", "cp-3"), failing("failures-tolerated", "")}, func(t *testing.T, p *patient) {
		p.healBy(func() { p.cure(t, "cp-3", "systemctl start kube-apiserver"); p.waitUnit(t, "cp-3", "kube-apiserver") })
		p.on(t, "cp-3", "systemctl kill --signal=KILL kube-apiserver; systemctl stop kube-apiserver")
	}},
	{"node-not-ready", []sighting{failing("nodes-ready", "worker-1")}, func(t *testing.T, p *patient) {
		p.stop(t, "worker-1", "kubelet containerd")
		node := "worker-1"
		wait(t, 2*time.Minute, node+" not to be ready", func(ctx context.Context) error {
			n, err := p.client(t).CoreV1().Nodes().Get(ctx, node, metav1.GetOptions{})
			if err == nil && slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
				return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
			}) {
				err = errors.New("it still is")
			}
			return err
		})
	}},
	{"machine-without-power", []sighting{{"evidence-complete", "worker-1", "error"}}, func(t *testing.T, p *patient) {
		p.healBy(func() { must(t, 0, p.Up(background(t))); p.waitHealthy(t) })
		if err := p.Provider().Kill(background(t), "worker-1"); err != nil {
			t.Fatal(err)
		}
	}},
}

// leaderFaults are about election.
var leaderFaults = []fault{
	unit("scheduler-does-not-elect", "cp-3", "kube-scheduler", `s#--leader-elect=true#--leader-elect=false#`, failing("leader-elect-flags", "cp-3")),
	unit("controller-manager-holds-on", "cp-1", "kube-controller-manager", `s#--leader-elect=true#& --leader-elect-lease-duration=2m --leader-elect-renew-deadline=90s#`,
		warning("leader-lease-timing", "cp-1")),
	unit("feature-gates-differ", "cp-2", "kube-scheduler", `s#--leader-elect=true#& --feature-gates=OpportunisticBatching=false#`, failing("feature-gates-equal", "cp-2")),
	{"nobody-schedules", []sighting{failing("leader-leases", "")}, func(t *testing.T, p *patient) {
		for _, node := range controlPlane {
			p.stop(t, node, "kube-scheduler")
		}
	}},
}

func unit(name, node, unit, script string, wants ...sighting) fault {
	return fault{name, wants, func(t *testing.T, p *patient) { p.editUnit(t, node, unit, script) }}
}

// certificateFaults replace the serving certificate of one API server, which reads
// it again by itself.
var certificateFaults = []fault{
	serving("serving-certificate-names-a-node", "cp-2", func(p *patient, cert *x509.Certificate) {
		cert.IPAddresses = append(slices.Clone(cert.IPAddresses), net.ParseIP(p.address("cp-2")))
	}, failing("serving-cert-names", "cp-2"), failing("serving-cert-shared", "cp-2")),
	serving("serving-certificate-lacks-the-service", "cp-3", func(_ *patient, cert *x509.Certificate) {
		cert.IPAddresses = slices.DeleteFunc(slices.Clone(cert.IPAddresses), net.ParseIP("10.96.0.1").Equal)
	}, failing("serving-cert-names", "cp-3")),
	serving("serving-certificate-expired", "cp-3", func(_ *patient, cert *x509.Certificate) {
		cert.NotBefore, cert.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-time.Hour)
	}, failing("certificate-expiry", "cp-3")),
	serving("serving-certificate-expires-soon", "cp-1", func(_ *patient, cert *x509.Certificate) {
		cert.NotAfter = time.Now().Add(72 * time.Hour)
	}, warning("certificate-expiry", "cp-1")),
	{"serving-certificate-of-another-ca", []sighting{failing("chain-valid", "cp-1")}, func(t *testing.T, p *patient) {
		p.serve(t, "cp-1", strangeCA(t, p.storedCertificate(t, "ca.crt")).sign(t, p.storedCertificate(t, "apiserver.crt"), func(*x509.Certificate) {}))
	}},
}

func serving(name, node string, change func(*patient, *x509.Certificate), wants ...sighting) fault {
	return fault{name, wants, func(t *testing.T, p *patient) {
		p.serve(t, node, p.clusterCA(t).sign(t, p.storedCertificate(t, "apiserver.crt"), func(c *x509.Certificate) { change(p, c) }))
	}}
}

// serve gives an API server another certificate for its key.
func (p *patient) serve(t *testing.T, node string, cert []byte) {
	t.Helper()
	p.healBy(func() { p.cure(t, node, restart("kube-apiserver")); p.waitUnit(t, node, "kube-apiserver") })
	p.put(t, node, "/etc/kubernetes/pki/apiserver.crt", cert)
	p.on(t, node, restart("kube-apiserver"))
	p.waitUnit(t, node, "kube-apiserver")
}

// apiServerFaults restart an API server with other flags.
var apiServerFaults = []fault{
	{"advertises-its-own-address", []sighting{failing("advertise-address", "cp-2")}, func(t *testing.T, p *patient) {
		p.editUnit(t, "cp-2", "kube-apiserver", `s#--advertise-address=\S+#--advertise-address=`+p.address("cp-2")+`#`)
	}},
	unit("reconciler-lease", "cp-1", "kube-apiserver", `s#--endpoint-reconciler-type=none#--endpoint-reconciler-type=lease#`, failing("endpoint-reconciler", "cp-1")),
	unit("no-shutdown-delay", "cp-3", "kube-apiserver", `/--shutdown-delay-duration=/d`, warning("graceful-shutdown", "cp-3")),
	unit("stopped-too-early", "cp-2", "kube-apiserver", `s#TimeoutStopSec=90#TimeoutStopSec=4#`, failing("graceful-shutdown", "cp-2")),
	unit("flags-differ", "cp-3", "kube-apiserver", `s#--goaway-chance=\S+#--goaway-chance=0#`, warning("equal-on-all-nodes", "cp-3")),
	unit("front-proxy-incomplete", "cp-1", "kube-apiserver", `s#--requestheader-allowed-names=\S+#--requestheader-allowed-names=somebody#`, failing("front-proxy", "cp-1")),
	unit("listens-to-an-unneeded-etcd", "cp-2", "kube-apiserver", `s#--etcd-servers=\S+#--etcd-servers=https://127.0.0.1:2379,https://127.0.0.1:2377#`,
		failing("etcd-endpoints-of-api-servers", "cp-2")),
	{"service-account-key-differs", []sighting{failing("service-account-key-equal", "cp-3")}, func(t *testing.T, p *patient) {
		p.healBy(func() { p.cure(t, "cp-3", restart("kube-apiserver")); p.waitUnit(t, "cp-3", "kube-apiserver") })
		for _, file := range []string{"sa.key", "sa.pub"} {
			p.keep(t, "cp-3", "/etc/kubernetes/pki/"+file)
		}
		p.on(t, "cp-3", "cd /etc/kubernetes/pki && openssl ecparam -name prime256v1 -genkey -noout -out sa.key && openssl ec -in sa.key -pubout -out sa.pub && "+restart("kube-apiserver"))
		p.waitUnit(t, "cp-3", "kube-apiserver")
	}},
	{"api-server-of-another-version", []sighting{warning("version-skew", "cp-2")}, anotherVersion},
}

// anotherVersion runs the same program with another version written into it, of the
// same length.
func anotherVersion(t *testing.T, p *patient) {
	out := p.on(t, "cp-2", "kube-apiserver --version")
	var major, minor, patch int
	if _, err := fmt.Sscanf(out, "Kubernetes v%d.%d.%d", &major, &minor, &patch); err != nil {
		t.Fatalf("read version: %v: %s", err, out)
	}
	other := fmt.Sprintf("v%d.%d.%d", major, minor, (patch+1)%10)
	p.healBy(func() {
		p.cure(t, "cp-2", "rm -rf /run/e2e-version; "+restart("kube-apiserver"))
		p.waitUnit(t, "cp-2", "kube-apiserver")
	})
	p.on(t, "cp-2", fmt.Sprintf(`mkdir -p /var/lib/e2e-version && sed "s/v%d\.%d\.%d/%s/g" "$(readlink -f "$(command -v kube-apiserver)")" >/var/lib/e2e-version/kube-apiserver && chmod +x /var/lib/e2e-version/kube-apiserver`,
		major, minor, patch, other))
	p.healBy(func() { p.cure(t, "cp-2", "rm -rf /var/lib/e2e-version") })
	p.editUnit(t, "cp-2", "kube-apiserver", `s#^ExecStart=\S+#ExecStart=/var/lib/e2e-version/kube-apiserver#`)
}
