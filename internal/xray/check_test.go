package xray

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/haplane/haplane/internal/xray/evidence"
	"github.com/haplane/haplane/internal/xray/evidence/evidencetest"
	"github.com/haplane/haplane/spec"
)

// A checkCase breaks a cluster in one place (or leaves it whole) and says what a
// check makes of it.
type checkCase struct {
	check  string // ID
	name   string // what was done, as a phrase
	of     func() *evidence.Evidence
	expect Expectation
	change func(*evidence.Evidence)
	// All findings of this status, and there is one, are about these nodes:
	// "cp-1,cp-2"; "" is the cluster. No finding is worse.
	status Status
	node   string
	says   string // part of what one of them expects or observes
}

// cases are those of all subjects, one list beside the checks of each.
func cases() []checkCase {
	return slices.Concat(articleCases, identityCases, leaderCases, loadBalancerCases, etcdCases, certificateCases,
		terminationCases, nodeCases, lookingCases, replicaCases, programCases, extensionCases, doubleCases,
		adviceCases, defaultCases, passThroughCases, moverCases, localCases, onNodesCases, nodeLocalCases)
}

func healthy(identity spec.Identity) func() *evidence.Evidence {
	return func() *evidence.Evidence { return evidencetest.Healthy(identity) }
}

func TestChecks(t *testing.T) {
	for _, c := range cases() {
		t.Run(c.check+"/"+strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			check, ok := Find(c.check)
			if !ok {
				t.Fatalf("no check %s", c.check)
			}
			if c.of == nil {
				c.of = healthy(spec.Shared)
			}
			e := c.of()
			if c.change != nil {
				c.change(e)
			}
			findings := check.findings(NewScene(e, c.expect))
			if err := c.judge(findings); err != nil {
				t.Errorf("%v\n%s", err, show(findings))
			}
		})
	}
}

func (c checkCase) judge(findings []Finding) error {
	var nodes, texts []string
	for _, f := range findings {
		if slices.Index(statuses, f.Status) < slices.Index(statuses, c.status) {
			return fmt.Errorf("a finding is %s, worse than %s", f.Status, c.status)
		}
		if f.Status == c.status {
			nodes = append(nodes, f.Node)
			texts = append(texts, f.Expected+" | "+f.Observed+" | "+f.Fix)
		}
	}
	slices.Sort(nodes)
	got := strings.Join(slices.Compact(nodes), ",")
	switch {
	case len(texts) == 0:
		return fmt.Errorf("no finding is %s", c.status)
	case got != c.node && c.status != Pass && c.status != Skip:
		return fmt.Errorf("%s about %q, want %q", c.status, got, c.node)
	case !slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, c.says) }):
		return fmt.Errorf("no %s finding says %q", c.status, c.says)
	}
	return nil
}

func show(findings []Finding) string {
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "  %-5s %-26s %-8s expected %q observed %q (%s)\n", f.Status, f.Check, f.Node, f.Expected, f.Observed, f.Source)
	}
	return b.String()
}

// clusters are the healthy ones, by name.
var clusters = map[string]func() *evidence.Evidence{
	"shared": healthy(spec.Shared), "perNode": healthy(spec.PerNode), "sharedCertificate": healthy(spec.SharedCertificate),
	"onNodes": onNodes(spec.Shared), "onNodesPerNode": onNodes(spec.PerNode), "onNodesSharedCertificate": onNodes(spec.SharedCertificate),
	"nodeLocal": nodeLocal(spec.Shared), "nodeLocalPerNode": nodeLocal(spec.PerNode),
	"kubeadm": evidencetest.Kubeadm, "k0s": evidencetest.K0s, "k3s": evidencetest.K3s,
}

// deserved are the warnings of healthy clusters, by check: what is not as good as
// it could be there.
var deserved = map[string][]string{
	"shared": {"lb-single-point"}, "perNode": {"lb-single-point"}, "sharedCertificate": {"lb-single-point"},
	"nodeLocal": {"lb-single-point"}, "nodeLocalPerNode": {"lb-single-point"},
	"folder/nodeLocal": {"lb-listens"}, "folder/nodeLocalPerNode": {"lb-listens"}, // what leads to it is in no copy
	"kubeadm": {"leader-release-on-exit", "graceful-shutdown"},
	"k3s":     {"lb-single-point"},
	"k0s":     {"lb-single-point", "kubeconfig-servers", "leader-release-on-exit", "lb-detection-time", "graceful-shutdown", "coredns-spread"},
	"api/k0s": {"serving-cert-names"}, // with an address of a controller, which is no node
}

func TestHealthyClustersHaveNoFailure(t *testing.T) {
	for name, cluster := range clusters {
		t.Run(name, func(t *testing.T) {
			for _, f := range Evaluate(cluster(), Options{}).Findings {
				warned := f.Status == Warn && !slices.Contains(deserved[name], f.Check)
				if f.Status == Fail || f.Status == Error || warned {
					t.Error(show([]Finding{f}))
				}
			}
		})
	}
}

// Every check has been seen to pass on a healthy cluster, and to find something on
// a broken one.
func TestEveryCheckHasAHealthyAndABrokenCase(t *testing.T) {
	passes, finds := map[string]bool{}, map[string]bool{}
	for _, cluster := range clusters {
		for _, f := range Evaluate(cluster(), Options{}).Findings {
			passes[f.Check] = passes[f.Check] || f.Status == Pass
		}
	}
	for _, c := range cases() {
		passes[c.check] = passes[c.check] || c.status == Pass
		finds[c.check] = finds[c.check] || c.status == Fail || c.status == Warn || c.status == Error
	}
	for _, c := range Catalogue() {
		if !passes[c.ID] {
			t.Errorf("%s: no healthy case", c.ID)
		}
		if !finds[c.ID] {
			t.Errorf("%s: no broken case", c.ID)
		}
	}
}

func TestCatalogueIsComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Catalogue() {
		if seen[c.ID] {
			t.Errorf("%s: twice", c.ID)
		}
		seen[c.ID] = true
		if c.Subject == "" || c.Title == "" || c.Fix == "" || c.Run == nil || len(c.Needs) == 0 || !strings.HasSuffix(c.Why, ".") {
			t.Errorf("%s: has no subject, title, fix, needs or run, or its why is no sentence", c.ID)
		}
		if !strings.HasPrefix(c.Source, "https://") && !strings.HasPrefix(c.Source, "measured, docs/") {
			t.Errorf("%s: source %q", c.ID, c.Source)
		}
	}
}
