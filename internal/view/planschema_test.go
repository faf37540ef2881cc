package view

import (
	"io"
	"path"
	"strings"
	"testing"
	"time"

	generate "github.com/invopop/jsonschema"

	"github.com/haplane/haplane/internal/change"
	"github.com/haplane/haplane/internal/cluster"
	"github.com/haplane/haplane/internal/kubeapi"
	"github.com/haplane/haplane/internal/look"
	"github.com/haplane/haplane/internal/pki"
	"github.com/haplane/haplane/internal/probe"
)

const (
	planSchema    = "../../docs/plan.schema.json"
	outcomeSchema = "../../docs/outcome.schema.json"
	probeSchema   = "../../docs/probe-report.schema.json"
	certsSchema   = "../../docs/certificates.schema.json"
)

// Schemas come from the types and their comments, so that they cannot lag behind them.
// Their generator takes a field for optional that has omitempty, beside omitzero too.
func TestSchemas(t *testing.T) {
	for file, c := range map[string]struct {
		of    any
		title string
	}{
		planSchema:    {&cluster.Plan{}, "haplane plan -o json"},
		outcomeSchema: {&cluster.Outcome{}, "haplane apply -o json, and of node add, remove and replace, and certs renew"},
		probeSchema:   {&probe.Report{}, "haplane probe -o json"},
		certsSchema:   {[]cluster.ListedCertificate{}, "haplane certs list -o json"},
	} {
		t.Run(path.Base(file), func(t *testing.T) {
			r := generate.Reflector{DoNotReference: true, AllowAdditionalProperties: true, Mapper: enums}
			for _, part := range []string{"cluster", "change", "pki", "kubeapi", "look", "probe"} {
				if err := r.AddGoComments("github.com/haplane/haplane/internal/"+part, "../"+part); err != nil {
					t.Fatal(err)
				}
			}
			schema := r.Reflect(c.of)
			schema.ID, schema.Title = "", c.title
			compare(t, file, func(w io.Writer) error { return JSON(w, schema) })
		})
	}
}

// A whole plan, with each kind of step in it that has something of its own.
func wholePlan() *cluster.Plan {
	three, four := change.Tolerance{Voters: 3, Healthy: 3, Tolerates: 1}, change.Tolerance{Voters: 4, Healthy: 4, Tolerates: 1}
	return &cluster.Plan{
		Etcd: &change.Tolerance{Voters: 3, Healthy: 2, Tolerates: 0},
		Steps: []change.Step{
			{ID: "issue-certificates", Verb: change.IssueCertificates, Why: []change.Reason{{What: "certificate apiserver-cp-4", New: "there is none"}}},
			{ID: "member-promote@cp-4", Verb: change.PromoteMember, Node: "cp-4", Why: []change.Reason{{What: "spec.nodes[cp-4]", New: "control-plane 10.10.10.14"}},
				Needs: []string{"issue-certificates"}, Guard: change.Guard{Etcd: change.OpPromote}, Etcd: &change.EtcdEffect{Before: three, After: four}},
			{ID: "restart@cp-1/kube-apiserver", Verb: change.Restart, Node: "cp-1", Why: []change.Reason{{What: "flag v", Old: "2", New: "3"}},
				Needs: []string{"member-promote@cp-4"}, Guard: change.Guard{OtherAPIServers: true}, Units: []string{"kube-apiserver"}},
			{ID: "lb-backends@lb-1", Verb: change.SetBackends, Node: "lb-1", Why: []change.Reason{}, Backends: []string{"cp-1", "cp-4"}},
		},
		Warnings: []string{"a change was cut off"},
		Files: []cluster.FileChange{{Node: "cp-1", Path: "/etc/kubernetes/apiserver.yaml", Diff: "-x\n+y\n"},
			{Node: "cp-4", Path: "/etc/kubernetes/pki/apiserver.key", New: true}, {Node: "cp-1", Path: "/etc/old", Removed: true}},
		Keys: []string{"apiserver-cp-4", "apiserver-cp-1"},
		Reissue: []pki.Reissue{{Name: "apiserver-cp-4", Reason: "there is none", NewSerial: "b2"},
			{Name: "apiserver-cp-1", Reason: "ends in 9 days", OldSerial: "a1", NewSerial: "b1", NotAfter: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)}},
		Objects: []kubeapi.Applied{{Kind: "Deployment", Namespace: "kube-system", Name: "coredns", Change: kubeapi.Configured}},
	}
}

