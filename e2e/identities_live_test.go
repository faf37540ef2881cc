//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/haplane/haplane/e2e/rig"
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
	for _, node := range d.controlPlane {
		served := c.on(t, node, "openssl s_client -connect 127.0.0.1:6443 </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName")
		contains(t, "certificate that "+node+" serves", served, "IP Address:"+c.address("cp-4"))
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

	c.killedAt(t, "node", "remove", "cp-4") // the certificate is rolled out again
	d.left(&d.controlPlane, "cp-4")
	d.wellAgain(t)
}

// TestLiveSharedCertificateJoins adds, replaces and removes a control-plane node where API servers
// share one certificate and advertise their own addresses: no certificate changes, no API server that
// stays is restarted, and the kubernetes Service has those that are there as endpoints.
func TestLiveSharedCertificateJoins(t *testing.T) {
	r := newRig(t)
	c := newCluster(t, r, "e2e-cert", 17)
	c.append(t, "  identity: sharedCertificate\n")
	must(t, 0, c.Up(background(t)))
	d := &day{cluster: c, controlPlane: slices.Clone(controlPlane), workers: []string{"worker-1"}}
	changed := func(args ...string) {
		t.Helper()
		o := c.change(t, append([]string{"node"}, args...)...)
		unnoticed(t, o)
		want(t, "number of certificates that changed on nodes that stay", len(o.Certificates), 0)
	}
	settled := func() {
		t.Helper()
		var endpoints []string
		for _, node := range d.controlPlane {
			endpoints = append(endpoints, c.address(node)+":6443")
		}
		c.waitStatus(t, "endpoints of the kubernetes Service", func(s rig.Status) error {
			if !same(s.KubernetesServiceEndpoints, endpoints) {
				return fmt.Errorf("they are %v, want %v", s.KubernetesServiceEndpoints, endpoints)
			}
			return nil
		})
		d.wellAgain(t)
	}

	before := c.invocations(t, "kube-apiserver")
	changed("add", "--role", "control-plane", "cp-4")
	want(t, "runs of the API servers that were there", c.invocations(t, "kube-apiserver"), before)
	d.joined(&d.controlPlane, "cp-4")
	settled()
	changed("replace", "cp-1")
	settled()
	changed("remove", "cp-4")
	d.left(&d.controlPlane, "cp-4")
	settled()
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
