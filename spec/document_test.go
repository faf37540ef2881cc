package spec

import (
	"fmt"
	"strings"
	"testing"
)

// utf16 is a text as a Windows program may save it.
func utf16(text string) string {
	out := "\xff\xfe"
	for _, c := range text {
		out += string([]byte{byte(c), 0})
	}
	return out
}

// Each merge into itself many times over would take for ever, were they all followed.
func TestMergesThatMultiply(t *testing.T) {
	text := head + "spec:\n  a0: &a0 {identity: a}\n"
	for i := range 30 {
		text += fmt.Sprintf("  a%d: &a%[1]d {<<: [%s]}\n", i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i), 50), ", "))
	}
	if got := problems(t, text+"  <<: *a30\n"); len(got) != 32 || !strings.Contains(got[31], `spec.identity: Invalid value: "a"`) {
		t.Errorf("%d lines: %q", len(got), got)
	}
}

func TestDocuments(t *testing.T) {
	const kubeadm = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nclusterName: a\n"
	for name, test := range map[string]struct {
		file string
		want []string
	}{
		"one":                          {head, nil},
		"behind comments":              {"# a\n---\n# b\n" + head + "---\n# c\n---\n\n...\n", nil},
		"two":                          {head + "---\n" + head, []string{"has a further document, haplane/v1alpha1 Cluster, that would not be read: a cluster file has one; write it to a file of its own (line 4)"}},
		"kubeadm's behind it":          {head + "---\n" + kubeadm, []string{"a further document, kubeadm.k8s.io/v1beta4 ClusterConfiguration,"}},
		"or before":                    {kubeadm + "---\n" + head + "metadata: {name: UP}\n", []string{"a further document, kubeadm.k8s.io/v1beta4 ClusterConfiguration,", "metadata.name"}},
		"kubeadm's alone":              {kubeadm, []string{"is kubeadm.k8s.io/v1beta4 ClusterConfiguration, no cluster file of haplane; a cluster file starts with"}},
		"another API's cluster":        {"apiVersion: cluster.x-k8s.io/v1beta1\nkind: Cluster\nspec: {a: b}\n", []string{"is cluster.x-k8s.io/v1beta1 Cluster, no cluster file"}},
		"another version":              {"apiVersion: haplane/v2\nkind: Cluster\n", []string{`apiVersion: Invalid value: "haplane/v2": must be "haplane/v1alpha1" (line 1)`}},
		"something that is none":       {head + "---\nhello\n", []string{"a further document, which says not of what kind it is"}},
		"one that cannot be read":      {head + "---\na: [\n", []string{"not valid YAML"}},
		"comments alone":               {"# nothing\n---\n", []string{"is empty"}},
		"no mapping":                   {"hello", []string{"is not a mapping"}},
		"tabs":                         {head + "spec:\n\tidentity: shared\n", []string{"not valid YAML: line 4 is indented with a tab; use spaces"}},
		"a key twice, and another":     {head + "spec:\n  identity: shared\n  identity: perNode\n  nodez: 1\n", []string{`spec.identity: Invalid value: key "identity" already set in line 4; remove one of the two (line 5)`, "spec.nodez"}},
		"merged":                       {head + "spec:\n  nodes:\n  - &cp {role: control-plane, name: a}\n  - {<<: *cp, name: b}\n", nil},
		"merged into itself":           {head + "spec:\n  network: &n {<<: *n, nat: 5}\n", []string{"spec.network.nat: Invalid value: 5: must be true or false"}},
		"a flag twice":                 {head + "spec: {extraArgs: {etcd: {a: b, a: c}}}\n", []string{"spec.extraArgs[etcd][a]: Invalid value: key \"a\" already set in line 3"}},
		"a number merged":              {head + "spec:\n  <<: 5\n", []string{"spec.<<: Invalid value: 5: cannot be merged; write a mapping (line 4)"}},
		"nothing merged":               {head + "spec:\n  <<: [null, {identity: a}]\n", []string{"spec.<<: Invalid value: null: cannot be merged; write a mapping (line 4)", `spec.identity: Invalid value: "a"`}},
		"merged ten times over":        {head + "spec: " + strings.Repeat("{<<: ", 10) + "{identity: a}" + strings.Repeat("}", 10), []string{`spec.identity: Invalid value: "a"`}},
		"keys that are none":           {head + "spec: {? [a] : b, ? {a: b} : c}\n", []string{"spec.?: Invalid value: a list: cannot stand before a colon; write the name of a field (line 3)", "spec.?: Invalid value: a mapping: cannot stand"}},
		"nothing of ours":              {"root:*:20228:\ndaemon:*:20228:\n", []string{"has none of the fields of a cluster file; a cluster file starts with"}},
		"an empty mapping":             {"{}", []string{"has none of the fields of a cluster file"}},
		"capital letters":              {"Metadata: {name: a}", []string{`Metadata: Invalid value: unknown field; did you mean "metadata"? (line 1)`, "apiVersion: Required", "kind: Required"}},
		"a tab before a comment":       {head + "\t# a\n", []string{"not valid YAML: line 3 is indented with a tab; use spaces"}},
		"JSON that has an end too few": {"{\n\t\"apiVersion\": \"a\",\n\t\"spec\": [\n", []string{"not valid YAML: line 3: did not find expected node content"}},
		"an anchor that is none":       {head + "spec: *a\n", []string{"not valid YAML: line 3 has *a, and no &a stands before it"}},
		"a text that needs quotes":     {"metadata: {name: @a}", []string{"not valid YAML: line 1: a text that begins with one of %, @ and ` needs quotes"}},
		"a line too far in":            {head + " metadata: {}\n", []string{"not valid YAML: line 3: there is a colon where none can be: the line is indented too far"}},
		"not UTF-8":                    {head + "# \xe9\n", []string{"is not text in UTF-8: save it as such (line 3)"}},
		"control characters":           {head + "# \a\n", []string{"has the control character U+0007 in it; remove it (line 3)"}},
		"UTF-16":                       {utf16("apiVersion: a\nkind: Cluster\n"), []string{`apiVersion: Invalid value: "a"`}},
		"UTF-8 with a mark":            {"\ufeff" + strings.ReplaceAll(head, "\n", "\r\n"), nil},
		"a list in itself":             {head + "spec:\n  nodes: &n [*n]\n", []string{"spec.nodes[0]: Invalid value: a list: must be a mapping"}},
	} {
		t.Run(name, func(t *testing.T) { expect(t, problems(t, test.file), test.want...) })
	}
}

