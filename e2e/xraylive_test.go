//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// saying is what the verdict has to say.
func saying(text string) sighting { return sighting{"verdict", text, "says"} }

// liveFaults leave all programs running, or nearly so: what is wrong is between them.
var liveFaults = []fault{
	{"lb-has-a-wrong-port", []sighting{failing("lb-backends", "lb-1"), failing("failures-tolerated", ""), saying("not counted is cp-3: lb-1 has it under port 6444, and it listens on 6443")}, func(t *testing.T, p *patient) {
		p.editLoadBalancer(t, `s#^( *server cp-3 [0-9.]+):6443#\1:6444#`)
	}},
	{"lb-cannot-reach-an-api-server", []sighting{failing("lb-backends", "lb-1"), failing("failures-tolerated", ""), saying("not counted is cp-2: lb-1 has it DOWN")}, func(t *testing.T, p *patient) {
		rule := "INPUT --source " + p.address("lb-1") + " --protocol tcp --dport 6443 --jump DROP"
		p.healBy(func() { p.cure(t, "cp-2", "iptables --delete "+rule) })
		p.on(t, "cp-2", "iptables --insert "+rule)
	}},
	{"kube-proxy-stopped", []sighting{failing("node-programs-run", "worker-1")}, func(t *testing.T, p *patient) { p.stop(t, "worker-1", "kube-proxy") }},
	{"api-server-hangs", []sighting{failing("direct-access", "cp-3"), failing("failures-tolerated", "")}, func(t *testing.T, p *patient) {
		p.healBy(func() {
			p.cure(t, "cp-3", "systemctl kill --signal=CONT kube-apiserver")
			p.waitUnit(t, "cp-3", "kube-apiserver")
		})
		p.on(t, "cp-3", "systemctl kill --signal=STOP kube-apiserver")
	}},
	{"webhook-for-everything-without-service", []sighting{failing("webhooks-fail-closed", ""), saying("what a webhook guards is refused now")}, webhookForEverything},
	{"aggregated-api-gone", []sighting{failing("aggregated-apis", "")}, aggregatedAPIGone},
	{"scheduler-elects-elsewhere", []sighting{failing("one-leader-election", "cp-3"), saying("cp-3 may lead beside the elected one")}, func(t *testing.T, p *patient) {
		p.healBy(func() {
			must(t, 0, p.Kubectl(background(t), "--namespace=kube-system", "delete", "lease", "elsewhere", "--ignore-not-found"))
		})
		p.editUnit(t, "cp-3", "kube-scheduler", `s#--leader-elect=true#& --leader-elect-resource-name=elsewhere#`)
	}},
	{"api-server-with-another-prefix", []sighting{failing("one-store", "cp-2"), failing("failures-tolerated", ""), saying("cp-2 keeps other data")}, func(t *testing.T, p *patient) {
		// Kubelets that were told of no pods would end theirs: none is to get there.
		p.editLoadBalancer(t, `/^ *server cp-2 /d`)
		p.healBy(func() { p.cure(t, "cp-1", etcdctl+"del --prefix /elsewhere/ >/dev/null") })
		p.editUnit(t, "cp-2", "kube-apiserver", `s#--etcd-servers=#--etcd-prefix=/elsewhere &#`)
	}},
	unit("api-server-with-another-service-range", "cp-2", "kube-apiserver", `s#--service-cluster-ip-range=\S+#--service-cluster-ip-range=10.98.0.0/16#`,
		failing("one-service-range", "cp-2"), saying("cp-2 hands out other Service addresses or ports")),
	unit("api-server-on-loopback", "cp-3", "kube-apiserver", `s#--bind-address=\S+#--bind-address=127.0.0.1#`,
		failing("direct-access", "cp-3"), failing("lb-backends", "lb-1"), failing("failures-tolerated", ""), saying("not counted is cp-3")),
}

// webhookForEverything refuses every write but those of webhook configurations, the
// heartbeat of nodes too: it is looked for at once, and goes before a node is lost.
func webhookForEverything(t *testing.T, p *patient) {
	const name = "e2e-everything"
	all := p.client(t).AdmissionregistrationV1().ValidatingWebhookConfigurations()
	p.healBy(func() {
		if err := all.Delete(background(t), name, metav1.DeleteOptions{}); err != nil {
			t.Errorf("delete webhook configuration: %v", err)
		}
	})
	_, err := all.Create(background(t), &admissionv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: name},
		Webhooks: []admissionv1.ValidatingWebhook{{Name: "everything.e2e.example.org", FailurePolicy: new(admissionv1.Fail), SideEffects: new(admissionv1.SideEffectClassNone),
			AdmissionReviewVersions: []string{"v1"}, TimeoutSeconds: new(int32(1)),
			ClientConfig: admissionv1.WebhookClientConfig{Service: &admissionv1.ServiceReference{Namespace: "default", Name: "nowhere"}},
			Rules: []admissionv1.RuleWithOperations{{Operations: []admissionv1.OperationType{admissionv1.OperationAll},
				Rule: admissionv1.Rule{APIGroups: []string{"*"}, APIVersions: []string{"*"}, Resources: []string{"*/*"}}}}}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

const nowhereAPI = `apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.nowhere.e2e.example.org}
spec:
  group: nowhere.e2e.example.org
  version: v1
  groupPriorityMinimum: 100
  versionPriority: 100
  insecureSkipTLSVerify: true
  service: {namespace: default, name: nowhere}
`

func aggregatedAPIGone(t *testing.T, p *patient) {
	file := filepath.Join(t.TempDir(), "apiservice.yaml")
	if err := os.WriteFile(file, []byte(nowhereAPI), 0o644); err != nil {
		t.Fatal(fmt.Errorf("write APIService: %w", err))
	}
	p.healBy(func() { must(t, 0, p.Kubectl(background(t), "delete", "--filename="+file)) })
	must(t, 0, p.Kubectl(background(t), "create", "--filename="+file))
}
