package spec

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every field of the cluster file, found by reflection, is changed in a cluster of
// its own. A field that has no rule, or whose rule reads another one, fails here.
func TestEveryFieldHasARule(t *testing.T) {
	live := map[string]bool{"spec.loadBalancer.additionalPorts": true, "spec.loadBalancer.dnsNames": true, "spec.loadBalancer.nodeLocal": true,
		"spec.extraArgs[x][x]": true, "spec.nodes[x]": true, "spec.identity": true, "spec.endpointReconciler": true,
		"spec.certificates.externalCA": true, "spec.controlPlane.kubelet": true, "spec.loadBalancer.port": true, "spec.loadBalancer.address": true,
		"spec.etcd.snapshots.schedule": true, "spec.etcd.snapshots.retain": true, "spec.etcd.snapshots.recipients": true}
	fields := 0
	var walk func(path string, v reflect.Value, top *Cluster)
	check := func(path string, top *Cluster) {
		fields++
		t.Run(path, func(t *testing.T) {
			got := Diff(&Cluster{}, top)
			if len(got) != 1 {
				t.Fatalf("changes %+v, want one of %s", got, path)
			}
			c := got[0]
			if c.Field != path || c.Live != live[path] || c.New == "" && c.Old == "" {
				t.Errorf("%+v, live %v wanted", c, live[path])
			}
			if !c.Live && (c.Why == "" || c.Instead == "") {
				t.Errorf("%s does not say why and what to do instead", c.Field)
			}
		})
	}
	walk = func(path string, v reflect.Value, top *Cluster) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
				walk(strings.TrimPrefix(path+"."+name, "."), v.Field(i), top)
			}
			return
		case reflect.String:
			v.SetString("x")
		case reflect.Int:
			v.SetInt(7)
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Pointer:
			v.Set(reflect.New(v.Type().Elem()))
			if v.Elem().Kind() == reflect.Bool {
				v.Elem().SetBool(true)
			} else {
				v.Elem().SetInt(7)
			}
		case reflect.Map:
			path = fill(path, v)
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			if item := v.Index(0); item.Kind() == reflect.Struct {
				item.Set(reflect.ValueOf(Node{Name: "x", Role: RoleWorker}))
				path += "[x]"
			} else if item.Kind() == reflect.String {
				item.SetString("x")
			}
		default:
			t.Fatalf("%s: this test knows no fields of type %s", path, v.Type())
		}
		check(path, top)
		v.SetZero()
	}
	var c Cluster
	walk("spec", reflect.ValueOf(&c.Spec).Elem(), &c)
	walk("metadata", reflect.ValueOf(&c.Metadata).Elem(), &c)
	if want := len(rules) + 1; fields != want { // and spec.nodes
		t.Errorf("%d fields, %d rules", fields, want)
	}
}

// fill gives a map one entry, maps in it too, and returns the path of the value.
func fill(path string, m reflect.Value) string {
	m.Set(reflect.MakeMap(m.Type()))
	value := reflect.New(m.Type().Elem()).Elem()
	path += "[x]"
	if value.Kind() == reflect.Map {
		path = fill(path, value)
	} else {
		value.SetString("x")
	}
	m.SetMapIndex(reflect.ValueOf("x"), value)
	return path
}

