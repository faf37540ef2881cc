package spec

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A generated file has comments that are counted: those on lines of their own, and
// one behind each entry that names the entry's node by its place.
type generated struct {
	text  string
	notes []string // comments on lines of their own
}

// drawFile writes the same kinds of nodes in every layout that people use.
func drawFile(t *rapid.T) generated {
	g := generated{}
	note := func(indent string) string {
		if !rapid.Bool().Draw(t, "comment") {
			return ""
		}
		g.notes = append(g.notes, fmt.Sprintf("# note %d.", len(g.notes)))
		return indent + g.notes[len(g.notes)-1] + "\n" + rapid.SampledFrom([]string{"", "\n"}).Draw(t, "blank line")
	}
	text := "# about it\n" + head + "spec:\n  # the network\n  network: {nat: false}\n"
	layout := rapid.SampledFrom([]string{"lines", "lines", "brackets", "bracket lines", "none"}).Draw(t, "layout")
	entries := drawEntries(t)
	indent := strings.Repeat(" ", rapid.IntRange(2, 5).Draw(t, "indent"))
	switch layout {
	case "lines":
		text += "  nodes: # all\n"
		for i, e := range entries {
			text += note(indent)
			if rapid.Bool().Draw(t, "braces") {
				text += indent + "- {" + strings.Join(e, ", ") + fmt.Sprintf("} # entry %d.\n", i)
				continue
			}
			gap := indent + strings.Repeat(" ", rapid.IntRange(2, 4).Draw(t, "gap"))
			text += indent + "-" + gap[len(indent)+1:] + strings.Join(e, fmt.Sprintf("\n%s# in it\n%s", gap, gap)) + fmt.Sprintf(" # entry %d.\n", i)
		}
		text += note(indent)
	case "brackets":
		var all []string
		for _, e := range entries {
			all = append(all, "{"+strings.Join(e, ", ")+rapid.SampledFrom([]string{"}", ",}", " }"}).Draw(t, "close"))
		}
		text += "  nodes: [" + strings.Join(all, ", ") + "]\n"
	case "bracket lines":
		text += "  nodes: [\n"
		for i, e := range entries {
			comma := ","
			if i == len(entries)-1 {
				comma = rapid.SampledFrom([]string{"", ","}).Draw(t, "comma")
			}
			text += note(indent) + indent + "{" + strings.Join(e, ", ") + "}" + comma + fmt.Sprintf(" # entry %d.\n", i)
		}
		text += note(indent) + "  ]\n"
	}
	text += "  # flags\n  extraArgs: {etcd: {quota: '1'}}\nmetadata:\n  name: \"a\" # its name"
	text += rapid.SampledFrom([]string{"", "\n", "\n# the end\n", "\n...\n"}).Draw(t, "end")
	if rapid.Bool().Draw(t, "CRLF") {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	g.text = text
	return g
}

// drawEntries returns the fields of nodes, in any order, named or not.
func drawEntries(t *rapid.T) [][]string {
	roles := slices.Concat(
		slices.Repeat([]Role{RoleControlPlane}, rapid.IntRange(1, 4).Draw(t, "control-plane nodes")),
		slices.Repeat([]Role{RoleWorker}, rapid.IntRange(0, 3).Draw(t, "workers")),
		slices.Repeat([]Role{RoleEtcd}, rapid.SampledFrom([]int{0, 0, 3}).Draw(t, "etcd")),
		slices.Repeat([]Role{RoleLoadBalancer}, rapid.IntRange(0, 1).Draw(t, "load balancers")))
	hosts := rapid.Permutation([]int{3, 4, 11, 12, 13, 21, 22, 31, 32, 50, 51, 52}).Draw(t, "hosts")
	names := rapid.Permutation([]string{"cp-1", "cp-2", "worker-1", "etcd-2", "lb-1", "a", "b", "cp-9", "no", "7", "x-1", "x-2"}).Draw(t, "names")
	var out [][]string
	for i, role := range rapid.Permutation(roles).Draw(t, "order") {
		e := []string{"role: " + string(role)}
		if rapid.IntRange(0, 2).Draw(t, "named") == 0 {
			e = append(e, "name: "+rapid.SampledFrom([]string{`"%s"`, "'%s'"}).Draw(t, "quotes"))
			e[len(e)-1] = fmt.Sprintf(e[len(e)-1], names[i])
		}
		if rapid.IntRange(0, 3).Draw(t, "placed") == 0 {
			e = append(e, fmt.Sprintf("address: 10.10.10.%d", hosts[i]))
		}
		out = append(out, rapid.Permutation(e).Draw(t, "fields"))
	}
	return out
}

// Whatever the layout and the order of edits, the file says afterwards what it said
// before, but for the nodes that came and went; and every comment that is not of
// an entry that went is there, once.
func TestEditsSayWhatIsWanted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawFile(t)
		t.Logf("%s", g.text)
		c, err := Parse("f.yaml", []byte(g.text))
		if err != nil {
			t.Fatal(err)
		}
		original, first := g.text, c.Spec.Nodes
		for i := range rapid.IntRange(1, 4).Draw(t, "edits") {
			text, after := drawEdit(t, i, []byte(g.text), c)
			t.Logf("%s", text)
			g.text, c = text, after
		}
		for _, note := range append(g.notes, "# about it", "# the network", "# flags", "# its name") {
			if n := strings.Count(g.text, note); n != 1 {
				t.Errorf("%s is there %d times", note, n)
			}
		}
		before, _, listed := strings.Cut(original, "  nodes:")
		_, after, _ := strings.Cut(original, "  # flags")
		if listed && !(strings.HasPrefix(g.text, before) && strings.HasSuffix(g.text, after)) {
			t.Errorf("what is around the nodes has changed")
		}
		for i, n := range first {
			note := fmt.Sprintf("# entry %d.", i)
			if c.Spec.has(n.Name) && strings.Contains(original, note) && !strings.Contains(g.text, note) {
				t.Errorf("%s stays, and %s does not", n.Name, note)
			}
		}
	})
}

