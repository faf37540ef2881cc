package spec

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func add(nodes ...Node) func([]byte) ([]byte, error) {
	return func(data []byte) ([]byte, error) { return AddNodes(data, nodes, nil) }
}

func remove(names ...string) func([]byte) ([]byte, error) {
	return func(data []byte) ([]byte, error) { return RemoveNodes(data, names, nil) }
}

func replace(old string, new Node) func([]byte) ([]byte, error) {
	return func(data []byte) ([]byte, error) { return ReplaceNode(data, Node{Name: old}, new, nil) }
}

var (
	cp4  = Node{Name: "cp-4", Role: RoleControlPlane}
	big  = Node{Name: "big", Role: RoleWorker}
	defs = "  - {role: control-plane, name: cp-1}\n  - {role: control-plane, name: cp-2}\n  - {role: control-plane, name: cp-3}\n"
)

func TestEdit(t *testing.T) {
	tests := map[string]struct {
		file string
		edit func([]byte) ([]byte, error)
		want string
	}{
		"no spec": {head, add(cp4), head + "spec:\n  nodes:\n" + defs + "  - {role: control-plane, name: cp-4}\n  - {role: worker, name: worker-1}\n"},
		"no spec, comment and no line break at the end": {head + "metadata: {name: a} # that\n# the end", remove("cp-1"),
			head + "metadata: {name: a} # that\nspec:\n  nodes:\n  - {role: control-plane, name: cp-2, address: 10.10.10.12}\n" +
				"  - {role: control-plane, name: cp-3, address: 10.10.10.13}\n  - {role: worker, name: worker-1}\n# the end"},
		"no nodes": {head + "spec: # what\n    identity: shared\n    network:\n        nat: false # no\n\n# the end\n", remove("worker-1"),
			head + "spec: # what\n    identity: shared\n    network:\n        nat: false # no\n    nodes:\n    - {role: control-plane, name: cp-1}\n" +
				"    - {role: control-plane, name: cp-2}\n    - {role: control-plane, name: cp-3}\n\n# the end\n"},
		"empty spec":       {head + "spec: # none\nmetadata: {name: a}\n", remove("cp-3", "cp-2"), head + "spec: # none\n  nodes:\n  - {role: control-plane, name: cp-1}\n  - {role: worker, name: worker-1}\nmetadata: {name: a}\n"},
		"null spec":        {head + "spec: ~ # none\n", remove("cp-3", "cp-2"), head + "spec: # none\n  nodes:\n  - {role: control-plane, name: cp-1}\n  - {role: worker, name: worker-1}\n"},
		"spec in braces":   {head + "spec: {}\n", remove("cp-3", "cp-2"), head + "spec: {nodes: [{role: control-plane, name: cp-1}, {role: worker, name: worker-1}]}\n"},
		"with fields":      {head + "spec: {identity: shared, } # a\n", remove("cp-3", "cp-2"), head + "spec: {identity: shared, nodes: [{role: control-plane, name: cp-1}, {role: worker, name: worker-1}] } # a\n"},
		"nodes are null":   {head + "spec:\n  nodes: null # all\n  identity: shared\n", remove("cp-3", "cp-2"), head + "spec:\n  nodes: # all\n  - {role: control-plane, name: cp-1}\n  - {role: worker, name: worker-1}\n  identity: shared\n"},
		"nodes are empty":  {head + "spec:\n  nodes: []\n", remove("cp-3", "cp-2"), head + "spec:\n  nodes:\n  - {role: control-plane, name: cp-1}\n  - {role: worker, name: worker-1}\n"},
		"nodes are left":   {head + "spec:\n  nodes:", remove("cp-3", "cp-2"), head + "spec:\n  nodes:\n  - {role: control-plane, name: cp-1}\n  - {role: worker, name: worker-1}"},
		"braces, no nodes": {head + "spec: {nodes: }\n", remove("cp-3", "cp-2"), head + "spec: {nodes: [{role: control-plane, name: cp-1}, {role: worker, name: worker-1}] }\n"},
		"the first of unnamed ones": {head + "spec:\n  nodes:\n  # control plane\n  - {role: control-plane}   # one\n  - {role: control-plane}   # two\n\n  # workers\n  - {role: worker} # three\n", remove("cp-1"),
			head + "spec:\n  nodes:\n  # control plane\n  - {role: control-plane, name: cp-2, address: 10.10.10.12}   # two\n\n  # workers\n  - {role: worker, name: worker-1} # three\n"},
		"lines": {head + "spec:\n  nodes:\n    - role: control-plane # one\n      # of three\n    -\n      name: 'b'\n      role: control-plane\n      # trailing\n    # workers\n    - role: worker\n  identity: shared\n",
			add(cp4, big),
			head + "spec:\n  nodes:\n    - role: control-plane # one\n      name: cp-1\n      # of three\n    -\n      name: 'b'\n      role: control-plane\n" +
				"    - role: control-plane\n      name: cp-4\n      # trailing\n    # workers\n    - role: worker\n      name: worker-1\n    - role: worker\n      name: big\n  identity: shared\n"},
		"lines go":    {head + "spec:\n  nodes:\n  - role: control-plane\n  # a worker\n  - role: worker\n    name: w\n    # with an address\n    address: 10.10.10.50\n  # more\n  - role: worker\n    name: x\n", remove("w"), head + "spec:\n  nodes:\n  - role: control-plane\n    name: cp-1\n  # a worker\n  # more\n  - role: worker\n    name: x\n"},
		"in brackets": {head + "spec: {nodes: [{role: control-plane}, {role: worker}]} # a\n", add(cp4, big), head + "spec: {nodes: [{role: control-plane, name: cp-1}, {role: control-plane, name: cp-4}, {role: worker, name: worker-1}, {role: worker, name: big}]} # a\n"},
		"in brackets, gone": {head + "spec: {nodes: [{role: worker, name: a}, {role: control-plane, name: 'b}'}, {role: worker, name: c}]}\n", func(data []byte) ([]byte, error) {
			return RemoveNodes([]byte(strings.Replace(string(data), "'b}'", "\"b\"", 1)), []string{"a", "c"}, nil)
		}, head + "spec: {nodes: [{role: control-plane, name: \"b\"}]}\n"},
		"brackets over lines": {head + "spec:\n  nodes: [\n    # all\n    {role: control-plane}, # one\n    {role: worker} # two\n  ]\n", add(big), head + "spec:\n  nodes: [\n    # all\n    {role: control-plane, name: cp-1}, # one\n    {role: worker, name: worker-1}, # two\n    {role: worker, name: big}\n  ]\n"},
		"and the last goes":   {head + "spec:\n  nodes: [\n    # all\n    {role: control-plane}, # one\n    # end\n    {role: worker} # two\n  ]\n", remove("worker-1"), head + "spec:\n  nodes: [\n    # all\n    {role: control-plane, name: cp-1} # one\n    # end\n  ]\n"},
		"and the first":       {head + "spec:\n  nodes: [\n    {role: worker}, # one\n    # end\n    {role: control-plane}, # two\n  ]\n", remove("worker-1"), head + "spec:\n  nodes: [\n    # end\n    {role: control-plane, name: cp-1}, # two\n  ]\n"},
		"JSON": {`{"apiVersion": "haplane/v1alpha1", "kind": "Cluster", "spec": {"nodes": [{"role": "control-plane"}]}}`, add(big),
			`{"apiVersion": "haplane/v1alpha1", "kind": "Cluster", "spec": {"nodes": [{"role": "control-plane", "name": "cp-1"}, {"role": "worker", "name": "big"}]}}`},
		"JSON without": {`{"apiVersion": "haplane/v1alpha1", "kind": "Cluster"}`, remove("cp-1", "cp-2", "worker-1"),
			`{"apiVersion": "haplane/v1alpha1", "kind": "Cluster", "spec": {"nodes": [{"role": "control-plane", "name": "cp-3", "address": "10.10.10.13"}]}}`},
		"CRLF":                      {"apiVersion: haplane/v1alpha1\r\nkind: Cluster\r\nspec:\r\n  nodes:\r\n  - role: control-plane\r\n", add(big), "apiVersion: haplane/v1alpha1\r\nkind: Cluster\r\nspec:\r\n  nodes:\r\n  - role: control-plane\r\n    name: cp-1\r\n  - role: worker\r\n    name: big\r\n"},
		"only the first document":   {"---\n" + head + "...\n---\nother: 1\n", remove("cp-1", "cp-2"), "---\n" + head + "spec:\n  nodes:\n  - {role: control-plane, name: cp-3, address: 10.10.10.13}\n  - {role: worker, name: worker-1}\n...\n---\nother: 1\n"},
		"names that YAML would not": {head + "spec: {nodes: [{role: control-plane, name: a}]}\n", add(Node{"1", RoleWorker, ""}, Node{"no", RoleWorker, ""}), head + "spec: {nodes: [{role: control-plane, name: a}, {role: worker, name: \"1\"}, {role: worker, name: \"no\"}]}\n"},
		"IPv6": {head + "spec:\n  network: {machineCIDR: \"10.9.0.0/24,fd00::/64\"}\n  nodes:\n  - {role: control-plane}\n", add(Node{"w", RoleWorker, "10.9.0.50,fd00::50"}),
			head + "spec:\n  network: {machineCIDR: \"10.9.0.0/24,fd00::/64\"}\n  nodes:\n  - {role: control-plane, name: cp-1}\n  - {role: worker, name: w, address: \"10.9.0.50,fd00::50\"}\n"},
		"empty names": {head + "spec:\n  nodes:\n  - {role: control-plane, name: }\n  - {name: '', role: control-plane}\n  - role: worker\n    name: # none\n    address: \"\"\n", remove("cp-1"), head + "spec:\n  nodes:\n  - {name: cp-2, role: control-plane, address: 10.10.10.12}\n  - role: worker\n    name: worker-1 # none\n    address: \"\"\n"},
		"braces over lines": {head + "spec:\n  nodes:\n  - {role: control-plane, # don't }\n     # {\n    }\n  - {role: worker} # it's\n", add(cp4),
			head + "spec:\n  nodes:\n  - {role: control-plane, name: cp-1 # don't }\n     # {\n    }\n  - {role: control-plane, name: cp-4}\n  - {role: worker, name: worker-1} # it's\n"},
		"an anchor":                {head + "spec:\n  nodes:\n  - &cp {role: control-plane}\n  - role: worker\n", add(cp4), head + "spec:\n  nodes:\n  - &cp {role: control-plane, name: cp-1}\n  - {role: control-plane, name: cp-4}\n  - role: worker\n    name: worker-1\n"},
		"an entry by merge":        {head + "spec:\n  nodes:\n  - &cp {role: control-plane}\n  - <<: *cp\n", add(cp4), head + "spec:\n  nodes:\n  - &cp {role: control-plane, name: cp-1}\n  - <<: *cp\n    name: cp-2\n  - role: control-plane\n    name: cp-4\n"},
		"a replacement":            {head + "spec:\n  nodes:\n  - {role: control-plane} # a\n  - {role: control-plane, name: b, address: 10.10.10.50}\n", replace("b", Node{Name: "c"}), head + "spec:\n  nodes:\n  - {role: control-plane, name: cp-1} # a\n  - {role: control-plane, name: c, address: 10.10.10.12}\n"},
		"of one without a name":    {head + "spec:\n  nodes:\n  - role: control-plane # a\n  - role: worker # b\n", replace("cp-1", cp4), head + "spec:\n  nodes:\n  - role: control-plane # a\n    name: cp-4\n    address: 10.10.10.12\n  - role: worker # b\n    name: worker-1\n"},
		"the same name, unchanged": {head + "spec:\n  nodes:\n  - role: control-plane # a\n", replace("cp-1", Node{}), head + "spec:\n  nodes:\n  - role: control-plane # a\n"},
		"the load balancer stays where the new one would have its place": {head + "spec:\n  nodes:\n  - {role: control-plane}\n", add(Node{"w", RoleWorker, "10.10.10.4"}), head + "spec:\n  nodes:\n  - {role: control-plane, name: cp-1}\n  - {role: worker, name: w, address: 10.10.10.4}\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := test.edit([]byte(test.file))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The names and addresses are those of the cluster, not those that a new one would get.
func TestEditKnowsTheCluster(t *testing.T) {
	file := head + "spec:\n  nodes:\n  - {role: control-plane}\n  - {role: control-plane}\n"
	known := []Node{cp2, {"cp-7", RoleControlPlane, "10.10.10.17"}, {"front", RoleLoadBalancer, "10.10.10.5"}, cp3}
	resolved, err := ParseFor("f.yaml", []byte(file), Known{Nodes: known})
	if err != nil {
		t.Fatal(err)
	}
	resolved.Spec.Nodes = append(resolved.Spec.Nodes, cp3) // it is leaving
	got, err := AddNodes([]byte(file), []Node{cp4}, resolved)
	if err != nil {
		t.Fatal(err)
	}
	want := head + `spec:
  nodes:
  - {role: control-plane, name: cp-2, address: 10.10.10.12}
  - {role: control-plane, name: cp-7, address: 10.10.10.17}
  - {role: control-plane, name: cp-4}
  - {role: load-balancer, name: front, address: 10.10.10.5}
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	if _, err := AddNodes([]byte(file), []Node{cp3}, resolved); err == nil || err.Error() != "there is a node cp-3 already" {
		t.Errorf("one that is leaving: %v", err)
	}
}

func TestEditRefuses(t *testing.T) {
	file := head + "spec:\n  nodes:\n  - {role: control-plane}\n  - {role: worker}\n"
	tests := map[string]struct {
		edit    func([]byte) ([]byte, error)
		want    []string // one for each line
		notLive bool
	}{
		"names that are there, twice, or none": {add(Node{"cp-1", RoleWorker, ""}, big, big, Node{"", RoleWorker, ""}),
			[]string{"there is a node cp-1 already", "node big is named more than once", "add a worker node: it has no name"}, false},
		"names that are not there": {remove("a", "cp-1", "b", "cp-1"),
			[]string{"there is no node a; there are cp-1, worker-1, lb-1", "there is no node b", "node cp-1 is named more than once"}, false},
		"the last control-plane node": {remove("cp-1"), []string{"no control-plane node would be left"}, true},
		"a bad name":                  {add(Node{"A", RoleWorker, ""}), []string{"cluster file: spec.nodes[3].name: Invalid value: \"A\""}, false},
		"an address in use":           {add(Node{"a", RoleWorker, "10.10.10.11"}), []string{"node cp-1 has this address"}, false},
		"an unknown role":             {add(Node{"a", "master", ""}), []string{`spec.nodes[3].role: Invalid value: "master"`}, false},
		"replace nobody":              {replace("x", cp4), []string{"there is no node x"}, false},
		"with one that is there":      {replace("cp-1", Node{Name: "worker-1"}), []string{"there is a node worker-1 already"}, false},
		"with another role":           {replace("cp-1", big), []string{"replace cp-1, a control-plane node, with big, a worker node: a replacement has the same role"}, false},
		"by another address":          {replace("cp-1", Node{Address: "10.10.10.50"}), []string{`spec.nodes[cp-1].address: "10.10.10.11" to "10.10.10.50"`}, true},
		"the load balancer":           {replace("lb-1", Node{Name: "front"}), []string{"spec.nodes[lb-1]", "spec.nodes[front]"}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := test.edit([]byte(file))
			if err == nil {
				t.Fatalf("no error, but:\n%s", got)
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(test.want) {
				t.Fatalf("%d lines, want %d:\n%v", len(lines), len(test.want), err)
			}
			for i, want := range test.want {
				if !strings.Contains(lines[i], want) {
					t.Errorf("no %q in %s", want, lines[i])
				}
			}
			var notLive *NotLiveError
			if errors.As(err, &notLive) != test.notLive {
				t.Errorf("%T", err)
			}
		})
	}
}

// What cannot be edited says so, and is not written half.
func TestEditOfLayoutsThatItCannotEdit(t *testing.T) {
	for name, test := range map[string]struct{ file, want string }{
		"the list by an anchor": {"spec:\n  <<: {nodes: [{role: control-plane}]}\n", errLayout.Error()},
		"an entry by an alias":  {"spec:\n  nodes:\n  - &cp {role: control-plane}\n  - *cp\n", errLayout.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := AddNodes([]byte(head+test.file), []Node{cp4}, nil)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, %s", err, got)
			}
		})
	}
}

// In every example, and in the file of all defaults, nothing but the entries changes.
func TestEditOfExamples(t *testing.T) {
	files, err := filepath.Glob("../examples/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	for _, file := range append(files, "default.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			checkAddAndRemove(t, data)
		})
	}
}

func checkAddAndRemove(t *testing.T, data []byte) {
	t.Helper()
	before, err := Parse("before", data)
	if err != nil {
		t.Fatal(err)
	}
	added, err := AddNodes(data, []Node{{"new-cp", RoleControlPlane, ""}, {"new-w", RoleWorker, ""}}, before)
	if err != nil {
		t.Fatal(err)
	}
	grown, err := Parse("added", added)
	if err != nil {
		t.Fatal(err)
	}
	if len(grown.Spec.Nodes) != len(before.Spec.Nodes)+2 {
		t.Errorf("%d nodes became %d:\n%s", len(before.Spec.Nodes), len(grown.Spec.Nodes), added)
	}
	back, err := RemoveNodes(added, []string{"new-cp", "new-w"}, grown)
	if err != nil {
		t.Fatal(err)
	}
	after, err := Parse("removed", back)
	if err != nil {
		t.Fatal(err)
	}
	if diff := Diff(before, after); len(diff) > 0 {
		t.Errorf("added and removed, and this has changed: %v", diff)
	}
	again, err := AddNodes(back, []Node{{"new-cp", RoleControlPlane, ""}, {"new-w", RoleWorker, ""}}, after)
	if err != nil || string(again) != string(added) {
		t.Errorf("added once more it is another text: %v\n%s", err, cmp.Diff(string(added), string(again)))
	}
}
