package spec

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// problems are what Parse says of a file, without the name of the file, in order.
func problems(t *testing.T, file string) []string {
	t.Helper()
	_, err := Parse("f.yaml", []byte(file))
	if err == nil {
		return nil
	}
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		after, ok := strings.CutPrefix(line, "f.yaml: ")
		if !ok {
			t.Errorf("a line without the name of the file: %q", line)
		}
		lines[i] = after
	}
	return lines
}

// expect wants a line for each problem, with its words in it, in order.
func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d lines, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
		return
	}
	for i, w := range want {
		if !strings.Contains(got[i], w) {
			t.Errorf("no %q in line\n%s", w, got[i])
		}
	}
}

func TestNetworksThatCanNeverWork(t *testing.T) {
	for network, why := range map[string]string{
		"127.0.0.0/%d": "127.0.0.0/8, which is loopback", "127.1.0.0/%d": "loopback", "0.0.0.0/%d": "0.0.0.0/8, which is for hosts",
		"169.254.0.0/%d": "link-local", "224.0.0.0/%d": "multicast", "239.1.0.0/%d": "multicast", "240.0.0.0/%d": "class E", "255.0.0.0/%d": "class E",
	} {
		for field, bits := range map[string]int{"machineCIDR": 24, "podCIDR": 16, "serviceCIDR": 16} {
			cidr := fmt.Sprintf(network, bits)
			t.Run(field+" "+cidr, func(t *testing.T) {
				got := problems(t, fmt.Sprintf("%sspec: {network: {%s: %s}}", head, field, cidr))
				expect(t, got, fmt.Sprintf("spec.network.%s: Invalid value: %q: lies in ", field, cidr))
				expect(t, got, why)
			})
		}
	}
	for cidr, why := range map[string]string{"fe80::/64": "link-local", "ff02::/64": "multicast", "::/64": "has ::1/128 in it, which is loopback; write a private network such as \"fd00:10::/64\"",
		"::ffff:10.1.0.0/112": "is IPv4 written as IPv6; write 10.1.0.0/16"} {
		t.Run(cidr, func(t *testing.T) {
			expect(t, problems(t, head+"spec: {network: {machineCIDR: '"+cidr+"'}}"), why)
		})
	}
	for _, network := range []string{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "100.64.0.0/24", "198.18.0.0/24", "2001:db8::/64"} {
		t.Run(network+" works", func(t *testing.T) {
			expect(t, problems(t, head+"spec: {network: {machineCIDR: '"+network+"'}}"))
		})
	}
}

func TestAddressesThatCanNeverWork(t *testing.T) {
	for address, why := range map[string]string{
		"127.0.0.1": "127.0.0.0/8, which is loopback", "::1": "loopback", "224.0.0.1": "multicast", "169.254.1.1": "link-local", "fe80::1": "link-local",
		"0.0.0.0": "0.0.0.0/8", "::": "unspecified", "255.255.255.255": "broadcast", "240.0.0.1": "class E",
		"::ffff:10.10.10.12": "is IPv4 written as IPv6; write 10.10.10.12", "10.10.10.0": "the network's own or its broadcast address",
		"10.10.10.255": "broadcast", "10.10.10.1": "the host's own", "10.10.11.5": "outside of spec.network.machineCIDR",
		"fd00::1%eth0": "must be an IP address", "lb.example.com": "must be an IP address", "10.10.10.3:6443": "must be an IP address",
		"10.10.010.3": "must be an IP address", "10.10.10.3, fd00::3": "must be one address, for spec.network.machineCIDR is one network",
	} {
		t.Run(address, func(t *testing.T) {
			expect(t, problems(t, head+"spec:\n  nodes: [{role: control-plane, address: '"+address+"'}]"), "spec.nodes[0].address: Invalid value: \""+address)
			got := problems(t, head+"spec:\n  loadBalancer:\n    address: '"+address+"'")
			expect(t, got, "spec.loadBalancer.address: Invalid value: \""+address)
			expect(t, got, why)
			expect(t, got, "(line 5)")
		})
	}
}

// The field is named that somebody wrote, and a cause has one line.
var sum = strings.Repeat("0a", 32)

