//go:build e2e

package e2e

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/haplane/haplane/e2e/rig"
	"github.com/haplane/haplane/internal/poll"
)

// until is wait with the error returned.
func until(t *testing.T, limit time.Duration, fn func(context.Context) error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(background(t), limit)
	defer cancel()
	return poll.Until(ctx, 100*time.Millisecond, fn)
}

// cure runs a line of shell that undoes something; it must not stop the other cures.
func (p *patient) cure(t *testing.T, node, line string) {
	if result := p.SSH(background(t), node, line); result.Code != 0 {
		t.Errorf("heal %s:\n%s", node, result)
	}
}

// keep copies a file aside, and puts it back in the end.
func (p *patient) keep(t *testing.T, node, path string) {
	t.Helper()
	p.on(t, node, fmt.Sprintf("cp --preserve=all %[1]s %[1]s.e2e", path))
	p.healBy(func() { p.cure(t, node, fmt.Sprintf("mv -f %[1]s.e2e %[1]s", path)) })
}

// edit changes a file by a sed script, which has to change something.
func (p *patient) edit(t *testing.T, node, path, script string) {
	t.Helper()
	p.keep(t, node, path)
	p.on(t, node, fmt.Sprintf("sed -i -E '%[2]s' %[1]s && ! cmp -s %[1]s %[1]s.e2e", path, script))
}

// put writes a file that is there, and puts the old one back in the end.
func (p *patient) put(t *testing.T, node, path string, data []byte) {
	t.Helper()
	p.keep(t, node, path)
	cmd := p.Command(background(t), "ssh", "--cluster", p.Name, node, "cat >"+path)
	cmd.Stdin = strings.NewReader(string(data))
	must(t, 0, rig.Finish(cmd))
}

// editUnit changes a unit and makes it effective at once; healing does the same.
func (p *patient) editUnit(t *testing.T, node, unit, script string) {
	t.Helper()
	p.healBy(func() { p.cure(t, node, restart(unit)); p.waitUnit(t, node, unit) })
	p.edit(t, node, "/etc/systemd/system/"+unit+".service", script)
	p.on(t, node, restart(unit))
	p.waitUnit(t, node, unit)
}

// restart does not wait for an orderly stop.
func restart(unit string) string {
	return fmt.Sprintf("systemctl daemon-reload; systemctl kill --signal=KILL %[1]s; systemctl restart %[1]s", unit)
}

// waitUnit waits until what a unit runs serves.
func (p *patient) waitUnit(t *testing.T, node, unit string) {
	t.Helper()
	line := map[string]string{
		"kube-apiserver": "curl --silent --fail --insecure --max-time 2 https://127.0.0.1:6443/readyz",
		"etcd":           etcdctl + "endpoint health",
	}[unit]
	if line == "" {
		line = "systemctl is-active " + unit
	}
	wait(t, time.Minute, unit+" of "+node, func(ctx context.Context) error {
		if result := p.SSH(ctx, node, line); result.Code != 0 {
			return fmt.Errorf("%s", result)
		}
		return nil
	})
}

// stop stops units until the end.
func (p *patient) stop(t *testing.T, node string, units string) {
	t.Helper()
	p.healBy(func() { p.cure(t, node, "systemctl start "+units) })
	p.on(t, node, "systemctl stop "+units)
}

// editLoadBalancer changes HAProxy's configuration and reloads it.
func (p *patient) editLoadBalancer(t *testing.T, script string) {
	t.Helper()
	p.healBy(func() { p.cure(t, "lb-1", "systemctl reload haproxy") })
	p.edit(t, "lb-1", "/etc/haproxy/haproxy.cfg", script)
	p.on(t, "lb-1", "systemctl reload haproxy")
}

// An authority signs certificates for the tests.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// clusterCA is the cluster's own.
func (c *cluster) clusterCA(t *testing.T) authority {
	t.Helper()
	key, err := os.ReadFile(filepath.Join(c.Store(), "pki", "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(key)
	signer, err := x509.ParseECPrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return authority{c.storedCertificate(t, "ca.crt"), signer}
}

func (c *cluster) storedCertificate(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(c.Store(), "pki", name))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// strangeCA is one that nobody knows, with the name of the cluster's.
func strangeCA(t *testing.T, like *x509.Certificate) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: like.Subject.CommonName},
		NotBefore: like.NotBefore, NotAfter: like.NotAfter, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{cert, key}
}

func (a authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// sign issues a certificate like another, for the same key, with a change.
func (a authority) sign(t *testing.T, like *x509.Certificate, change func(*x509.Certificate)) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: like.Subject, NotBefore: like.NotBefore, NotAfter: like.NotAfter,
		KeyUsage: like.KeyUsage, ExtKeyUsage: like.ExtKeyUsage, BasicConstraintsValid: true, DNSNames: like.DNSNames, IPAddresses: like.IPAddresses}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, like.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// upload copies a file of this host to a machine, and removes it in the end.
func (p *patient) upload(t *testing.T, node, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	p.healBy(func() { p.cure(t, node, "rm -f "+to) })
	cmd := p.Command(background(t), "ssh", "--cluster", p.Name, node, "cat >"+to)
	cmd.Stdin = in
	must(t, 0, rig.Finish(cmd))
}