// What is written empty is not silently the default.
func TestEmptyFields(t *testing.T) {
	for field, text := range map[string]string{
		"spec.nodes":                "spec: {nodes: []}",
		"spec.loadBalancer.port":    "spec: {loadBalancer: {port: 0}}",
		"spec.loadBalancer.address": "spec: {loadBalancer: {address: ''}}",
		"spec.identity":             "spec: {identity: ''}",
		"spec.endpointReconciler":   "spec: {endpointReconciler: ''}",
		"spec.network.machineCIDR":  "spec: {network: {machineCIDR: ''}}",
		"spec.network.podCIDR":      "spec: {network: {podCIDR: ''}}",
		"spec.network.serviceCIDR":  "spec: {network: {serviceCIDR: ''}}",
		"spec.network.dnsDomain":    "spec: {network: {dnsDomain: ''}}",
		"spec.nodes[1].name":        "spec: {nodes: [{role: control-plane}, {role: worker, name: ''}]}",
		"spec.nodes[1].address":     "spec: {nodes: [{role: control-plane}, {role: worker, address: ''}]}",
		"metadata.name":             "metadata: {name: ''}",
		"spec.nodes[0]":             "spec: {nodes: [null]}",
	} {
		t.Run(field, func(t *testing.T) {
			got := problems(t, head+text)
			expect(t, got, field+": Invalid value: ")
			want := "is empty; "
			if strings.HasSuffix(field, "port") {
				want = "leave the field out for its default, 6443"
			}
			expect(t, got, want)
			if c, err := ParseKept("f.yaml", []byte(head+text), Known{}); err != nil && field != "spec.nodes[0]" || err == nil && c.Spec.LoadBalancer.Port != DefaultPort {
				t.Errorf("in the file of a cluster that is there: %v", err)
			}
		})
	}
	for field, text := range map[string]string{
		"spec": "spec:", "metadata": "metadata: null", "spec.nodes": "spec: {nodes: }", "spec.network": "spec: {network: ~}", "spec.network.machineCIDR": "spec: {network: {machineCIDR: null}}",
		"spec.controlPlane.kubelet": "spec: {controlPlane: {kubelet: }}", "spec.loadBalancer.port": "spec: {loadBalancer: {port: }}", "spec.nodes[0].address": "spec: {nodes: [{role: control-plane, address: }]}",
		"spec.etcd.snapshots.schedule": "spec: {etcd: {snapshots: {schedule: }}}", "spec.etcd.snapshots.recipients": "spec: {etcd: {snapshots: {schedule: '@daily', recipients: }}}",
		"spec.certificates.externalCA": "spec: {certificates: {externalCA: }}",
	} {
		t.Run(field+" is null", func(t *testing.T) {
			expect(t, problems(t, head+text), field+": Invalid value: has no value; write one, or leave the field out for its default")
			if _, err := ParseKept("f.yaml", []byte(head+text), Known{}); err != nil {
				t.Errorf("in the file of a cluster that is there: %v", err)
			}
		})
	}
	if _, err := ParseKept("f.yaml", []byte(head+"spec: {extraArgs: {etcd: {quota: }}}\n---\nother: 1\n"), Known{}); err != nil {
		t.Errorf("a flag without a value, and a further document, of a cluster that is there: %v", err)
	}
	expect(t, problems(t, head+"spec: {nodes: [{role: ''}]}"), `spec.nodes[0].role: Required value: must be "control-plane"`)
}