func TestErrorsAreWhereTheyWereWritten(t *testing.T) {
	for name, test := range map[string]struct {
		spec string
		want []string
	}{
		"the balancer's address is a node's": {"loadBalancer: {address: 10.10.10.50}, nodes: [{role: control-plane, address: 10.10.10.50}]",
			[]string{`spec.loadBalancer.address: Invalid value: "10.10.10.50": node cp-1 has this address`}},
		"a node has the balancer's": {"loadBalancer: {address: 10.10.10.50}, nodes: [{role: load-balancer}, {role: control-plane, address: 10.10.10.50}]",
			[]string{`spec.nodes[1].address: Invalid value: "10.10.10.50": node lb-1 has this address`}},
		"the same in another spelling": {`network: {machineCIDR: "fd00::/64"}, nodes: [{role: control-plane, address: "fd00::50"}, {role: worker, address: "fd00:0::50"}]`,
			[]string{`spec.nodes[1].address: Invalid value: "fd00:0::50": node cp-1 has this address`}},
		"two balancers with one address": {"loadBalancer: {address: 10.10.10.50}, nodes: [{role: control-plane}, {role: load-balancer}, {role: load-balancer}]",
			nil},
		"two balancers, of which one has the address that moves": {"loadBalancer: {address: 10.10.10.50}, nodes: [{role: control-plane}, {role: load-balancer}, {role: load-balancer, address: 10.10.10.50}]",
			[]string{`spec.loadBalancer.address: Invalid value: "10.10.10.50": is the address of node lb-2: several load balancers move an address between them that is none of their own; leave one of the two out`}},
		"two balancers with one address of their own": {"nodes: [{role: control-plane}, {role: load-balancer, address: 10.10.10.5}, {role: load-balancer, address: 10.10.10.5}]",
			[]string{`spec.nodes[2].address: Invalid value: "10.10.10.5": node lb-1 has this address`}},
		"an address that moves, and is another node's": {"loadBalancer: {address: 10.10.10.50}, nodes: [{role: control-plane, address: 10.10.10.50}, {role: load-balancer}, {role: load-balancer}]",
			[]string{`spec.loadBalancer.address: Invalid value: "10.10.10.50": node cp-1 has this address; the load balancers move one that no machine has`}},
		"an address that moves, outside": {"loadBalancer: {address: 10.10.11.50}, nodes: [{role: control-plane}, {role: load-balancer}, {role: load-balancer}]",
			[]string{`spec.loadBalancer.address: Invalid value: "10.10.11.50": is outside of spec.network.machineCIDR`}},
		"an address that moves, of too few families": {"loadBalancer: {address: 10.9.0.50}, network: {machineCIDR: '10.9.0.0/24,fd00::/64'}, nodes: [{role: control-plane}, {role: load-balancer}, {role: load-balancer}]",
			[]string{`spec.loadBalancer.address: Invalid value: "10.9.0.50": must be two addresses`}},
		"one balancer, and another address": {"loadBalancer: {address: 10.10.10.50}, nodes: [{role: control-plane}, {role: load-balancer, address: 10.10.10.51}]",
			[]string{"spec.loadBalancer.address: Invalid value: \"10.10.10.50\": must be the address of node lb-1 (10.10.10.51)"}},
		"an address that moves, half of which a machine has": {"loadBalancer: {address: '10.9.0.3,fd00::3'}, network: {machineCIDR: '10.9.0.0/24,fd00::/64'}, nodes: [{role: control-plane}, {role: load-balancer, address: '10.9.0.3,fd00::4'}, {role: load-balancer}]",
			[]string{`spec.loadBalancer.address: Invalid value: "10.9.0.3": node lb-1 has this address; the load balancers move one that no machine has`}},
		"a network that is clear": {"network: {machineCIDR: 10.75.3.7/24}, nodes: [{role: control-plane, address: 10.76.0.1}]", []string{
			`spec.network.machineCIDR: Invalid value: "10.75.3.7/24": has host bits set; did you mean "10.75.3.0/24"?`, "spec.nodes[0].address: Invalid value: \"10.76.0.1\": is outside"}},
		"no network, no addresses": {"network: {machineCIDR: nonsense}, nodes: [{role: control-plane}, {role: worker}]", []string{"spec.network.machineCIDR"}},
		"nor of another type":      {"network: {machineCIDR: [10.9.0.0/24], podCIDR: 'fd00::/56', serviceCIDR: 'fd00:1::/112'}, nodes: [{role: control-plane, address: 10.9.0.5}]", []string{"spec.network.machineCIDR: Invalid value: a list: must be a string"}},
		"all at once": {"identiy: shared, identity: 5, kubernetesVersion: 1.37, loadBalancer: {port: high, address: 127.0.0.1}, network: {podCIDR: 224.0.0.0/16}, nodes: [{role: control-plane, colour: red}, {role: 1}]",
			[]string{`spec.identiy: Invalid value: unknown field; did you mean "identity"?`,
				`spec.identity: Invalid value: 5: must be a string, and YAML reads it as a number: write "shared"`,
				`spec.kubernetesVersion: Invalid value: 1.37: must be a string, and YAML reads it as a number: write a version such as "v1.37.2"`,
				`spec.loadBalancer.port: Invalid value: "high": must be a whole number`, "spec.nodes[0].colour: Invalid value: unknown field",
				"spec.nodes[1].role: Invalid value: 1: must be a string", "spec.network.podCIDR", "spec.loadBalancer.address"}},
		"two networks of one family": {"network: {machineCIDR: '10.9.0.0/24,10.9.1.0/24'}", []string{"spec.network.machineCIDR: Invalid value: \"10.9.0.0/24,10.9.1.0/24\": must be one network, or one of each family"}},
		"a URL of another type":      {"components: {url: 5, sha256: {kubelet: " + sum + "}}", []string{"spec.components.url: Invalid value: 5: must be a string"}},
		"sums of unknown programs":   {"components: {url: 'https://a.example', sha256: {kubelt: " + sum + "}}", []string{`spec.components.sha256[kubelt]: Unsupported value: "kubelt": supported values: "bridge", `}},
		"sums of another type":       {"components: {url: 'https://a.example', sha256: 5}", []string{"spec.components.sha256: Invalid value: 5: must be a mapping"}},
		"sums without a URL":         {"components: {dir: /a, sha256: {kubelet: " + sum + "}}", []string{"spec.components: Required value: url and sha256 go together"}},
		"a folder and a URL":         {"components: {dir: /a, url: 'https://a.example'}", []string{"spec.components: Invalid value: has dir and url; use one of them"}},
		"fewer pod ranges than nodes": {"network: {podCIDR: 10.8.0.0/22}, nodes: [{role: control-plane}, {role: control-plane}, {role: control-plane}, {role: worker}, {role: worker}, {role: etcd}]",
			[]string{`spec.network.podCIDR: Invalid value: "10.8.0.0/22": has a /24 for the pods of 4 nodes, and there are 5; write a larger network, or fewer nodes (line 3)`}},
		"more nodes than addresses, of which the pod range says nothing": {"nodes: [" + strings.Repeat("{role: control-plane}, ", 263) + "]", []string{"spec.nodes: Invalid value: 264: nodes do not fit"}},
		"more nodes than addresses and written pod ranges": {"network: {podCIDR: 10.8.0.0/22}, nodes: [" + strings.Repeat("{role: control-plane}, ", 263) + "]",
			[]string{`spec.network.podCIDR: Invalid value: "10.8.0.0/22": has a /24 for the pods of 4 nodes`, "spec.nodes: Invalid value: 264: nodes do not fit"}},
		"more nodes than pod ranges by default": {"network: {machineCIDR: 10.9.0.0/16}, nodes: [" + strings.Repeat("{role: control-plane}, ", 263) + "]",
			[]string{`spec.network.podCIDR: Invalid value: "10.244.0.0/16": has a /24 for the pods of 256 nodes, and there are 263`}},
		"a domain that is an address":       {"network: {dnsDomain: 10.0.0.1}", []string{`spec.network.dnsDomain: Invalid value: "10.0.0.1": is an IP address or looks like one; write a DNS name such as "cluster.local"`}},
		"a domain with a star":              {"network: {dnsDomain: '*.local'}", []string{`such as "cluster.local"`}},
		"as many":                           {"controlPlane: {kubelet: false}, network: {podCIDR: 10.8.0.0/22}, nodes: [{role: control-plane}, {role: worker}, {role: worker}, {role: worker}, {role: worker}]", nil},
		"other things than mappings":        {"nodes: [worker], loadBalancer: [443]", []string{`spec.nodes[0]: Invalid value: "worker": must be a mapping; its fields: address, name, role (line 3)`, "spec.loadBalancer: Invalid value: a list: must be a mapping; its fields: additionalPorts, address, dnsNames, kind, nodeLocal, port"}},
		"lists without brackets":            {"loadBalancer: {additionalPorts: 443, dnsNames: a.example}", []string{"additionalPorts: Invalid value: 443: must be a list: write [443], or", "dnsNames: Invalid value: \"a.example\": must be a list: write [api.example.com]"}},
		"a long value":                      {"kubernetesVersion: " + strings.Repeat("a", 5000), []string{`spec.kubernetesVersion: Invalid value: "` + strings.Repeat("a", 100) + `"…: must be a version`}},
		"keys with what a terminal obeys":   {`"a\e[31m\nb": 1`, []string{`spec.a\x1b[31m\nb: Invalid value: unknown field`}},
		"leading zeros":                     {"kubernetesVersion: v01.37.2", []string{`"v01.37.2": must be a version`}},
		"a name that is too long and wrong": {"nodes: [{role: control-plane, name: " + strings.Repeat("Long", 20) + "}]", []string{"spec.nodes[0].name: Too long"}},
		"fields that belong elsewhere": {"machineCIDR: 10.0.0.0/24, port: 6443, role: worker, network: {kubelet: true, name: a}, nodes: [{role: control-plane, podCIDR: a, kind: b}]", []string{
			"spec.machineCIDR: Invalid value: unknown field here; it belongs into spec.network", "spec.port: Invalid value: unknown field here; it belongs into spec.loadBalancer",
			"spec.role: Invalid value: unknown field here; it belongs into spec.nodes",
			"spec.network.kubelet: Invalid value: unknown field here; it belongs into spec.controlPlane", "spec.network.name: Invalid value: unknown field; ", "spec.nodes[0].podCIDR: Invalid value: unknown field here", "spec.nodes[0].kind: Invalid value: unknown field; "}},
		"a version without its v":       {"kubernetesVersion: 1.37.2", []string{`spec.kubernetesVersion: Invalid value: "1.37.2": write "v1.37.2"`}},
		"an identity that nobody knows": {"identity: twin, endpointReconciler: none", []string{`spec.identity: Invalid value: "twin"`}},
		"neither nodes nor a spec":      {"nodes: 5", []string{"spec.nodes: Invalid value: 5: must be a list: write [{role: control-plane}], or a line with a dash for each"}},
	} {
		t.Run(name, func(t *testing.T) { expect(t, problems(t, head+"spec: {"+test.spec+"}"), test.want...) })
	}
	expect(t, problems(t, head+"spec: 5"), "spec: Invalid value: 5: must be a mapping; its fields: certificates, components, controlPlane,")
}

