package look

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/machine/machinetest"
)

var end = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

// made is a certificate, its key in PEM, and how it is described.
type made struct {
	pem, key []byte
	seen     Certificate
}

func issue(t *testing.T, serial int64, name string) made {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(der)
	return made{
		pem:  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:  pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}),
		seen: Certificate{Fingerprint: hex.EncodeToString(sum[:]), Subject: "CN=" + name, Issuer: "CN=" + name, NotAfter: end},
	}
}

func (m made) at(path, part, serial string) Certificate {
	c := m.seen
	c.Node, c.Path, c.Part, c.Serial = "cp-1", path, part, serial
	return c
}

// here runs commands on this host, and keeps what they print.
type here struct {
	machinetest.Recorder
	runs    int
	printed string
}

func newHere() *here {
	h := &here{}
	h.NodeName = "cp-1"
	return h
}

func (h *here) Run(ctx context.Context, cmd machine.Command) (machine.Result, error) {
	run := exec.CommandContext(ctx, cmd.Argv[0], cmd.Argv[1:]...)
	run.Stdin = cmd.Stdin
	out, err := run.Output()
	h.runs, h.printed = h.runs+1, string(out)
	return machine.Result{Stdout: h.printed}, err
}

func write(t *testing.T, root, path string, parts ...[]byte) {
	t.Helper()
	path = filepath.Join(root, path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, bytes.Join(parts, nil), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func base(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

func TestCertificates(t *testing.T) {
	root, h := t.TempDir(), newHere()
	ca, other, leaf, client := issue(t, 1, "ca"), issue(t, 2, "other"), issue(t, 0xabc, "leaf"), issue(t, 4, "client")
	write(t, root, "etc/kubernetes/pki/ca.crt", ca.pem, []byte("\n"), other.pem)
	write(t, root, "etc/kubernetes/pki/ca.key", ca.key)
	write(t, root, "etc/kubernetes/pki/etcd/server.crt", []byte("Certificate of etcd\n"), leaf.pem)
	write(t, root, "var/lib/kubelet/pki/kubelet-client-1.pem", client.key, client.pem, client.key)
	write(t, root, "etc/kubernetes/admin.conf", []byte("clusters:\n- cluster:\n    certificate-authority-data: "+base(ca.pem)+
		"\nusers:\n- user:\n    client-certificate-data: "+base(client.pem)+"\n    client-key-data: "+base(client.key)+"\n"))
	write(t, root, "root/.kube/config", []byte(`{"users": [{"user": {"client-certificate-data": "`+base(client.pem)+`", "client-key-data":"`+base(client.key)+
		`"}},{"user": {"client-key-data": "`+base(leaf.key)+`", "client-certificate-data":"`+base(leaf.pem)+`"}}]}`))
	write(t, root, "etc/other/ca.crt", other.pem)

	got, err := certificatesBelow(t.Context(), h, root)
	if err != nil {
		t.Fatal(err)
	}
	want := []CertificateChange{}
	for _, c := range []Certificate{
		ca.at("/etc/kubernetes/pki/ca.crt", "", "1"),
		other.at("/etc/kubernetes/pki/ca.crt", "2", "2"),
		leaf.at("/etc/kubernetes/pki/etcd/server.crt", "", "abc"),
		client.at("/var/lib/kubelet/pki/kubelet-client-1.pem", "", "4"),
		ca.at("/etc/kubernetes/admin.conf", "certificate-authority-data", "1"),
		client.at("/etc/kubernetes/admin.conf", "client-certificate-data", "4"),
		client.at("/root/.kube/config", "client-certificate-data", "4"),
		leaf.at("/root/.kube/config", "client-certificate-data 2", "abc"),
	} {
		want = append(want, CertificateChange{Node: c.Node, Path: c.Path, Part: c.Part, After: c})
	}
	_, seen, _ := CompareCertificates(nil, map[string][]Certificate{"cp-1": got}, nil, nil)
	_, wanted, _ := CompareCertificates(nil, map[string][]Certificate{"cp-1": afters(want)}, nil, nil)
	if d := cmp.Diff(wanted, seen); d != "" {
		t.Error("-want +got\n" + d)
	}
	if h.runs != 1 {
		t.Errorf("%d commands, want 1", h.runs)
	}
	if strings.Contains(h.printed, "PRIVATE") || strings.Contains(h.printed, "key-data") || strings.Contains(h.printed, base(leaf.key)) {
		t.Errorf("a private key left the machine:\n%s", h.printed)
	}
}

func afters(changes []CertificateChange) (list []Certificate) {
	for _, c := range changes {
		list = append(list, c.After)
	}
	return list
}

func TestCertificatesOfNothing(t *testing.T) {
	got, err := certificatesBelow(t.Context(), newHere(), t.TempDir())
	if err != nil || len(got) != 0 {
		t.Errorf("got %v, %v; want none", got, err)
	}
}

func TestCertificatesUnreadable(t *testing.T) {
	whole := issue(t, 1, "ca").pem
	for name, c := range map[string]struct {
		path, want string
		data       []byte
	}{
		"cut off":      {"etc/kubernetes/pki/ca.crt", "/etc/kubernetes/pki/ca.crt: a certificate that is cut off", whole[:len(whole)/2]},
		"not DER":      {"etc/haproxy/ca.crt", "/etc/haproxy/ca.crt: x509:", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("no")})},
		"not base64":   {"etc/kubernetes/a.conf", "/etc/kubernetes/a.conf: client-certificate-data: illegal base64", []byte("client-certificate-data: abcde\n")},
		"empty base64": {"etc/kubernetes/a.conf", "client-certificate-data: a certificate that is cut off", []byte("client-certificate-data: abcd\n")},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			write(t, root, c.path, c.data)
			_, err := certificatesBelow(t.Context(), newHere(), root)
			if err == nil || !strings.Contains(err.Error(), "look at certificates of cp-1: ") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// One that cannot be read hides none of the others, in its own file neither, and gives no key away.
func TestCertificatesBesideUnreadableOnes(t *testing.T) {
	root, h := t.TempDir(), newHere()
	ca, leaf := issue(t, 1, "ca"), issue(t, 2, "leaf")
	bad := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("no")})
	half := append(bytes.Clone(ca.pem[:len(ca.pem)/2]), '\n')
	write(t, root, "etc/kubernetes/pki/ca.crt", bad, ca.pem)
	write(t, root, "etc/kubernetes/pki/half.crt", half, leaf.pem)
	write(t, root, "etc/kubernetes/pki/key.pem", half, leaf.key, leaf.pem)
	write(t, root, "etc/kubernetes/admin.conf", []byte("certificate-authority-data: abcde\nclient-certificate-data: "+base(leaf.pem)+"\n"))
	got, err := certificatesBelow(t.Context(), h, root)
	var unreadable *UnreadableError
	if !errors.As(err, &unreadable) {
		t.Fatal(err)
	}
	var files, seen []string
	for _, f := range unreadable.Files {
		files = append(files, f.Path)
	}
	for _, c := range got {
		seen = append(seen, strings.TrimSpace(c.Path+" "+c.Part)+" "+c.Serial)
	}
	slices.Sort(files)
	slices.Sort(seen)
	if d := cmp.Diff([]string{"/etc/kubernetes/admin.conf", "/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/pki/half.crt", "/etc/kubernetes/pki/key.pem"}, files); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"/etc/kubernetes/admin.conf client-certificate-data 2", "/etc/kubernetes/pki/ca.crt 2 1", "/etc/kubernetes/pki/half.crt 2", "/etc/kubernetes/pki/key.pem 2"}, seen); d != "" {
		t.Error(d)
	}
	if strings.Contains(h.printed, "PRIVATE") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v\n%s", err, h.printed)
	}
}