func drawEdit(t *rapid.T, number int, data []byte, c *Cluster) (string, *Cluster) {
	candidates := slices.DeleteFunc(slices.Clone(c.Spec.Nodes), func(n Node) bool { return n.Role == RoleLoadBalancer })
	kind := rapid.SampledFrom([]string{"add", "remove", "replace"}).Draw(t, "edit")
	node := rapid.SampledFrom(candidates).Draw(t, "node")
	fresh := Node{Name: fmt.Sprintf("new-%d", number), Role: node.Role}
	if rapid.IntRange(0, 3).Draw(t, "with address") == 0 {
		fresh.Address = fmt.Sprintf("10.10.10.%d", 100+number)
	}
	var got []byte
	var err error
	gone, comes := node.Name, fresh.Name
	switch kind {
	case "add":
		gone = ""
		got, err = AddNodes(data, []Node{fresh}, c)
	case "remove":
		comes = ""
		if CheckRemoval(c, []string{node.Name}) != nil {
			return string(data), c
		}
		got, err = RemoveNodes(data, []string{node.Name}, c)
	case "replace":
		got, err = ReplaceNode(data, node, fresh, c)
	}
	if err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	after := checkEdit(t, got, c, gone, comes)
	if n, ok := after.Spec.node(fresh.Name); ok && (n.Role != fresh.Role || fresh.Address != "" && n.Address != fresh.Address) {
		t.Fatalf("%+v was to come, and it is %+v", fresh, n)
	}
	switch kind { // once more is an error, not another change
	case "add":
		_, err = AddNodes(got, []Node{fresh}, after)
	case "remove":
		_, err = RemoveNodes(got, []string{node.Name}, after)
	case "replace":
		_, err = ReplaceNode(got, node, fresh, after)
	}
	if err == nil {
		t.Fatalf("%s: a second time is no error", kind)
	}
	return string(got), after
}

// checkEdit reads the text as that of a new cluster and as that of this one.
func checkEdit(t *rapid.T, text []byte, before *Cluster, gone, comes string) *Cluster {
	after, err := Parse("edited.yaml", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	live, err := ParseFor("edited.yaml", text, knownOf(before))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if diff := Diff(after, live); len(diff) > 0 {
		t.Fatalf("for the cluster that there is it says something else: %v\n%s", diff, text)
	}
	fields := map[string]bool{}
	for _, c := range Diff(before, after) {
		fields[c.Field] = true
	}
	for _, name := range []string{gone, comes} {
		if field := "spec.nodes[" + name + "]"; name != "" && !fields[field] {
			t.Fatalf("%s has not changed\n%s", field, text)
		} else {
			delete(fields, field)
		}
	}
	if len(fields) > 0 {
		t.Fatalf("these have changed: %v\n%s", fields, text)
	}
	return after
}