// Default addresses move out of each other's way.
func TestElevenControlPlaneNodesAndAWorker(t *testing.T) {
	c, err := Parse("f.yaml", []byte(head+"spec:\n  nodes:\n"+strings.Repeat("  - {role: control-plane}\n", 11)+"  - {role: worker}\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Node{{"cp-11", RoleControlPlane, "10.10.10.21"}, {"worker-1", RoleWorker, "10.10.10.22"}, {"lb-1", RoleLoadBalancer, "10.10.10.3"}}
	if diff := cmp.Diff(want, c.Spec.Nodes[10:]); diff != "" {
		t.Error(diff)
	}
}

func TestNamesPortsAndFlagsThatAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		spec string
		want []string
	}{
		"sshd's port":          {"loadBalancer: {additionalPorts: [22]}", []string{"spec.loadBalancer.additionalPorts[0]: Invalid value: 22: is the port of sshd"}},
		"as the port":          {"loadBalancer: {port: 22}", []string{"spec.loadBalancer.port: Invalid value: 22: is the port of sshd"}},
		"the port again":       {"loadBalancer: {additionalPorts: [6443]}", []string{"additionalPorts[0]: Duplicate value: 6443: port is this port"}},
		"a port twice":         {"loadBalancer: {additionalPorts: [443, 443]}", []string{"additionalPorts[1]: Duplicate value: 443: additionalPorts[0] is this port"}},
		"ports that are none":  {"loadBalancer: {port: 65536, additionalPorts: [0, -1, 99999999999999999999, 1.5, 0443, null]}", []string{"[2]: Invalid value: 99999999999999999999: must be between 1 and 65535", "[3]: Invalid value: 1.5: must be a whole number", "[4]: Invalid value: 0443: must be a whole number", "[5]: Invalid value: is empty", "port: Invalid value: 65536: must be between 1 and 65535", "[0]: Invalid value: 0: must be between", "[1]: Invalid value: -1: must be between"}},
		"a port in quotes":     {"loadBalancer: {port: '6443'}", []string{`"6443": must be a whole number without quotes: write 6443`}},
		"addresses as names":   {"loadBalancer: {dnsNames: [10.0.0.1, 'fd00::1', 10.1]}", []string{"dnsNames[2]: Invalid value: 10.1: must be a string", "dnsNames[0]: Invalid value: \"10.0.0.1\": is an IP address", "dnsNames[1]: Invalid value: \"fd00::1\": is an IP address"}},
		"names twice":          {"loadBalancer: {dnsNames: [a.example.com, b.example.com, a.example.com]}", []string{`dnsNames[2]: Duplicate value: "a.example.com": dnsNames[0] has this name`}},
		"names anyway":         {"network: {dnsDomain: k8s.example}, loadBalancer: {dnsNames: [kubernetes, kubernetes.default.svc.k8s.example]}", []string{"dnsNames[0]: Invalid value: \"kubernetes\": is in the certificate anyway", "dnsNames[1]"}},
		"wildcards":            {"loadBalancer: {dnsNames: ['*.example.com', '*']}", []string{"is a wildcard; write each name", "is a wildcard"}},
		"localhost":            {"loadBalancer: {dnsNames: [localhost, api.localhost]}, network: {dnsDomain: localhost}, nodes: [{role: control-plane, name: localhost}]", []string{"spec.network.dnsDomain: Invalid value: \"localhost\"", "dnsNames[0]: Invalid value: \"localhost\": is the machine itself", "dnsNames[1]", "spec.nodes[0].name: Invalid value: \"localhost\": is what every machine calls itself"}},
		"localhost by others":  {"loadBalancer: {dnsNames: [localhost.localdomain, LOCALHOST, localhost., ip6-localhost, api.localhost., a.localhost.localdomain]}, nodes: [{role: control-plane, name: localhost6}]", []string{`dnsNames[0]: Invalid value: "localhost.localdomain": is the machine itself`, "dnsNames[1]: Invalid value: \"LOCALHOST\": is the machine itself", "dnsNames[2]: Invalid value: \"localhost.\": is the machine itself", "dnsNames[3]", "dnsNames[4]", "dnsNames[5]", "spec.nodes[0].name: Invalid value: \"localhost6\": is what every machine"}},
		"names that are none":  {"loadBalancer: {dnsNames: [A.Example, a_b.example, a..example, a.example., '.']}, nodes: [{role: control-plane, name: CP-1}, {role: worker, name: w.1}]", []string{`dnsNames[0]: Invalid value: "A.Example": has capital letters; write "a.example"`, "dnsNames[1]: Invalid value: \"a_b.example\": must be of letters from a to z", "dnsNames[2]: Invalid value: \"a..example\": has nothing between two dots", `dnsNames[3]: Invalid value: "a.example.": ends in a dot; write "a.example"`, `dnsNames[4]: Invalid value: ".": ends in a dot; write "api.example.com"`, `spec.nodes[0].name: Invalid value: "CP-1": has capital letters; write "cp-1"`, `spec.nodes[1].name: Invalid value: "w.1": must be of letters`}},
		"a long label":         {"loadBalancer: {dnsNames: [" + strings.Repeat("a", 64) + ".example.com]}", []string{"must be no more than 63"}},
		"flags without a name": {"extraArgs: {kube-apiserver: {'': x}}", []string{"spec.extraArgs[kube-apiserver][]: Required value: the name of a flag"}},
		"or a value":           {"extraArgs: {kube-apiserver: {audit-log-maxage: }}", []string{`[audit-log-maxage]: Invalid value: has no value; write one, "" for an empty one`}},
		"or a time":            {"extraArgs: {kube-apiserver: {shutdown-delay-duration: '70'}}", []string{`[shutdown-delay-duration]: Invalid value: "70": must be a time such as "30s"`}},
		"or a time before now": {"extraArgs: {kube-apiserver: {shutdown-delay-duration: '-1s'}}", []string{`Invalid value: "-1s": must be a time such as "30s"`}},
		"with dashes":          {"extraArgs: {etcd: {--quota: '1', quota=1: '1', 'quota 1': '1', a_b: '1'}}", []string{`[--quota]: Invalid value: "--quota": write "quota"`, `"a_b": write "a-b"`, `"quota 1": must be the name of a flag alone`, `"quota=1": must be the name`}},
		"that haplane decides": {"extraArgs: {kube-apiserver: {secure-port: '1', secure_port: '1'}}", []string{"[secure-port]: Forbidden", `"secure_port": write "secure-port"`}},
		"that are no strings":  {"extraArgs: {kube-apiserver: {audit-log-maxage: 60, profiling: no}}", []string{`60: must be a string, and YAML reads it as a number: write "60"`, `no: must be a string, and YAML reads it as true or false: write "no"`}},
	} {
		t.Run(name, func(t *testing.T) { expect(t, problems(t, head+"spec: {"+test.spec+"}"), test.want...) })
	}
	expect(t, problems(t, head+"metadata: {name: localhost}"), "metadata.name: Invalid value: \"localhost\"")
	expect(t, problems(t, head+"metadata: {name: yes}"), `metadata.name: Invalid value: yes: must be a string, and YAML reads it as true or false: write "yes" (line 3)`)
	expect(t, problems(t, head+"spec: {network: {nat: no}, loadBalancer: {additionalPorts: [], dnsNames: null}, extraArgs: null, components: {}, kubernetesVersion: ''}"))
}