func TestCompareCertificates(t *testing.T) {
	on := func(path, part, fingerprint string) Certificate {
		return Certificate{Path: path, Part: part, Fingerprint: fingerprint}
	}
	before := map[string][]Certificate{
		"cp-1": {on("/ca", "", "1"), on("/ca", "2", "2"), on("/gone", "", "3")},
		"cp-2": {on("/ca", "", "1")},
		"cp-3": {on("/ca", "", "1"), on("/mine", "", "4")},
	}
	after := map[string][]Certificate{
		"cp-1": {on("/ca", "", "1"), on("/ca", "2", "5"), on("/new", "", "6")},
		"cp-3": {on("/ca", "", "9"), on("/other", "", "4")},
		"cp-4": {on("/ca", "", "1")},
	}
	type places struct{ Changed, Added, Removed []string }
	list := func(changes []CertificateChange) (list []string) {
		for _, c := range changes {
			list = append(list, strings.TrimSpace(c.Node+c.Path+" "+c.Part)+": "+c.Before.Fingerprint+">"+c.After.Fingerprint)
		}
		return list
	}
	for name, c := range map[string]struct {
		before, after    map[string][]Certificate
		leaving, joining []string
		want             places
	}{
		"the same":      {before: before, after: before},
		"as planned":    {before, after, []string{"cp-2", "cp-3"}, []string{"cp-3", "cp-4"}, places{[]string{"cp-1/ca 2: 2>5", "cp-3/ca: 1>9"}, []string{"cp-1/new: >6"}, []string{"cp-1/gone: 3>"}}},
		"nobody leaves": {before, after, nil, []string{"cp-3", "cp-4"}, places{[]string{"cp-1/ca 2: 2>5", "cp-3/ca: 1>9"}, []string{"cp-1/new: >6"}, []string{"cp-1/gone: 3>", "cp-2/ca: 1>", "cp-3/mine: 4>"}}},
		"nobody joins":  {before, after, []string{"cp-2", "cp-3"}, nil, places{[]string{"cp-1/ca 2: 2>5", "cp-3/ca: 1>9"}, []string{"cp-1/new: >6", "cp-3/other: >4", "cp-4/ca: >1"}, []string{"cp-1/gone: 3>"}}},
	} {
		t.Run(name, func(t *testing.T) {
			changed, added, removed := CompareCertificates(c.before, c.after, c.leaving, c.joining)
			if d := cmp.Diff(c.want, places{list(changed), list(added), list(removed)}); d != "" {
				t.Error("-want +got\n" + d)
			}
		})
	}
}