func wholeOutcome() *cluster.Outcome {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	return &cluster.Outcome{
		Plan: wholePlan(), Compared: true, CertificatesKept: 40, XRayed: true, NewFailures: []string{"etcd-quorum on cp-2: expected x, observed y"}, Seconds: 12.5,
		Elapsed: 12500 * time.Millisecond,
		Certificates: []look.CertificateChange{
			{Node: "cp-1", Path: "/etc/kubernetes/pki/apiserver.crt", Before: look.Certificate{Fingerprint: strings.Repeat("a1", 32), NotAfter: at},
				After: look.Certificate{Fingerprint: strings.Repeat("b2", 32), NotAfter: at}},
			{Node: "cp-2", Path: "/etc/kubernetes/kubelet.conf", Part: "client-certificate-data", After: look.Certificate{Fingerprint: strings.Repeat("c3", 32), NotAfter: at}}},
		Report: &probe.Report{Started: at, Seconds: 12, Errors: []string{}, Marks: []probe.Mark{{At: at, Text: "restart@cp-1/kube-apiserver"}},
			Lanes:  []probe.LaneReport{{Name: "lb-new", Start: at, End: at, Requests: 240, Failed: 1, LongestGap: 80, Outages: []probe.Outage{{Start: at, End: at, Failed: 1, FirstError: "EOF"}}}},
			Writes: &probe.WritesReport{Acknowledged: 240, LostKeys: []string{}, Checked: true},
			Watch:  &probe.WatchReport{Events: 240, Gaps: []probe.Gap{}}, Late: []probe.Lateness{{Start: at, End: at.Add(time.Second)}}},
	}
}

func listed() []cluster.ListedCertificate {
	return []cluster.ListedCertificate{
		{Name: "apiserver", Serial: "a1", NotAfter: time.Date(2027, 12, 1, 0, 0, 0, 0, time.UTC), Issuer: "CN=kubernetes", Reload: "haplane: when it runs"},
		{Name: "*", Node: "cp-2", Error: "its machine is off"},
	}
}

func TestJSONFitsTheSchemas(t *testing.T) {
	outcome := wholeOutcome()
	for name, c := range map[string]struct {
		file string
		of   any
	}{
		"plan of a change":    {planSchema, wholePlan()},
		"outcome of a change": {outcomeSchema, outcome},
		"report of a probe":   {probeSchema, outcome.Report},
		"certificates":        {certsSchema, listed()},
	} {
		t.Run(name, func(t *testing.T) {
			if err := compileSchema(t, c.file).Validate(asTree(t, c.of)); err != nil {
				t.Error(err)
			}
		})
	}
}

// What scripts rely on cannot go without a test that fails.
func TestSchemasRefuse(t *testing.T) {
	first := func(list any) map[string]any { return list.([]any)[0].(map[string]any) }
	for name, c := range map[string]struct {
		file  string
		of    any
		spoil func(map[string]any)
	}{
		"no steps":              {planSchema, wholePlan(), func(p map[string]any) { delete(p, "steps") }},
		"steps null":            {planSchema, wholePlan(), func(p map[string]any) { p["steps"] = nil }},
		"a step without reason": {planSchema, wholePlan(), func(p map[string]any) { delete(first(p["steps"]), "why") }},
		"reissue null":          {planSchema, wholePlan(), func(p map[string]any) { p["reissue"] = nil }},
		"unknown object change": {planSchema, wholePlan(), func(p map[string]any) { first(p["objects"])["change"] = "perhaps" }},
		"voters a word":         {planSchema, wholePlan(), func(p map[string]any) { p["etcd"].(map[string]any)["voters"] = "three" }},
		"certificates null":     {outcomeSchema, wholeOutcome(), func(o map[string]any) { o["certificates"] = nil }},
		"certificate unnamed":   {outcomeSchema, wholeOutcome(), func(o map[string]any) { delete(first(o["certificates"]), "path") }},
		"no seconds":            {outcomeSchema, wholeOutcome(), func(o map[string]any) { delete(o, "seconds") }},
		"lane without failed": {outcomeSchema, wholeOutcome(), func(o map[string]any) {
			delete(first(o["report"].(map[string]any)["lanes"]), "failed")
		}},
		"lost a word": {probeSchema, wholeOutcome().Report, func(r map[string]any) { r["writes"].(map[string]any)["lost"] = "none" }},
	} {
		t.Run(name, func(t *testing.T) {
			tree := asTree(t, c.of).(map[string]any)
			c.spoil(tree)
			if err := compileSchema(t, c.file).Validate(tree); err == nil {
				t.Error("no error")
			}
		})
	}
}

func TestCertificatesSchemaRefuses(t *testing.T) {
	for _, field := range []string{"name", "node", "serial", "issuer", "reload"} {
		list := asTree(t, listed()).([]any)
		delete(list[0].(map[string]any), field)
		if err := compileSchema(t, certsSchema).Validate(list); err == nil {
			t.Errorf("no error without %s", field)
		}
	}
}

// Fields are named alike everywhere: in camelCase.
func TestFieldNames(t *testing.T) {
	var walk func(at string, tree any)
	walk = func(at string, tree any) {
		switch v := tree.(type) {
		case map[string]any:
			for name, value := range v {
				if name == "" || name[0] < 'a' || name[0] > 'z' || strings.ContainsAny(name, "_-") {
					t.Errorf("%s has a field %q", at, name)
				}
				walk(at+"."+name, value)
			}
		case []any:
			for _, value := range v {
				walk(at+"[]", value)
			}
		}
	}
	walk("outcome", asTree(t, wholeOutcome()))
	walk("certificates", asTree(t, listed()))
}
