package cluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/haplane/haplane/internal/fileset"
	"github.com/haplane/haplane/internal/machine"
	"github.com/haplane/haplane/internal/machine/machinetest"
	"github.com/haplane/haplane/internal/observed"
	"github.com/haplane/haplane/internal/pki"
)

// selfSigned is a certificate that somebody made.
func selfSigned(t *testing.T) []byte {
	t.Helper()
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{SerialNumber: big.NewInt(0x77), Subject: pkix.Name{CommonName: "somebody"}, NotAfter: time.Now().Add(time.Hour)}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// A certificate that somebody put in a place of ours is a named step, and is kept; one of ours that is to be renewed is neither.
func TestForeignCertificate(t *testing.T) {
	const place = "/etc/kubernetes/pki/apiserver.crt"
	s := certified(t)
	l := must[*live](t)(newLive(opened(t).Request(), testOptions(t, s)))
	ours := l.keys.Pairs[pki.APIServer].Cert
	for name, test := range map[string]struct {
		cert  []byte
		found bool
	}{"somebody's": {selfSigned(t), true}, "an older one of ours": {ours, false}} {
		t.Run(name, func(t *testing.T) {
			l.seen = observed.State{Machines: map[string]observed.Machine{}}
			for _, n := range l.topology.Nodes {
				m := observed.Machine{Made: true, Running: true, Reachable: true, Files: map[string]fileset.State{}}
				for path, f := range l.rendered[n.Name].Files {
					m.Files[path] = fileset.State{Mode: f.Mode, Owner: f.OwnerName(), Sum: f.Sum()}
				}
				l.seen.Machines[n.Name] = m
			}
			l.seen.Machines["cp-2"].Files[place] = fileset.State{Mode: 0o644, Owner: "root", Sum: "other"}
			l.reach = func(node string) machine.Machine {
				return &machinetest.Recorder{NodeName: node, Answer: func([]string) (string, error) {
					return "@ " + place + "\n" + string(test.cert) + "@ /etc/kubernetes/pki/ca.crt\n" + string(l.keys.Pairs[pki.CA].Cert), nil
				}}
			}
			l.foreign = l.foreigners(context.Background())
			if got := l.foreignPaths()["cp-2"]; (len(got) > 0) != test.found || test.found && got[0] != place || len(l.foreign) > 1 {
				t.Fatalf("foreign are %v", l.foreignPaths())
			}
			warned := strings.Join(l.foreignWarnings(), "\n")
			if test.found && !strings.Contains(warned, "cp-2:"+place+" has a certificate that no authority of this cluster has signed (issuer CN=somebody, serial 77)") {
				t.Errorf("warned %q", warned)
			}
		})
	}
}

// What cannot be read hides nothing behind it: both are named, and both files are kept.
func TestForeignCertificateBehindADamagedOne(t *testing.T) {
	const damaged, place = "/etc/kubernetes/pki/apiserver-kubelet-client.crt", "/etc/kubernetes/pki/apiserver.crt"
	s := certified(t)
	l := must[*live](t)(newLive(opened(t).Request(), testOptions(t, s)))
	m := observed.Machine{Made: true, Running: true, Reachable: true, Files: map[string]fileset.State{}}
	for _, path := range []string{damaged, place} {
		m.Files[path] = fileset.State{Mode: 0o644, Owner: "root", Sum: "other"}
	}
	l.seen = observed.State{Machines: map[string]observed.Machine{"cp-1": m}}
	l.reach = func(node string) machine.Machine {
		return &machinetest.Recorder{NodeName: node, Answer: func([]string) (string, error) {
			return "@ " + damaged + "\n-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n@ " + place + "\n" + string(selfSigned(t)) +
				"@ /etc/kubernetes/other.crt\n-----BEGIN CERTIFICATE-----\nbm8=\n", nil
		}}
	}
	l.foreign = l.foreigners(context.Background())
	if diff := cmp.Diff(map[string][]string{"cp-1": {damaged, place}}, l.foreignPaths()); diff != "" {
		t.Error(diff)
	}
	warned := strings.Join(l.foreignWarnings(), "\n")
	for _, says := range []string{"cp-1:" + damaged + " cannot be read as a certificate (x509: ", "cp-1:" + place + " has a certificate that no authority of this cluster has signed (issuer CN=somebody, serial 77)"} {
		if !strings.Contains(warned, says) {
			t.Errorf("warned %q, not %q", warned, says)
		}
	}
}

// In the record it is an error, for every change: writing over it would lose it.
func TestForeignCertificateInTheRecord(t *testing.T) {
	s := certified(t)
	place := filepath.Join(s.Dir, "pki", "apiserver.crt")
	if err := os.WriteFile(place, selfSigned(t), 0o644); err != nil {
		t.Fatal(err)
	}
	before := content(t, s)
	for name, q := range map[string]Request{"up": opened(t).Request(), "rotate": opened(t).RotateRequest(pki.RotateCA)} {
		if _, err := newLive(q, testOptions(t, s)); err == nil || !strings.Contains(err.Error(), "has signed pki/apiserver.crt in "+s.Dir+": it is not replaced") {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if diff := cmp.Diff(before, content(t, s)); diff != "" {
		t.Error(diff)
	}
	if err := errors.Join(os.Remove(place), os.Remove(strings.TrimSuffix(place, "crt")+"key")); err != nil {
		t.Fatal(err)
	}
	l := must[*live](t)(newLive(opened(t).Request(), testOptions(t, s)))
	if got := reissued(l.issues); len(got) != 1 || got[0] != pki.APIServer {
		t.Errorf("moved away, made anew are %v", got)
	}
}
