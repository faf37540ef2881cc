//go:build e2e

package e2e

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestLivePerNodeJoins adds a control-plane node where each API server has an identity of
// its own: the serving certificate is reissued and rolled out, and no API server restarts
// for it, because each reads the pair again by itself. Then etcd's flags change on all.
func TestLivePerNodeJoins(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-pernode", 15)
	c.append(t, "  identity: perNode\n")
	must(t, 0, c.Up(background(t)))
	before := c.invocations(t, "kube-apiserver")
	o := c.change(t, "node", "add", "--role", "control-plane", "cp-4")
	d := &day{cluster: c, controlPlane: append(slices.Clone(controlPlane), "cp-4"), workers: []string{"worker-1"}}
	unnoticed(t, o)
	want(t, "runs of the API servers that were there", c.invocations(t, "kube-apiserver"), before)
	var changed []string
	for _, cert := range o.Certificates {
		changed = append(changed, cert.Node+":"+cert.Path)
	}
	const serving = ":/etc/kubernetes/pki/apiserver.crt"
	if !same(changed, []string{"cp-1" + serving, "cp-2" + serving, "cp-3" + serving}) {
		t.Errorf("certificates that changed: %v", changed)
	}
	address := c.Network.Addr().String()
	address = address[:strings.LastIndex(address, ".")] + ".14"
	for _, node := range d.controlPlane {
		served := c.on(t, node, "openssl s_client -connect 127.0.0.1:6443 </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName")
		contains(t, "certificate that "+node+" serves", served, "IP Address:"+address)
	}
	d.wellAgain(t)

	c.append(t, "  extraArgs: {etcd: {max-txn-ops: \"256\"}}\n")
	file, err := os.ReadFile(c.File())
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(file), "spec:\n", "spec:\n  nodes: [{role: control-plane}, {role: control-plane}, {role: control-plane}, {role: control-plane, name: cp-4}, {role: worker}, {role: load-balancer}]\n", 1)
	if err := os.WriteFile(c.File(), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	unnoticed(t, c.change(t, "apply", "-f", c.File()))
	for _, node := range d.controlPlane {
		if args := c.arguments(t, node, "etcd"); !slices.Contains(args, "--max-txn-ops=256") {
			t.Errorf("etcd of %s runs with %v", node, args)
		}
	}
	d.wellAgain(t)
}

// append adds lines to the cluster's file.
func (c *cluster) append(t *testing.T, lines string) {
	t.Helper()
	file, err := os.ReadFile(c.File())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.File(), append(file, lines...), 0o644); err != nil {
		t.Fatal(err)
	}
}
