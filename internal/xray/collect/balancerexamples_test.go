package collect

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/xray"
	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/internal/xray/parse"
	"github.com/haplane/haplane/spec"
)

// Debian's package has these defaults.
const debianDefaults = "global\n log /dev/log local0\n user haproxy\n group haproxy\n daemon\ndefaults\n log global\n mode http\n option httplog\n option dontlognull\n timeout connect 5000\n timeout client 50000\n timeout server 50000\n"

// RHEL's package has these, and OpenShift's guide for load balancers of one's own.
const redHatDefaults = "global\n maxconn 4000\n daemon\ndefaults\n mode http\n option dontlognull\n option http-server-close\n option redispatch\n retries 3\n timeout http-request 10s\n timeout queue 1m\n timeout connect 10s\n timeout client 1m\n timeout server 1m\n timeout http-keep-alive 10s\n timeout check 10s\n maxconn 3000\n"

// servers are the API servers of the fixture, each with the same words.
func serversWith(port, words string) string {
	var b strings.Builder
	for _, n := range []string{"1", "2", "3"} {
		b.WriteString(" server cp-" + n + " 10.10.10.1" + n + port + " " + words + "\n")
	}
	return b.String()
}

// What is found in configurations that guides have: no more than somebody who knows them would say.
func TestExamplesOfLoadBalancers(t *testing.T) {
	k0s := func(servers string) string {
		return "frontend kubeAPI\n bind :6443\n mode tcp\n default_backend kubeAPI_backend\nfrontend konnectivity\n bind :8132\n mode tcp\n default_backend konnectivity_backend\n" +
			"backend kubeAPI_backend\n mode tcp\n" + servers + "backend konnectivity_backend\n mode tcp\n" + strings.ReplaceAll(servers, ":6443", ":8132") + "listen stats\n bind *:9000\n mode http\n stats enable\n"
	}
	tests := map[string]struct {
		text  string
		found []string // status and check
	}{
		"kubeadm's guide": {"defaults\n mode http\n option http-server-close\n option forwardfor except 127.0.0.0/8\n option redispatch\n retries 1\n timeout http-request 10s\n timeout queue 20s\n timeout connect 5s\n timeout client 35s\n timeout server 35s\n timeout check 10s\n" +
			"frontend apiserver\n bind *:6443\n mode tcp\n option tcplog\n default_backend apiserverbackend\nbackend apiserverbackend\n option httpchk\n http-check connect ssl\n http-check send meth GET uri /healthz\n http-check expect status 200\n mode tcp\n balance roundrobin\n" + serversWith(":6443", "check verify none"),
			[]string{"fail lb-health-check", "warn lb-dead-sessions", "warn lb-detection-time", "warn lb-health-check", "warn lb-idle-timeout", "warn lb-single-point"}},
		"k0s on Debian": {debianDefaults + k0s(serversWith(":6443", "check check-ssl verify none")),
			[]string{"fail lb-health-check", "warn lb-dead-sessions", "warn lb-detection-time", "warn lb-idle-timeout", "warn lb-single-point"}},
		"k0s without ports": {debianDefaults + k0s(serversWith("", "check port 6443 check-ssl verify none")),
			[]string{"fail lb-health-check", "warn lb-dead-sessions", "warn lb-detection-time", "warn lb-idle-timeout", "warn lb-single-point"}},
		"OpenShift's guide": {redHatDefaults + "listen api-server-6443\n bind *:6443\n mode tcp\n option httpchk GET /readyz HTTP/1.0\n option log-health-checks\n balance roundrobin\n" + serversWith(":6443", "weight 1 verify none check check-ssl inter 10s fall 2 rise 3") +
			"listen machine-config-server-22623\n bind *:22623\n mode tcp\n" + serversWith(":22623", "check inter 1s"),
			[]string{"fail lb-detection-time", "warn lb-dead-sessions", "warn lb-health-check", "warn lb-idle-timeout", "warn lb-single-point"}},
		"OpenShift's own": {"defaults\n maxconn 20000\n mode tcp\n retries 3\n timeout connect 10s\n timeout client 86400s\n timeout server 86400s\n timeout tunnel 86400s\nfrontend main\n bind :::6443 v4v6\n default_backend masters\nlisten health_check_http_url\n bind :::9444 v4v6\n mode http\n monitor-uri /haproxy_ready\n" +
			"backend masters\n option httpchk GET /readyz HTTP/1.0\n balance roundrobin\n" + serversWith(":6443", "weight 1 verify none check check-ssl inter 5s fall 3 rise 1"),
			[]string{"fail lb-detection-time", "warn lb-dead-sessions", "warn lb-health-check", "warn lb-single-point"}},
		"Debian's defaults alone": {debianDefaults + "frontend kube-apiserver\n bind :6443\n default_backend kube-apiserver\nbackend kube-apiserver\n" + serversWith(":6443", "check"),
			[]string{"fail lb-health-check", "fail lb-tls-passthrough", "warn lb-dead-sessions", "warn lb-detection-time", "warn lb-idle-timeout", "warn lb-single-point"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := evidencetest.Healthy(spec.PerNode)
			evidencetest.Machine(e, "lb-1").LoadBalancer = parse.HAProxy("/etc/haproxy/haproxy.cfg", test.text).LoadBalancer
			var found []string
			for _, f := range xray.Evaluate(e, xray.Options{}).Findings {
				line := string(f.Status) + " " + f.Check
				if f.Subject == xray.LoadBalancer && f.Status.IsTrouble() && !slices.Contains(found, line) {
					found = append(found, line)
				}
			}
			slices.Sort(found)
			if diff := cmp.Diff(test.found, found); diff != "" {
				t.Error(diff)
			}
		})
	}
	if lb := parse.HAProxy("", debianDefaults).LoadBalancer; lb != nil {
		t.Errorf("nothing balances API servers: %+v", evidence.LoadBalancer(*lb))
	}
}