func parse(t *testing.T, spec string) *Cluster {
	t.Helper()
	c, err := Parse("f.yaml", []byte(head+"spec:\n"+orNone(spec)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDiff(t *testing.T) {
	const base = "  kubernetesVersion: v1.37.2\n  extraArgs: {etcd: {snapshot-count: \"1\", quota: \"2\"}}\n"
	tests := map[string]struct {
		old, new string
		want     []string // live ones with a + before them
	}{
		"nothing": {base, base, nil},
		"ports, names, flags": {base, `
  kubernetesVersion: v1.37.2
  loadBalancer: {additionalPorts: [443, 8443], dnsNames: [a.example.com]}
  extraArgs: {etcd: {snapshot-count: "3"}, kubelet: {v: "4"}}
`, []string{`+spec.loadBalancer.additionalPorts: added "443,8443"`, `+spec.loadBalancer.dnsNames: added "a.example.com"`,
			`+spec.extraArgs[etcd][quota]: removed "2"`, `+spec.extraArgs[etcd][snapshot-count]: "1" to "3"`, `+spec.extraArgs[kubelet][v]: added "4"`}},
		"a version that is no longer asked for": {base, strings.Replace(base, "v1.37.2", "", 1), []string{`+spec.kubernetesVersion: removed "v1.37.2"`}},
		"another version":                       {base, strings.Replace(base, "v1.37.2", "v1.38.0", 1), []string{`spec.kubernetesVersion: "v1.37.2" to "v1.38.0"`}},
		"nodes": {"", `
  nodes: [{role: control-plane, name: cp-3}, {role: control-plane, name: cp-4}, {role: worker}, {role: worker}]
`, []string{`+spec.nodes[cp-1]: removed "control-plane 10.10.10.11"`, `+spec.nodes[cp-2]: removed "control-plane 10.10.10.12"`,
			`spec.nodes[cp-3].address: "10.10.10.13" to "10.10.10.11"`,
			`+spec.nodes[cp-4]: added "control-plane 10.10.10.12"`, `+spec.nodes[worker-2]: added "worker 10.10.10.22"`}},
		"load balancers of workers": {"", "  loadBalancer: {nodeLocal: true}\n", []string{`+spec.loadBalancer.nodeLocal: "false" to "true"`}},
		"and no more":               {"  loadBalancer: {nodeLocal: true}\n", "", []string{`+spec.loadBalancer.nodeLocal: "true" to "false"`}},
		"role":                      {"", "  nodes: [{role: control-plane}, {role: worker, name: cp-2, address: 10.10.10.12}, {role: control-plane, name: cp-3, address: 10.10.10.13}, {role: worker, name: worker-1, address: 10.10.10.21}]\n", []string{`spec.nodes[cp-2].role: "control-plane" to "worker"`}},
		"load balancer":             {"", "  loadBalancer: {address: 10.10.10.4, port: 443}\n", []string{`+spec.loadBalancer.address: "10.10.10.3" to "10.10.10.4"`, `+spec.loadBalancer.port: "6443" to "443"`, `spec.nodes[lb-1].address: "10.10.10.3" to "10.10.10.4"`}},
		"another one":               {"", "  loadBalancer: {address: 10.10.10.4}\n  nodes: [{role: control-plane}, {role: control-plane}, {role: control-plane}, {role: worker}, {role: load-balancer, name: lb-2}]\n", []string{`+spec.loadBalancer.address: "10.10.10.3" to "10.10.10.4"`, `+spec.nodes[lb-1]: removed "load-balancer 10.10.10.3"`, `+spec.nodes[lb-2]: added "load-balancer 10.10.10.4"`}},
		"its name":                  {"", "  nodes: [{role: control-plane}, {role: control-plane}, {role: control-plane}, {role: worker}, {role: load-balancer, name: front}]\n", []string{`spec.nodes[lb-1]: removed "load-balancer 10.10.10.3"`, `spec.nodes[front]: added "load-balancer 10.10.10.3"`}},
		"the first etcd":            {"  nodes: [{role: control-plane}]\n", "  nodes: [{role: control-plane}, {role: etcd}, {role: etcd}]\n", []string{`+spec.nodes[etcd-1]: added "etcd 10.10.10.31"`, `+spec.nodes[etcd-2]: added "etcd 10.10.10.32"`}},
		"another etcd":              {"  nodes: [{role: control-plane}, {role: etcd}]\n", "  nodes: [{role: control-plane}, {role: etcd}, {role: etcd}]\n", []string{`+spec.nodes[etcd-2]: added "etcd 10.10.10.32"`}},
		"the last etcd":             {"  nodes: [{role: control-plane}, {role: etcd}]\n", "  nodes: [{role: control-plane}]\n", []string{`+spec.nodes[etcd-1]: removed "etcd 10.10.10.31"`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			old, new := parse(t, test.old), parse(t, test.new)
			var got, dead []string
			for _, c := range Diff(old, new) {
				if c.Live {
					got = append(got, "+"+c.String())
					continue
				}
				got, dead = append(got, c.String()), append(dead, c.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			err := CheckLive(old, new)
			var notLive *NotLiveError
			if errors.As(err, &notLive) != (len(dead) > 0) {
				t.Fatalf("%d are not live, and CheckLive says %v", len(dead), err)
			}
			for i, line := range dead {
				if got := strings.Split(err.Error(), "\n")[i]; !strings.HasPrefix(got, line+": not on a cluster that exists: ") {
					t.Errorf("%s\nis not of %s", got, line)
				}
			}
		})
	}
}

func TestNotLiveErrorHasALineForEach(t *testing.T) {
	err := CheckLive(parse(t, ""), parse(t, "  identity: perNode\n  network: {nat: false, dnsDomain: corp.example}\n  loadBalancer: {port: 443, additionalPorts: [8443]}\n"))
	want := `spec.network.dnsDomain: "cluster.local" to "corp.example": not on a cluster that exists: the serving certificate, the issuer of tokens and the DNS configuration of every pod name it; ` +
		`bring up a cluster that has it beside this one, under another name, move what runs here there, and take this one down
spec.network.nat: "true" to "false": not on a cluster that exists: it is set up with the network, before the machines; make the cluster anew with ` + "`haplane down` and `haplane up`"
	if diff := cmp.Diff(want, fmt.Sprint(err)); diff != "" {
		t.Error(diff)
	}
}

func TestCheckRemoval(t *testing.T) {
	noKubelet := "  controlPlane: {kubelet: false}\n  nodes: [{role: control-plane}, {role: control-plane}, {role: worker}, {role: worker}, {role: etcd}, {role: etcd}]\n"
	tests := map[string]struct {
		spec  string
		names []string
		want  []string // one for each line
	}{
		"two of three":        {"", []string{"cp-1", "cp-3"}, nil},
		"all workers":         {"", []string{"worker-1"}, nil},
		"all control planes":  {"", []string{"cp-1", "cp-2", "cp-3"}, []string{"spec.nodes[cp-1]: removed", "spec.nodes[cp-2]: removed", "no control-plane node would be left; keep one"}},
		"the load balancer":   {"", []string{"lb-1"}, []string{"spec.nodes[lb-1]: removed"}},
		"one worker":          {noKubelet, []string{"worker-2"}, nil},
		"the last worker":     {noKubelet, []string{"worker-1", "worker-2"}, []string{"spec.nodes[worker-1]", "spec.controlPlane.kubelet is false"}},
		"etcd, one and all":   {noKubelet, []string{"etcd-2", "etcd-1"}, nil},
		"one of etcd":         {noKubelet, []string{"etcd-1"}, nil},
		"nobody and one more": {"", []string{"cp-9", "cp-1", "cp-1", "cp-1", "x"}, []string{"there is no node cp-9; there are cp-1, cp-2, cp-3, worker-1, lb-1", "node cp-1 is named more than once", "no node x"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			if err := CheckRemoval(parse(t, test.spec), test.names); err != nil {
				got = strings.Split(err.Error(), "\n")
			}
			if len(got) != len(test.want) {
				t.Fatalf("%d lines, want %d:\n%s", len(got), len(test.want), strings.Join(got, "\n"))
			}
			for i, want := range test.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("no %q in %s", want, got[i])
				}
			}
		})
	}
}
